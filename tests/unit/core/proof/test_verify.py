import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.core import dsse, jcs
from gate.core.proof.checkpoint import checkpoint_body, signed_note
from gate.core.proof.evidence import Evidence, InputRecord, encode_evidence
from gate.core.proof.verdict import Fork, KeyTrust, RefusalCode, Refused, Status, Verified
from gate.core.proof.verify import verify_evidence, verify_fork
from gate.core.signature import load_public_key
from gate.core.trust import read_trust_root
from gate.core.values import SHADOW
from gate.core.wire.entry import encode_entry
from tests.unit.core.proof.lineages import (
    APPROVAL,
    APPROVED_AT,
    DOMAIN,
    GAP,
    GATE,
    GENESIS,
    INPUT,
    ORIGIN,
    POLICY_CONTROL,
    POLICY_PAYLOAD,
    ROOT_SHA256,
    RUNTIME,
    TRUST_CONTROL,
    Lineage,
    a_lineage,
    checkpoint_key,
    envelope,
    good_evidence,
    hexed,
    key_of,
    trust_root,
    trust_root_envelope,
)


def root_with(**changes):
    return read_trust_root(jcs.canonical(trust_root(**changes)))


def key_trust(log=f"{DOMAIN}/{GATE}/", name="checkpoint"):
    return KeyTrust(load_public_key(key_of(name).public), log)


ROOT = root_with()
OLD_REVOKED = [checkpoint_key("checkpoint"), checkpoint_key("old", "revoked")]
GOOD = good_evidence()
LINEAGE = a_lineage()
BARE = Evidence(LINEAGE.proof(APPROVED_AT, 9))


def verdict(evidence, trust=ROOT, **options):
    return verify_evidence(encode_evidence(evidence), trust, **options)


def outcome(result):
    """Return a refusal's code and step, or a verified result's status."""
    if isinstance(result, Refused):
        return result.code.value, result.step
    return result.status


def test_good_evidence_is_signed_under_a_trust_root():
    assert verdict(GOOD) == Verified(
        status=Status.SIGNED,
        entry=APPROVAL,
        origin=ORIGIN,
        leaf_index=APPROVED_AT,
        tree_size=13,
        root=LINEAGE.tree(13).root,
        runtime=RUNTIME,
        trust_root_version=1,
        re_decided=False,
        time="claimed",
    )


def test_good_evidence_is_signed_under_one_key():
    result = verdict(GOOD, key_trust())
    assert result == verdict(GOOD)._replace(trust_root_version=None)
    assert verdict(BARE, key_trust(ORIGIN)) == result._replace(
        tree_size=9, root=LINEAGE.tree(9).root
    )


KINDS = [
    (GENESIS, 0),
    (TRUST_CONTROL, 1),
    (POLICY_CONTROL, 2),
    (APPROVAL, APPROVED_AT),
    (GAP, 13),
]


@pytest.mark.parametrize(("entry", "index"), KINDS)
def test_an_entry_of_any_kind_may_be_proved(entry, index):
    lineage = Lineage([*LINEAGE.entries, encode_entry(GAP)])
    assert verdict(Evidence(lineage.proof(index, 14))).entry == entry


def test_a_control_entrys_attachments_are_those_it_names():
    policy = envelope(dsse.POLICY, POLICY_PAYLOAD, "author")
    on_policy = Evidence(LINEAGE.proof(2, 9), policy=policy, input=INPUT)
    on_root = Evidence(LINEAGE.proof(1, 9), control=trust_root_envelope(), input=INPUT)
    on_genesis = Evidence(LINEAGE.proof(0, 9), control=trust_root_envelope())
    for evidence in (on_policy, on_root, on_genesis):
        assert outcome(verdict(evidence)) is Status.SIGNED
    swapped = [
        on_root._replace(policy=policy),
        on_policy._replace(control=trust_root_envelope()),
        on_genesis._replace(policy=policy),
    ]
    for evidence in swapped:
        assert outcome(verdict(evidence)) == ("policy_mismatch", 10)
    assert outcome(verdict(on_genesis._replace(input=INPUT))) == ("input_mismatch", 10)


def test_deciding_again_must_give_the_same_bytes():
    same = encode_entry(APPROVAL)
    asked = []

    def decide(entry, evidence):
        asked.append((entry, evidence))
        return same

    assert verdict(GOOD, decide_again=decide).re_decided is True
    assert asked == [(APPROVAL, GOOD)]
    assert verdict(GOOD, decide_again=lambda *_: None).re_decided is False
    differing = verdict(GOOD, decide_again=lambda *_: same + b"\0")
    assert outcome(differing) == ("replay_differs", 10)


