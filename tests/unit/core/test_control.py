"""Control records: what is accepted, every refusal, and the state rebuilt from its parts."""

import hashlib
import json
from dataclasses import replace

import pytest

from gate.core import dsse, jcs
from gate.core.control.judge import Accepted, Rejected, judge_control
from gate.core.control.restore import ControlStateDamaged, restore
from gate.core.control.state import ControlState, begin, initial_parts
from gate.core.genesis import first_genesis
from gate.core.policy.issues import AstDiffers, EngineUnavailable
from gate.core.signature import load_public_key
from gate.core.trust import verify_first
from gate.core.values import ControlStateRecord
from tests.builders import (
    DOMAIN,
    GATE,
    NOW_MS,
    a_bundle,
    a_control_record,
    a_key,
    a_root_envelope,
    a_root_payload,
    an_activation,
    an_envelope,
    digest_of,
)

TOPIC_ID = "topic-1"


def the_genesis():
    return first_genesis(
        domain=DOMAIN,
        gate=GATE,
        cluster_id="c",
        topic="payments.requests.v1",
        topic_id=TOPIC_ID,
        partition=0,
        partition_count=1,
        first_offset=0,
        lineage_secret_sha256=bytes(32),
        trust_root_sha256=verify_first(a_root_envelope()).sha256,
    )


@pytest.fixture
def fresh() -> ControlState:
    envelope = a_root_envelope()
    return begin(the_genesis(), verify_first(envelope), envelope)


def judged(value: bytes, state: ControlState, *, at_ms: int = NOW_MS, key: bytes | None = None):
    return judge_control(key, value, append_time_ms=at_ms, state=state)


def accepted(value: bytes, state: ControlState) -> Accepted:
    verdict = judged(value, state)
    assert isinstance(verdict, Accepted), verdict
    return verdict


def activation(bundle: bytes, **changes: object) -> bytes:
    return an_activation(bundle, topic_id=TOPIC_ID, **changes)


def test_a_well_signed_activation_governs_its_action(fresh: ControlState) -> None:
    verdict = accepted(activation(a_bundle()), fresh)
    assert (verdict.id, verdict.sequence, verdict.activation_sequence) == ("loans", 1, 1)
    assert verdict.digest == hashlib.sha256(a_bundle()).digest()
    assert [key for key, _ in verdict.parts] == [
        b"policy/loans/1",
        b"bundle/" + verdict.digest.hex().encode(),
    ]
    assert list(verdict.state.by_action()) == ["loan.approve"]
    assert fresh.by_action() == {}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("threshold", {"activators": ("activator-1",)}),
        ("threshold", {"activators": ()}),
        ("threshold", {"authors": ()}),
        ("signatures", {"activators": ("activator-1", "stranger")}),
        ("signatures", {"activators": ("activator-1", "activator-2", "author")}),
        ("signatures", {"authors": ("author", "stranger")}),
        ("signatures", {"authors": ("activator-1",)}),
        ("audience", {"audience": "acme.example/other"}),
        ("expiry", {"not_after_ms": NOW_MS - 1}),
        ("activation_sequence", {"activation_sequence": 2}),
        ("previous", {"previous": "00" * 32}),
    ],
)
def test_a_faulty_activation_is_refused(
    fresh: ControlState, field: str, changes: dict[str, object]
) -> None:
    verdict = judged(activation(a_bundle(), **changes), fresh)
    assert isinstance(verdict, Rejected)
    assert verdict.field == field


def test_another_topic_is_refused(fresh: ControlState) -> None:
    verdict = judged(an_activation(a_bundle(), topic_id="topic-2"), fresh)
    assert isinstance(verdict, Rejected)
    assert verdict.field == "topic_id"


def test_a_record_key_and_a_strange_kind_are_refused(fresh: ControlState) -> None:
    with_key = judged(activation(a_bundle()), fresh, key=b"k")
    assert isinstance(with_key, Rejected)
    assert with_key.field == "key"
    strange = judged(a_control_record(0, b"{}"), fresh)
    assert isinstance(strange, Rejected)
    assert strange.field == "kind"
    huge = judged(a_control_record(2, b"x" * 262_144), fresh)
    assert isinstance(huge, Rejected)
    assert huge.field == "size"


