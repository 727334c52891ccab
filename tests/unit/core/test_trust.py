import hashlib

import pytest

from gate.core import dsse, jcs
from gate.core.signature import load_public_key
from gate.core.trust import (
    KeyRefusal,
    Pin,
    TrustRootInvalid,
    read_trust_root,
    signed_by,
    verify_after_gap,
    verify_first,
    verify_next,
)
from tests.unit.core.proof.lineages import (
    DOMAIN,
    GATE,
    NOW_MS,
    ORIGIN,
    checkpoint_key,
    envelope,
    hexed,
    key_of,
    trust_root,
    trust_root_envelope,
)


def read(**changes):
    return read_trust_root(jcs.canonical(trust_root(**changes)))


def with_role(role, value):
    return {"roles": {**trust_root()["roles"], role: value}}


def public(name):
    return load_public_key(key_of(name).public)


def first():
    return verify_first(dsse.encode_envelope(trust_root_envelope()))


def successor(*names, **changes):
    changes = {"version": 2, "previous": first().sha256.hex(), **changes}
    return dsse.encode_envelope(trust_root_envelope(*names, **changes))


def test_a_trust_root_is_read_whole():
    pin = {"origin": ORIGIN, "size": 12, "root": "ab" * 32}
    root = read(pins=[pin])
    payload = jcs.canonical(trust_root(pins=[pin]))
    assert (root.domain, root.version, root.previous_sha256) == (DOMAIN, 1, None)
    assert (root.issued_ms, root.expires_ms) == (NOW_MS - 1000, NOW_MS + 1_000_000)
    assert root.sha256 == hashlib.sha256(payload).digest()
    assert root.pins == {Pin(ORIGIN, 12, b"\xab" * 32)}
    assert root.root.threshold == 2
    assert set(root.root.holders.values()) == {"ann", "bob", "cem"}


def test_a_requester_signs_as_the_actors_listed_for_its_key_only():
    root, key = read(), key_of("requester")
    assert root.requester_key(key.key_id, "ann@acme.example") == public("requester")
    assert root.requester_key(key.key_id, "agents/7") == public("requester")
    assert root.requester_key(key.key_id, "bob@acme.example") is KeyRefusal.UNKNOWN
    assert root.requester_key(key.key_id, "xagents/7") is KeyRefusal.UNKNOWN
    assert root.requester_key(key_of("issuer").key_id, "agents/7") is KeyRefusal.UNKNOWN
    assert root.requester_key("nonsense", "agents/7") is KeyRefusal.UNKNOWN


def test_a_revoked_requester_is_told_apart_from_an_unknown_one():
    (item,) = trust_root()["roles"]["requester"]
    root = read(**with_role("requester", [{**item, "status": "revoked"}]))
    key = key_of("requester")
    assert root.requester_key(key.key_id, "agents/7") is KeyRefusal.REVOKED
    assert root.requester_key(key.key_id, "bob") is KeyRefusal.UNKNOWN


def test_an_issuer_states_the_signals_listed_under_its_name_only():
    root, key = read(), key_of("issuer")
    assert root.issuer_key(key.key_id, "credit-bureau", "credit_score") == public("issuer")
    assert root.issuer_key(key.key_id, "credit-bureau", "kyc_passed") is KeyRefusal.UNKNOWN
    assert root.issuer_key(key.key_id, "kyc-service", "credit_score") is KeyRefusal.UNKNOWN


def test_authorities_are_the_active_keys_whose_scopes_cover_the_names():
    root = read()
    assert set(root.author_keys("loan-approval").holders.values()) == {"author"}
    assert dict(root.author_keys("payments").keys) == {}
    assert set(root.activator_keys("loan-approval", GATE).holders.values()) == {"dan", "eve"}
    assert dict(root.activator_keys("loan-approval", "other").keys) == {}
    assert root.activator_keys("loan-approval", GATE).threshold == 2
    assert set(root.operator_keys(GATE).holders.values()) == {"fay", "gus"}
    assert dict(root.operator_keys("payments2").keys) == {}


def test_a_role_left_out_has_nobody_and_its_threshold_is_never_met():
    authority = read(roles={}).author_keys("loan-approval")
    with pytest.raises(dsse.EnvelopeInvalid, match="expected signatures of 1 holders, got 0"):
        signed_by(authority, dsse.Envelope(dsse.POLICY, b"{}", ()), dsse.POLICY)