def test_only_decisions_are_decided_again():
    def decide(_entry, _evidence):
        raise AssertionError

    evidence = Evidence(LINEAGE.proof(1, 9))
    assert verdict(evidence, decide_again=decide).re_decided is False


def pin(size, root):
    return {"origin": ORIGIN, "size": size, "root": root.hex()}


def test_a_pin_vouches_for_what_a_revoked_key_signed():
    evidence = Evidence(a_lineage(signer="old").proof(APPROVED_AT, 9))
    revoked = root_with(checkpoint_keys=OLD_REVOKED)
    assert outcome(verdict(evidence, revoked)) == ("key_revoked", 5)
    root = LINEAGE.tree(9).root
    pinned = root_with(checkpoint_keys=OLD_REVOKED, pins=[pin(9, root)])
    result = verdict(evidence, pinned)
    assert (result.status, result.entry, result.runtime) == (Status.PINNED, APPROVAL, "")
    elsewhere = root_with(checkpoint_keys=OLD_REVOKED, pins=[pin(8, root), pin(9, bytes(32))])
    assert outcome(verdict(evidence, elsewhere)) == ("key_revoked", 5)


def test_a_pin_makes_a_log_known_without_any_key():
    pinned = root_with(checkpoint_keys=[], pins=[pin(9, LINEAGE.tree(9).root)])
    assert outcome(verdict(BARE, pinned)) is Status.PINNED
    assert outcome(verdict(BARE, root_with(checkpoint_keys=[]))) == ("unknown_log", 2)


def test_a_newer_checkpoint_vouches_for_what_a_revoked_or_unknown_key_signed():
    revoked = root_with(checkpoint_keys=OLD_REVOKED)
    for signer in ("old", "stranger"):
        old = a_lineage(signer=signer)
        chain = (old.later(9, 11), LINEAGE.later(11, 13))
        evidence = Evidence(old.proof(APPROVED_AT, 9), later=chain)
        assert outcome(verdict(evidence, revoked)) is Status.SIGNED


def test_the_last_checkpoint_must_be_trusted_itself():
    revoked = root_with(checkpoint_keys=OLD_REVOKED)
    for signer, code in (("old", "key_revoked"), ("stranger", "no_trusted_signature")):
        evidence = Evidence(LINEAGE.proof(APPROVED_AT, 9), (LINEAGE.later(9, 13, signer),))
        assert outcome(verdict(evidence, revoked)) == (code, 6)


def test_a_revoked_keys_private_tree_is_not_saved_by_an_honest_newer_checkpoint():
    thief = a_lineage(APPROVAL._replace(request_id="forged"), signer="old")
    evidence = Evidence(thief.proof(APPROVED_AT, 9), (LINEAGE.later(9, 13),))
    revoked = root_with(checkpoint_keys=OLD_REVOKED)
    assert outcome(verdict(evidence, revoked)) == ("inconsistent", 6)


def changed(data: bytes, position: int, byte: int) -> bytes:
    return data[:position] + bytes([byte]) + data[position + 1 :]


def with_entry(entry: bytes) -> Evidence:
    """Well signed evidence of a lineage whose leaf is not as the gate writes it."""
    entries = [*LINEAGE.entries]
    entries[APPROVED_AT] = entry
    return Evidence(Lineage(entries).proof(APPROVED_AT, 9))


def with_proof(**changes):
    return GOOD._replace(proof=GOOD.proof._replace(**changes))


def with_later(**changes):
    return GOOD._replace(later=(GOOD.later[0]._replace(**changes),))


def forged_note(size=9):
    """A note whose line has the trusted name and key id over another body's signature."""
    text, _, line = LINEAGE.note(size).rpartition("\n\n")
    _, _, other = LINEAGE.note(size - 1).rpartition("\n\n")
    assert line != other
    return f"{text}\n\n{other}"


def other_log():
    name = "acme.example/refunds/t/0/1"
    return with_proof(checkpoint=LINEAGE.note(9, name=name))