def test_a_bit_flip_anywhere_is_refused_and_changes_nothing(fresh: ControlState) -> None:
    value = activation(a_bundle())
    for at in range(10, len(value), 37):
        broken = bytearray(value)
        broken[at] ^= 4
        verdict = judged(bytes(broken), fresh)
        assert isinstance(verdict, Rejected), at


def test_the_identical_activation_again_is_accepted_without_effect(fresh: ControlState) -> None:
    value = activation(a_bundle())
    state = accepted(value, fresh).state
    again = accepted(value, state)
    assert (again.state, again.parts) == (state, ())
    assert (again.sequence, again.version) == (1, "1.0.1")


def test_a_new_version_needs_a_higher_sequence_and_the_digest_in_force(fresh: ControlState) -> None:
    first = a_bundle()
    state = accepted(activation(first), fresh).state
    second = a_bundle(sequence=2, limit=60_000, previous=digest_of(first))
    verdict = accepted(activation(second, previous=digest_of(first), activation_sequence=2), state)
    assert verdict.state.by_action()["loan.approve"].bundle.sequence == 2
    same = a_bundle(sequence=1, limit=60_000, previous=digest_of(first))
    refused = judged(activation(same, previous=digest_of(first), activation_sequence=2), state)
    assert isinstance(refused, Rejected)
    assert refused.field == "sequence"
    astray = a_bundle(sequence=2, previous="11" * 32)
    refused = judged(activation(astray, previous=digest_of(first), activation_sequence=2), state)
    assert isinstance(refused, Rejected)
    assert refused.field == "previous"


def test_two_policies_can_not_govern_one_action(fresh: ControlState) -> None:
    state = accepted(activation(a_bundle()), fresh).state
    verdict = judged(activation(a_bundle(policy="others")), state)
    assert isinstance(verdict, Rejected)
    assert verdict.field == "overlap"


def test_a_withdrawn_policy_governs_no_more_and_its_key_space_stays(fresh: ControlState) -> None:
    first = a_bundle()
    state = accepted(activation(first), fresh).state
    gone = accepted(
        activation(first, mode="withdraw", previous=digest_of(first), activation_sequence=2), state
    )
    assert gone.state.by_action() == {}
    assert gone.state.key_spaces == state.key_spaces
    other = a_bundle(policy="others", space="elsewhere")
    refused = judged(activation(other), gone.state)
    assert isinstance(refused, Rejected)
    assert refused.field == "key"
    agreed = activation(other, activators=("activator-1", "activator-2", "root-1", "root-2"))
    assert accepted(agreed, gone.state).state.by_action()["loan.approve"].bundle.policy == "others"


def test_one_root_key_is_not_the_root_threshold(fresh: ControlState) -> None:
    first = a_bundle()
    state = accepted(activation(first), fresh).state
    second = a_bundle(sequence=2, space="elsewhere", previous=digest_of(first))
    value = activation(
        second,
        previous=digest_of(first),
        activation_sequence=2,
        activators=("activator-1", "activator-2", "root-1"),
    )
    refused = judged(value, state)
    assert isinstance(refused, Rejected)
    assert refused.field == "key"


def test_a_withdrawn_policy_can_not_be_withdrawn_again(fresh: ControlState) -> None:
    first = a_bundle()
    state = accepted(activation(first), fresh).state
    withdraw = {"mode": "withdraw", "previous": digest_of(first)}
    state = accepted(activation(first, activation_sequence=2, **withdraw), state).state
    refused = judged(activation(first, activation_sequence=3, **withdraw), state)
    assert isinstance(refused, Rejected)
    assert refused.field == "mode"


def test_the_next_trust_root_needs_both_thresholds_and_its_place(fresh: ControlState) -> None:
    previous = fresh.trust_root.sha256.hex()
    good = a_root_envelope(version=2, previous=previous)
    verdict = accepted(a_control_record(1, good), fresh)
    assert (verdict.version, verdict.sequence, verdict.id) == ("2", 0, DOMAIN)
    assert verdict.state.trust_root.version == 2
    assert accepted(a_control_record(1, good), verdict.state).parts == ()
    for envelope in (
        a_root_envelope(version=3, previous=previous),
        a_root_envelope(version=2, previous="22" * 32),
        a_root_envelope("root-1", version=2, previous=previous),
        a_root_envelope("root-1", "stranger", version=2, previous=previous),
        an_envelope(dsse.POLICY, a_root_payload(version=2, previous=previous), "root-1", "root-2"),
    ):
        refused = judged(a_control_record(1, envelope), fresh)
        assert isinstance(refused, Rejected)
        assert refused.field == "trust_root"