def test_a_checkpoint_key_counts_for_the_origins_listed_for_it():
    keys = [checkpoint_key("checkpoint"), checkpoint_key("old", "revoked")]
    root = read(checkpoint_keys=keys)
    assert root.checkpoint_key(key_of("checkpoint").public, ORIGIN) == public("checkpoint")
    assert root.checkpoint_key(key_of("old").public, ORIGIN) is KeyRefusal.REVOKED
    assert root.checkpoint_key(key_of("ann").public, ORIGIN) is KeyRefusal.UNKNOWN
    other = f"{DOMAIN}/payments2/t/0/1"
    assert root.checkpoint_key(key_of("checkpoint").public, other) is KeyRefusal.UNKNOWN


def test_signers_must_all_be_listed_and_enough():
    authority = read().activator_keys("loan-approval", GATE)
    both = envelope(dsse.ACTIVATION, b"{}", "dan", "eve")
    expected = tuple(sorted([key_of("dan").key_id, key_of("eve").key_id]))
    assert signed_by(authority, both, dsse.ACTIVATION) == expected
    with pytest.raises(dsse.EnvelopeInvalid, match="expected signatures of 2 holders, got 1"):
        signed_by(authority, envelope(dsse.ACTIVATION, b"{}", "dan"), dsse.ACTIVATION)
    with pytest.raises(dsse.EnvelopeInvalid, match="is not listed for this: leave it out"):
        signed_by(authority, envelope(dsse.ACTIVATION, b"{}", "dan", "eve", "x"), dsse.ACTIVATION)


def test_two_keys_of_one_holder_count_once():
    keys = [
        {"key": hexed(name), "holder": holder, "gates": ["*"], "status": "active"}
        for name, holder in (("k1", "dan"), ("k2", "dan"), ("k3", "eve"))
    ]
    root = read(**with_role("operator", {"keys": keys, "threshold": 2}))
    with pytest.raises(dsse.EnvelopeInvalid, match="got 1"):
        signed_by(root.operator_keys(GATE), envelope(dsse.ORDER, b"", "k1", "k2"), dsse.ORDER)
    assert signed_by(root.operator_keys(GATE), envelope(dsse.ORDER, b"", "k1", "k3"), dsse.ORDER)


def test_the_first_trust_root_needs_its_own_threshold():
    assert first() == read()
    with pytest.raises(TrustRootInvalid, match="expected signatures of 2 holders, got 1"):
        verify_first(dsse.encode_envelope(trust_root_envelope("ann")))
    with pytest.raises(TrustRootInvalid, match="is not listed for this"):
        verify_first(dsse.encode_envelope(trust_root_envelope("ann", "bob", "author")))
    mistyped = envelope(dsse.POLICY, jcs.canonical(trust_root()), "ann", "bob")
    with pytest.raises(TrustRootInvalid, match="expected payload type"):
        verify_first(dsse.encode_envelope(mistyped))
    with pytest.raises(TrustRootInvalid, match="not JSON"):
        verify_first(b"{")


def test_the_next_trust_root_follows_the_one_in_force():
    found = verify_next(first(), successor())
    assert (found.version, found.previous_sha256) == (2, first().sha256)


def test_an_expired_trust_root_never_refuses_its_successor():
    old = trust_root_envelope(issued_ms=1, expires_ms=2)
    current = verify_first(dsse.encode_envelope(old))
    assert verify_next(current, successor(previous=current.sha256.hex())).version == 2


ROTATED = {"keys": [{"key": hexed(n), "holder": n} for n in ("cem", "new1", "new2")]}


def test_new_root_keys_need_the_old_threshold_and_the_new_one():
    changes = {"root": {**ROTATED, "threshold": 2}}
    assert verify_next(first(), successor("ann", "cem", "new1", **changes)).version == 2
    with pytest.raises(TrustRootInvalid, match="expected signatures of 2 holders, got 1"):
        verify_next(first(), successor("cem", "new1", **changes))
    with pytest.raises(TrustRootInvalid, match="expected signatures of 2 holders, got 1"):
        verify_next(first(), successor("ann", "cem", **changes))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": 3}, "`version`: expected 2, got 3"),
        ({"version": 1, "previous": None}, "`version`: expected above 1, got 1"),
        ({"previous": "ab" * 32}, "`previous`: expected `"),
        (
            {"domain": "other.example", "checkpoint_keys": []},
            "`domain`: expected `acme.example`, got `other.example`",
        ),
    ],
)
def test_a_trust_root_that_does_not_follow_is_refused(changes, text):
    with pytest.raises(TrustRootInvalid, match=text):
        verify_next(first(), successor(**changes))


