"""The usual way and the plain way of a request give one answer, for any policy and any bytes.

Negative controls stand beside the laws: with a test of the usual way taken out they are noticed.
"""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gate.core.policy import usual as generator
from gate.core.policy.bundle import parse_bundle
from gate.core.policy.compiled import Policy, compile_policy
from gate.core.usual import read_usual
from gate.core.values import Attestation, RequestSignature, Value
from gate.core.wire.inputs import decode_inputs, encode_inputs
from gate.core.wire.reader import WireError
from gate.core.wire.request import check_request, encode_request, read_request
from tests.unit.core.policy import loan

AUDIENCE = "acme.example/gate"
NFD, NFC = "u\u0308", "\u00fc"


def _thing() -> dict[str, Any]:
    """A policy with a parameter of each type that the usual way reads."""
    inputs = [
        {"name": "request.a_flag", "type": "bool"},
        {"name": "request.b_day", "type": "date"},
        {"name": "request.c_kind", "type": "enum", "values": ["DE", "é", "Ã©"]},
        loan.integer("d_number", -(2**63), 2**63 - 1),
        loan.integer("e_small", -5, 300),
        loan.text("request.f_plain", min_len=0, max_len=200),
        loan.text("request.g_any", min_len=0, max_len=200, chars="text"),
        loan.text("request.h_some", min_len=0, max_len=200, chars="A-Z"),
        loan.text("request.i_id", max_len=64, chars="A-Z0-9-"),
        {"name": "request.j_time", "type": "timestamp"},
    ]
    for item in inputs:
        if not item["name"].startswith("request."):
            item["name"] = "request." + item["name"]
    return loan.changed(
        inputs=inputs,
        governs=["thing.do", "thing.undo"],
        resource={"template": "thing/{request.i_id}/{request.e_small}"},
        key={"space": "things", "generation": "1", "parts": ["i_id"]},
        variables=[],
        rules=[loan.allow("any", 'action == "thing.do" || request.e_small >= -5')],
        constraints={"valid_for_ms": "900000", "values": []},
    )


def _policy(document: dict[str, Any]) -> Policy:
    return compile_policy(parse_bundle(loan.pack(document)), bytes(32))


POLICIES = {action: _policy(_thing()) for action in ("thing.do", "thing.undo")}
POLICIES["loan.approve"] = _policy(loan.LOAN)
GOOD: dict[str, Value] = {
    "a_flag": True,
    "b_day": "2026-06-01",
    "c_kind": "DE",
    "d_number": 1,
    "e_small": 7,
    "f_plain": "text",
    "g_any": "text",
    "h_some": "AB",
    "i_id": "T-1",
    "j_time": loan.NOW_MS,
}