def test_an_expired_trust_root_refuses_activations_but_not_its_successor(
    fresh: ControlState,
) -> None:
    late_ms = fresh.trust_root.expires_ms
    value = activation(a_bundle(), not_after_ms=late_ms + 1)
    refused = judged(value, fresh, at_ms=late_ms)
    assert isinstance(refused, Rejected)
    assert refused.field == "expiry"
    successor = a_root_envelope(
        version=2, previous=fresh.trust_root.sha256.hex(), expires_ms=late_ms + 86_400_000
    )
    verdict = judged(a_control_record(1, successor), fresh, at_ms=late_ms + 1)
    assert isinstance(verdict, Accepted)


def _resigned(change: dict[str, object]) -> bytes:
    """A bundle that says something else than its packer wrote, signed all the same."""
    return jcs.canonical({**json.loads(a_bundle()), **change})


def test_a_policy_for_another_engine_stops_instead_of_denying(fresh: ControlState) -> None:
    with pytest.raises(EngineUnavailable):
        judged(activation_of(_resigned({"engine": "gate-engine/9"})), fresh)


def test_a_differing_tree_digest_stops_instead_of_denying(fresh: ControlState) -> None:
    rules = json.loads(a_bundle())["rules"]
    rules[0]["ast"] = "00" * 32
    with pytest.raises(AstDiffers):
        judged(activation_of(_resigned({"rules": rules})), fresh)


def activation_of(bundle: bytes) -> bytes:
    """Activate a bundle that the tools would refuse to pack."""
    envelope = an_envelope(dsse.POLICY, bundle, "author")
    payload = jcs.canonical(
        {
            "format": "gate-activation/1",
            "audience": f"{DOMAIN}/{GATE}",
            "topic_id": TOPIC_ID,
            "policy": "loans",
            "sequence": "1",
            "digest": digest_of(bundle),
            "previous": None,
            "mode": "enforce",
            "activation_sequence": "1",
            "not_after_ms": str(NOW_MS + 1),
            "bundle": json.loads(envelope),
        }
    )
    return a_control_record(2, an_envelope(dsse.ACTIVATION, payload, "activator-1", "activator-2"))


def test_a_bundle_that_does_not_read_is_refused(fresh: ControlState) -> None:
    refused = judged(activation_of(_resigned({"surprise": "x"})), fresh)
    assert isinstance(refused, Rejected)
    assert refused.field == "bundle"


def _records(parts: list[tuple[int, tuple[bytes, bytes]]]) -> dict[bytes, ControlStateRecord]:
    return {
        key: ControlStateRecord(sequence, leaf_index, leaf_index, body)
        for sequence, (leaf_index, (key, body)) in enumerate(parts, 1)
    }


def test_the_state_is_rebuilt_from_its_parts_in_any_order(fresh: ControlState) -> None:
    envelope = a_root_envelope()
    parts = [(0, part) for part in initial_parts(the_genesis(), fresh.trust_root, envelope)]
    first = a_bundle()
    second = a_bundle(sequence=2, limit=60_000, previous=digest_of(first))
    steps = [
        activation(first),
        a_control_record(1, a_root_envelope(version=2, previous=fresh.trust_root.sha256.hex())),
        activation(second, previous=digest_of(first), activation_sequence=2),
        activation(a_bundle(policy="cars", action="car.approve", space="cars")),
        activation(second, mode="withdraw", previous=digest_of(second), activation_sequence=3),
    ]
    state = fresh
    for leaf_index, value in enumerate(steps, 1):
        verdict = accepted(value, state)
        parts += [(leaf_index, part) for part in verdict.parts]
        state = verdict.state
        rebuilt = restore(reversed(_records(parts).items()))
        assert rebuilt.sha256() == state.sha256()
        assert rebuilt.policies == state.policies
        assert rebuilt.key_spaces == state.key_spaces
        assert sorted(rebuilt.in_force) == sorted(state.in_force)