def test_after_a_gap_any_newer_version_may_follow_but_never_an_older_one():
    late = successor(version=9, previous="ab" * 32)
    assert verify_after_gap(first(), late).version == 9
    with pytest.raises(TrustRootInvalid, match="expected above 9"):
        verify_after_gap(verify_after_gap(first(), late), successor(version=9))


AUTHOR = trust_root()["roles"]["policy_author"]["keys"][0]
REQUESTER = trust_root()["roles"]["requester"][0]
LOW_ORDER = "01" + "00" * 31


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "gate-trust-root/2"}, "`format`: expected `gate-trust-root/1`"),
        ({"domain": "a/b"}, "`domain`: expected ASCII"),
        ({"version": 0}, "`version`: expected an integer from 1"),
        ({"version": True}, "`version`: expected an integer from 1"),
        ({"previous": "ab" * 32}, "`previous`: expected null in version 1"),
        ({"version": 2}, "`previous`: expected null in version 1"),
        ({"expires_ms": NOW_MS - 1000}, "`expires_ms`: expected an integer from"),
        ({"more": 1}, "`trust root`: unknown member `more`"),
        ({"root": {"keys": [], "threshold": 1}}, "expected at most 0, its active holders, got 1"),
        (
            {"root": {**trust_root()["root"], "threshold": 4}},
            "`root.threshold`: expected at most 3",
        ),
        ({"root": {**trust_root()["root"], "threshold": 0}}, "expected an integer from 1"),
        (with_role("auditor", []), "`roles`: unknown member `auditor`"),
        (with_role("requester", {}), "`roles.requester`: expected an array"),
        (with_role("requester", [REQUESTER] * 2), r"`roles.requester\[1\].key`: stands twice"),
        (with_role("requester", [REQUESTER] * 1025), "at most 1024 items"),
        (with_role("requester", [{**REQUESTER, "key": LOW_ORDER}]), "public key is the identity"),
        (with_role("requester", [{**REQUESTER, "key": "AB" * 32}]), "64 lower-case hexadecimal"),
        (with_role("requester", [{**REQUESTER, "status": "lost"}]), "expected `active` or"),
        (with_role("requester", [{**REQUESTER, "actors": ["*x"]}]), "`\\*` stands only at the end"),
        (with_role("requester", [{**REQUESTER, "actors": [""]}]), "a text of 1 to 256 bytes"),
        (with_role("requester", [{**REQUESTER, "holder": "a\u202eb"}]), "control or bidi"),
        (with_role("requester", [{**REQUESTER, "extra": 1}]), "unknown member `extra`"),
        (with_role("policy_author", [AUTHOR]), "`roles.policy_author`: expected an object"),
        (
            with_role("policy_author", {"keys": [{**AUTHOR, "status": "revoked"}], "threshold": 1}),
            "`roles.policy_author.threshold`: expected at most 0",
        ),
        ({"checkpoint_keys": [checkpoint_key("a")] * 2}, "stands twice, list it once"),
        (
            {"checkpoint_keys": [{**checkpoint_key("a"), "origins": [f"{DOMAIN}/payments"]}]},
            "expected to begin with `acme.example/` and end with `/`",
        ),
        (
            {"checkpoint_keys": [{**checkpoint_key("a"), "origins": ["other.example/x/"]}]},
            "expected to begin with `acme.example/`",
        ),
        ({"pins": [{"origin": ORIGIN, "size": 0, "root": "ab" * 32}]}, r"`pins\[0\].size`"),
        ({"pins": [{"origin": "x/y", "size": 1, "root": "ab" * 32}]}, r"`pins\[0\].origin`"),
    ],
)
def test_an_unsound_trust_root_is_refused_with_its_path(changes, text):
    with pytest.raises(TrustRootInvalid, match=text):
        read(**changes)


def test_a_payload_that_is_not_canonical_is_refused():
    with pytest.raises(TrustRootInvalid, match="not canonical JSON"):
        read_trust_root(jcs.canonical(trust_root()) + b"\n")