around = st.integers(0, 63).flatmap(lambda bits: st.integers(2**bits - 2, 2**bits + 2))
numbers = st.one_of(around, around.map(lambda n: -n), st.integers(-(2**63), 2**63 - 1)).filter(
    lambda n: -(2**63) <= n < 2**63
)
texts = st.one_of(
    st.text(max_size=10),
    st.text("AB-", max_size=200),
    st.sampled_from(
        ["DE", "é", "Ã©", NFD, NFC, "x\0", "x\u202e", "2026-06-31", "A" * 64, "A" * 128]
    ),
)
odd_values = st.one_of(
    st.booleans(), numbers, texts, st.binary(max_size=3), st.lists(texts, max_size=2).map(tuple)
)
fitting = st.fixed_dictionaries(
    {},
    optional={
        "a_flag": st.booleans(),
        "b_day": st.dates().map(str),
        "c_kind": st.sampled_from(["DE", "é", "Ã©"]),
        "d_number": numbers,
        "e_small": st.integers(-6, 301),
        "f_plain": st.one_of(st.text("ab ~", max_size=201), texts),
        "g_any": st.one_of(st.text("ab" + NFC, max_size=201), texts),
        "h_some": st.one_of(st.text("ABé", max_size=201), texts),
        "i_id": st.text("AZ09-", max_size=65),
        "j_time": st.integers(-(10**14), 10**15),
    },
)
names = st.one_of(st.sampled_from(["r-1", "", "x" * 63, "x" * 64, "x" * 256, "x" * 257]), texts)
attestations = st.lists(
    st.builds(Attestation, st.binary(max_size=5), names, st.just(bytes(64))), max_size=2
).map(tuple)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Encode a request that is mostly usual, or a little off."""
    values = {**GOOD, **draw(fitting)}
    if draw(st.integers(0, 3)) == 0:
        values |= draw(st.dictionaries(st.sampled_from([*GOOD, "k", ""]), odd_values, max_size=2))
    if draw(st.integers(0, 7)) == 0:
        values.pop(draw(st.sampled_from(sorted(values))))
    right = f"thing/{values.get('i_id')}/{values.get('e_small')}"
    rare = draw(st.integers(0, 3)) == 0
    return encode_request(
        audience=draw(names) if rare else AUDIENCE,
        request_id=draw(names) if rare else "r-1",
        actor=draw(st.one_of(st.just("somebody"), names)),
        action=draw(st.sampled_from(["thing.do", "thing.undo", "loan.approve", "other", ""])),
        resource=draw(names) if rare else right,
        parameters=tuple(sorted(values.items())),
        attestations=draw(attestations),
        issued_at_ms=draw(st.one_of(st.just(loan.NOW_MS), numbers)),
        expires_at_ms=draw(st.one_of(st.none(), numbers)),
        correlation_id=draw(st.one_of(st.just(""), names)),
        signature=draw(st.one_of(st.none(), st.just(RequestSignature("k", bytes(64))))),
    )


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Change, insert or drop bytes of a usual request; the bytes that mean most come often."""
    value = bytearray(usual_bytes())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(value) - 1, 0)))
        byte = draw(
            st.one_of(st.sampled_from([0, 1, 2, 0x7F, 0x80, 0x81, 0xFF]), st.integers(0, 255))
        )
        match draw(st.integers(0, 3)):
            case 0:
                value[at : at + 1] = bytes([byte])
            case 1:
                value[at:at] = bytes([byte])
            case 2:
                del value[at : at + draw(st.integers(1, 3))]
            case _:
                if at < len(value):
                    value[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(value)


def usual_bytes(**changed: Value) -> bytes:
    values = {**GOOD, **changed}
    return encode_request(
        audience=AUDIENCE,
        request_id="r-1",
        actor="somebody",
        action="thing.do",
        resource=f"thing/{values['i_id']}/{values['e_small']}",
        parameters=tuple(sorted(values.items())),
        issued_at_ms=loan.NOW_MS,
    )


def check_one_answer(value: bytes) -> bool:
    """Compare both ways; return whether the usual way was taken."""
    usual = read_usual(value, AUDIENCE, POLICIES)
    if usual is None:
        return False
    try:
        request = read_request(value)
    except WireError as fault:
        raise AssertionError(f"the plain way can not read it: {fault}") from fault
    check = POLICIES[request.action].check_ask(request)
    assert (check_request(request, AUDIENCE), check.reasons) == ((), ())
    assert repr(usual.request) == repr(request)  # exact types: `True` is not `1`
    assert repr(list(usual.inputs.items())) == repr(list(check.inputs.items()))
    assert usual.evaluated == encode_inputs(check.evaluated)
    assert decode_inputs(usual.evaluated) == check.evaluated
    return True


@settings(max_examples=1500, deadline=None)
@given(requests())
def test_what_is_usual_reads_as_the_plain_way_reads_it(value: bytes) -> None:
    check_one_answer(value)


@settings(max_examples=3000, deadline=None)
@given(damaged())
@example(usual_bytes(c_kind="Ã©"))
@example(usual_bytes(d_number=64).replace(b"er\x02\x80\x01", b"er\x02\x80\x81\x00"))
@example(usual_bytes(d_number=64).replace(b"er\x02\x80\x01", b"er\x02\x80\x00"))
@example(usual_bytes(f_plain="").replace(b"f_plain\x04\x00", b"f_plain\x04\x80\x00"))
def test_damaged_bytes_are_usual_only_where_the_plain_way_reads_them(value: bytes) -> None:
    check_one_answer(value)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"d_number": 2**63 - 1},
        {"d_number": -(2**63)},
        {"d_number": 2**20},
        {"d_number": -(2**20) - 1},
        {"e_small": 64},
        {"g_any": NFC * 100},
        {"f_plain": "x" * 200},
        {"a_flag": False},
    ],
)
def test_usual_requests_take_the_usual_way(changed: dict[str, Value]) -> None:
    assert check_one_answer(usual_bytes(**changed))


@pytest.mark.parametrize(
    ("good", "bad", "value"),
    [
        (
            "if number < 0x80: return None",
            "",
            usual_bytes(d_number=64).replace(b"er\x02\x80\x01", b"er\x02\x81\x00"),
        ),
        (
            "if byte > 1: return None",
            "",
            usual_bytes().replace(b"a_flag\x00\x01", b"a_flag\x00\x02"),
        ),
        (
            "if {v} is None: return None",
            "if {v} is None: {v} = text[at:{e}]",
            usual_bytes(g_any=NFD),
        ),
        (
            "if not 0x80 <= size < 0x4000: return None",
            "",
            usual_bytes(f_plain="").replace(b"f_plain\x04\x00", b"f_plain\x04\x80\x00"),
        ),
    ],
    ids=["shortest form", "boolean", "normal form", "shortest length"],
)
def test_without_a_check_the_ways_differ(
    monkeypatch: pytest.MonkeyPatch, good: str, bad: str, value: bytes
) -> None:
    assert not check_one_answer(value)
    for name in ("_BOOL", "_INT", "_TEXT", "_ANY_TEXT"):
        code = getattr(generator, name)
        monkeypatch.setattr(generator, name, code.replace(good, bad or "pass"))
    monkeypatch.setitem(POLICIES, "thing.do", _policy(_thing()))

    with pytest.raises(AssertionError):
        check_one_answer(value)