def test_the_author_of_a_bundle_may_not_withdraw_it(fresh: ControlState) -> None:
    """Authors and activators stay apart, also when the bundle is only named."""
    both = a_root_envelope(roles=_roles_with_author_among_activators())
    state = replace(
        fresh,
        trust_root=verify_first(both),
        root_envelope_sha256=hashlib.sha256(both).digest(),
    )
    first = a_bundle()
    state = accepted(activation(first), state).state
    value = activation(
        first,
        mode="withdraw",
        previous=digest_of(first),
        activation_sequence=2,
        activators=("activator-1", "author"),
    )
    refused = judged(value, state)
    assert isinstance(refused, Rejected)
    assert refused.field == "signatures"


def _roles_with_author_among_activators() -> dict[str, object]:
    roles = json.loads(a_root_payload())["roles"]
    author = {**roles["policy_author"]["keys"][0], "gates": ["*"]}
    roles["policy_activator"]["keys"].append(author)
    return roles


def test_a_first_bundle_has_nothing_before_it(fresh: ControlState) -> None:
    refused = judged(activation(a_bundle(previous="11" * 32)), fresh)
    assert isinstance(refused, Rejected)
    assert refused.field == "previous"


def test_a_withdrawal_again_tells_the_same_version(fresh: ControlState) -> None:
    first = a_bundle()
    state = accepted(activation(first), fresh).state
    value = activation(first, mode="withdraw", previous=digest_of(first), activation_sequence=2)
    once = accepted(value, state)
    again = accepted(value, once.state)
    assert (once.version, again.version) == ("1.0.1", "1.0.1")
    assert again.parts == ()


def test_a_trust_root_without_a_common_checkpoint_key_is_refused(fresh: ControlState) -> None:
    """No key could sign the step: neither the old nor the new one is active in both."""

    def root(*keys: tuple[str, str]) -> bytes:
        listed = [
            {"key": a_key(name).public.hex(), "origins": [f"{DOMAIN}/"], "status": status}
            for name, status in keys
        ]
        previous = fresh.trust_root.sha256.hex()
        return a_control_record(
            1, a_root_envelope(version=2, previous=previous, checkpoint_keys=listed)
        )

    refused = judged(root(("checkpoint", "revoked"), ("new", "active")), fresh)
    assert isinstance(refused, Rejected)
    assert refused.field == "checkpoint_keys"
    both = judged(root(("checkpoint", "active"), ("new", "active")), fresh)
    assert isinstance(both, Accepted)


def test_an_unsigned_trust_root_costs_no_key_to_be_loaded(fresh: ControlState) -> None:
    """Loading a key takes a millisecond, and the record may come from anybody."""
    keys = [{"holder": f"h{n}", "key": a_key(f"hostile-{n}").public.hex()} for n in range(100)]
    envelope = a_root_envelope(
        "stranger",
        version=2,
        previous=fresh.trust_root.sha256.hex(),
        root={"keys": keys, "threshold": 1},
    )
    before = load_public_key.cache_info().misses
    assert isinstance(judged(a_control_record(1, envelope), fresh), Rejected)
    assert load_public_key.cache_info().misses == before


def test_a_missing_part_is_damage(fresh: ControlState) -> None:
    envelope = a_root_envelope()
    verdict = accepted(activation(a_bundle()), fresh)
    parts = [(0, part) for part in initial_parts(the_genesis(), fresh.trust_root, envelope)]
    parts += [(1, part) for part in verdict.parts]
    for gone in (b"genesis", b"root/1", verdict.parts[1][0]):
        records = _records(parts)
        del records[gone]
        with pytest.raises(ControlStateDamaged):
            restore(records.items())


def test_the_digest_tells_every_difference(fresh: ControlState) -> None:
    verdict = accepted(activation(a_bundle()), fresh)
    history = verdict.state.policies["loans"]
    others = [
        fresh,
        replace(verdict.state, policies={"loans": replace(history, is_enforced=False)}),
        replace(verdict.state, policies={"loans": replace(history, activation_sequence=2)}),
        replace(verdict.state, key_spaces={}),
        replace(verdict.state, root_envelope_sha256=bytes(32)),
    ]
    digests = {state.sha256() for state in [verdict.state, *others]}
    assert len(digests) == len(others) + 1