GOOD_ENTRY = encode_entry(APPROVAL)
OTHER_POLICY = envelope(dsse.POLICY, b"{}", "author")
UNSIGNED = signed_note(
    checkpoint_body(ORIGIN, 9, LINEAGE.tree(9).root, RUNTIME), ORIGIN, bytes(4), bytes(64)
)
REFUSED = {
    "note without a signature line": (
        with_proof(checkpoint=GOOD.proof.checkpoint.rpartition("\n\n")[0]),
        ("malformed", 1),
    ),
    "unreadable later note": (with_later(checkpoint="x"), ("malformed", 1)),
    "another gate's log": (other_log(), ("unknown_log", 2)),
    "index beyond the size": (with_proof(leaf_index=9), ("bad_proof_shape", 3)),
    "path cut short": (with_proof(path=GOOD.proof.path[:-32]), ("bad_proof_shape", 3)),
    "path too long": (with_proof(path=GOOD.proof.path + bytes(32)), ("bad_proof_shape", 3)),
    "no path": (with_proof(path=b""), ("bad_proof_shape", 3)),
    "another index": (with_proof(leaf_index=4), ("root_mismatch", 4)),
    "another entry": (with_proof(entry=GOOD_ENTRY + b"\0"), ("root_mismatch", 4)),
    "another root": (
        with_proof(checkpoint=a_lineage(APPROVAL._replace(actor="x")).note(9)),
        ("root_mismatch", 4),
    ),
    "forged signature": (with_proof(checkpoint=forged_note()), ("bad_signature", 5)),
    "unknown key": (
        Evidence(LINEAGE.proof(APPROVED_AT, 9, "stranger")),
        ("no_trusted_signature", 5),
    ),
    "unknown key id": (
        BARE._replace(proof=BARE.proof._replace(checkpoint=UNSIGNED)),
        ("no_trusted_signature", 5),
    ),
    "forged later signature": (with_later(checkpoint=forged_note(13)), ("bad_signature", 6)),
    "forged signature between": (
        GOOD._replace(
            later=(
                LINEAGE.later(9, 11)._replace(checkpoint=forged_note(11)),
                LINEAGE.later(11, 13),
            )
        ),
        ("bad_signature", 6),
    ),
    "no consistency proof": (with_later(consistency=b""), ("inconsistent", 6)),
    "another consistency proof": (
        with_later(consistency=LINEAGE.later(8, 13).consistency),
        ("inconsistent", 6),
    ),
    "later is earlier": (with_later(checkpoint=LINEAGE.note(8)), ("inconsistent", 6)),
    "later of another log": (
        with_later(checkpoint=LINEAGE.note(13, name=f"{ORIGIN}1")),
        ("inconsistent", 6),
    ),
    "other framing": (with_entry(changed(GOOD_ENTRY, 0, 0)), ("unknown_schema", 8)),
    "other schema": (with_entry(changed(GOOD_ENTRY, 5, 0)), ("unknown_schema", 8)),
    "trailing byte": (with_entry(GOOD_ENTRY + b"\0"), ("not_canonical", 8)),
    "cut short": (with_entry(GOOD_ENTRY[:-1]), ("not_canonical", 8)),
    "overlong integer": (
        with_entry(GOOD_ENTRY[:10] + bytes([GOOD_ENTRY[10] | 0x80, 0]) + GOOD_ENTRY[11:]),
        ("not_canonical", 8),
    ),
    "shadow": (with_entry(encode_entry(APPROVAL._replace(mode=SHADOW))), ("contradiction", 9)),
    "another policy": (GOOD._replace(policy=OTHER_POLICY), ("policy_mismatch", 10)),
    "policy by no author": (
        GOOD._replace(policy=envelope(dsse.POLICY, POLICY_PAYLOAD, "dan")),
        ("policy_mismatch", 10),
    ),
    "policy with a stranger's signature": (
        GOOD._replace(policy=envelope(dsse.POLICY, POLICY_PAYLOAD, "author", "dan")),
        ("policy_mismatch", 10),
    ),
    "policy stripped of signatures": (
        GOOD._replace(policy=envelope(dsse.POLICY, POLICY_PAYLOAD)),
        ("policy_mismatch", 10),
    ),
    "another trust root": (
        GOOD._replace(control=trust_root_envelope(expires_ms=2**50)),
        ("policy_mismatch", 10),
    ),
    "trust root by too few": (
        GOOD._replace(control=trust_root_envelope("ann")),
        ("policy_mismatch", 10),
    ),
    "trust root that is none": (
        GOOD._replace(control=envelope(dsse.TRUST_ROOT, b"{}", "ann", "bob")),
        ("policy_mismatch", 10),
    ),
    "another input": (
        GOOD._replace(input=InputRecord(b"L-2", INPUT.value)),
        ("input_mismatch", 10),
    ),
    "absent key": (GOOD._replace(input=InputRecord(None, INPUT.value)), ("input_mismatch", 10)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_altered_evidence_is_refused_with_its_code_and_step(name):
    evidence, expected = REFUSED[name]
    assert outcome(verdict(evidence)) == expected


def test_every_code_of_refusal_is_reached():
    reached = {code for _, (code, _) in REFUSED.values()}
    elsewhere = {"key_revoked", "not_witnessed", "replay_differs"}
    assert reached | elsewhere == {code.value for code in RefusalCode}


def test_witnesses_that_are_asked_for_are_missed():
    assert outcome(verdict(GOOD, witnesses_min=1)) == ("not_witnessed", 7)


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (ORIGIN, Status.SIGNED),
        (f"{DOMAIN}/", Status.SIGNED),
        (ORIGIN[:-2], ("unknown_log", 2)),
        (f"{DOMAIN}/pay", ("unknown_log", 2)),
        (ORIGIN + "/", ("unknown_log", 2)),
        ("", ("unknown_log", 2)),
    ],
)
def test_a_key_is_trusted_for_an_exact_origin_or_below_a_slash(log, expected):
    assert outcome(verdict(BARE, key_trust(log))) == expected


