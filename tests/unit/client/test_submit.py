"""Building requests and statements: what is signed, and where it goes."""

import pytest

from gate.authoring.check import check_source
from gate.client.submit import Draft, Issuer, Submission, attest, build
from gate.core import dsse
from gate.core.placement import partition_of
from gate.core.reasons import Code, Phase, Reason
from gate.core.signature import key_id, load_public_key
from gate.core.wire.request import read_request
from gate.core.wire.statement import read_statement
from gate.errors import ConfigInvalid
from tests.unit.client.signing import DrawnSigner

POLICY = b"""\
format: gate-policy/1
policy: p
version: 1.0.0
sequence: 1
owner: o@acme.example
governs: [p.do]
valid: {from: "2026-01-01T00:00:00Z", until: "2031-01-01T00:00:00Z"}
window: {max_age: 15m, max_ahead: 60s}
resource: "p/{request.id}"
key: {space: p, generation: 1, parts: [request.id]}
request:
  id: {type: string, max_len: 8}
  who: {type: string, max_len: 8, default: nobody}
signals:
  a: {type: int, min: 0, max: 9, issuers: [one, two], subject: request.who, max_age: 1h}
  b: {type: int, min: 0, max: 9, issuers: [two], subject: request.who, max_age: 1h}
  c: {type: int, min: 0, max: 9, issuers: [two], subject: request.id, max_age: 1h}
rules:
  - {id: r, allow: signal.a + signal.b + signal.c > 0}
constraints: {valid_for: 1h}
"""
NOW_MS = 1_800_000_000_000


@pytest.fixture(scope="module")
def policy():
    return check_source(POLICY, "p").policy


def _draft(**changes):
    given = {
        "audience": "d/g",
        "request_id": "r-1",
        "actor": "ann",
        "action": "p.do",
        "resource": "p/x",
        "parameters": (("id", "x"), ("who", "ann")),
        "attestations": (),
        "issued_at_ms": NOW_MS,
    }
    return Draft(**{**given, **changes})


def test_a_built_request_is_signed_over_the_bytes_that_are_sent(policy):
    signer = DrawnSigner(1)
    built = build(_draft(), policy=policy, partition_count=16, signer=signer)
    assert isinstance(built, Submission)
    request = read_request(built.value)
    key = load_public_key(signer.public_key())
    assert request.signature.key_id == key_id(signer.public_key())
    assert key.verify(dsse.pae(dsse.REQUEST, request.signed_bytes), request.signature.signature)
    assert (built.key, built.partition) == (b"x", partition_of(b"x", 16))


def test_without_a_signer_a_request_is_sent_unsigned(policy):
    built = build(_draft(), policy=policy, partition_count=1, signer=None)
    assert isinstance(built, Submission)
    assert read_request(built.value).signature is None


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"parameters": ()}, Code.PARAMETER_MISSING, "id"),
        (
            {"parameters": (("id", "x"), ("other", 1), ("who", "ann"))},
            Code.PARAMETER_UNDECLARED,
            "other",
        ),
        ({"resource": "p/y"}, Code.RESOURCE_MISMATCH, "resource"),
    ],
)
def test_an_ask_that_the_policy_refuses_is_told_not_sent(policy, changes, code, field):
    found = build(_draft(**changes), policy=policy, partition_count=1, signer=None)
    assert found == (Reason(code, Phase.ADMIT, field=field),)


def test_signals_are_stated_by_issuer_and_subject(policy):
    one, two = Issuer("one", DrawnSigner(1)), Issuer("two", DrawnSigner(2))
    made = attest(
        {"a": 1, "b": 2, "c": 3},
        (("id", "x"), ("who", "ann")),
        policy=policy,
        issuers=(one, two),
        domain="d",
        now_ms=NOW_MS,
    )
    stated = [read_statement(item.statement) for item in made]
    assert [(s.issuer, s.subject_type, s.subject, s.signals) for s in stated] == [
        ("one", "who", "ann", (("a", 1),)),
        ("two", "who", "ann", (("b", 2),)),
        ("two", "id", "x", (("c", 3),)),
    ]
    assert {(s.domain, s.issued_ms) for s in stated} == {("d", NOW_MS)}
    for item, issuer in zip(made, (one, two, two), strict=True):
        public = issuer.signer.public_key()
        assert item.key_id == key_id(public)
        message = dsse.pae(dsse.SIGNAL, item.statement)
        assert load_public_key(public).verify(message, item.signature)


@pytest.mark.parametrize(
    ("signals", "parameters", "expected"),
    [
        ({"b": 1}, (("id", "x"), ("who", "ann")), "signal `b` is stated by two"),
        ({"a": 1}, (("id", "x"),), "signal `a` is about parameter `who`: add it"),
    ],
)
def test_a_signal_that_nobody_can_state_is_refused(policy, signals, parameters, expected):
    with pytest.raises(ConfigInvalid, match=expected):
        attest(
            signals,
            parameters,
            policy=policy,
            issuers=(Issuer("one", DrawnSigner(1)),),
            domain="d",
            now_ms=NOW_MS,
        )