def test_under_one_key_the_policys_authors_come_from_the_attached_trust_root():
    without = GOOD._replace(control=None)
    assert outcome(verdict(without, key_trust())) == ("policy_mismatch", 10)
    assert outcome(verdict(GOOD, key_trust())) is Status.SIGNED
    assert outcome(verdict(without)) is Status.SIGNED


def test_an_attached_trust_root_needs_the_signatures_of_the_callers_root_keys():
    others = {"keys": [{"key": hexed(n), "holder": n} for n in ("x", "y")], "threshold": 2}
    stranger = root_with(root=others)
    assert outcome(verdict(GOOD, stranger)) == ("policy_mismatch", 10)
    successor = root_with(version=2, previous=ROOT_SHA256.hex())
    assert verdict(GOOD, successor).trust_root_version == 2


def test_two_notes_of_one_size_and_different_roots_prove_a_fork():
    forked = a_lineage(APPROVAL._replace(request_id="forged"))
    roots = (LINEAGE.tree(9).root, forked.tree(9).root)
    for trust in (ROOT, key_trust()):
        assert verify_fork(LINEAGE.note(9), forked.note(9), trust) == Fork(ORIGIN, 9, roots)


def test_notes_that_agree_prove_no_fork():
    assert verify_fork(LINEAGE.note(9), LINEAGE.note(9), ROOT) is None
    assert verify_fork(LINEAGE.note(9), LINEAGE.note(8), ROOT) is None
    assert verify_fork(LINEAGE.note(9), LINEAGE.note(9, name=f"{ORIGIN}1"), ROOT) is None


def test_a_note_that_counts_for_nothing_proves_no_fork():
    forked = a_lineage(APPROVAL._replace(request_id="forged"), signer="old")
    revoked = root_with(checkpoint_keys=OLD_REVOKED)
    assert outcome(verify_fork(LINEAGE.note(9), forked.note(9), revoked)) == ("key_revoked", 5)
    assert outcome(verify_fork(LINEAGE.note(9), forged_note(), ROOT)) == ("bad_signature", 5)
    assert outcome(verify_fork("x", LINEAGE.note(9), ROOT)) == ("malformed", 1)
    elsewhere = LINEAGE.note(9, name="b/c/d/0/1")
    assert outcome(verify_fork(LINEAGE.note(9), elsewhere, ROOT)) == ("unknown_log", 2)


BARE_DATA = encode_evidence(BARE)


def flipped(data: bytes, bit: int) -> bytes:
    return changed(data, bit // 8, data[bit // 8] ^ 1 << bit % 8)


def test_every_bit_flip_in_an_evidence_file_is_refused():
    for bit in range(len(BARE_DATA) * 8):
        assert isinstance(verify_evidence(flipped(BARE_DATA, bit), ROOT), Refused)


@pytest.mark.slow
def test_every_bit_flip_in_a_signed_entry_is_refused_or_is_another_value():
    """A gate that signs damaged bytes: what is accepted encodes to just these bytes."""
    for bit in range(len(GOOD_ENTRY) * 8):
        entry = flipped(GOOD_ENTRY, bit)
        result = verdict(with_entry(entry))
        assert isinstance(result, Refused) or encode_entry(result.entry) == entry


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(BARE_DATA)), st.integers(0, 60))
def test_no_bytes_make_the_verifier_raise(inserted, start, count):
    data = BARE_DATA[:start] + inserted + BARE_DATA[start + count :]
    result = verify_evidence(data, ROOT)
    assert isinstance(result, Refused) or data == BARE_DATA


def test_the_builder_signs_what_it_says():
    assert hashlib.sha256(GOOD.control.payload).digest() == APPROVAL.trust_root_sha256
