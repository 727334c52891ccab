"""The request: what is cut from its bytes, its limits, and the findings on a readable one."""

from typing import Any

import pytest

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Attestation, Parameters, RequestSignature
from gate.core.wire import encoder
from gate.core.wire.ask import encode_ask, read_ask
from gate.core.wire.control_record import is_control_record, read_control_record
from gate.core.wire.reader import WireError
from gate.core.wire.request import check_request, read_request, unsigned_bytes
from gate.core.wire.schemas import CONTROL_RECORD, header
from tests.unit.core.wire.samples import (
    ASK,
    AUDIENCE,
    KEY_ID,
    REQUEST_BYTES,
    SAMPLES,
    request_bytes,
)
from tests.unit.core.wire.samples import (
    CONTROL_RECORD as CONTROL_SAMPLE,
)


def refusal(data: bytes) -> tuple[Code, str]:
    with pytest.raises(WireError) as caught:
        read_request(data)
    return caught.value.code, caught.value.field


def findings(**changed: Any) -> tuple[Reason, ...]:
    return check_request(read_request(request_bytes(**changed)), AUDIENCE)


def invalid(field: str) -> Reason:
    return Reason(Code.INVALID_FIELD, Phase.DECODE, field=field)


WRONG_AUDIENCE = Reason(Code.WRONG_AUDIENCE, Phase.DECODE, field="audience")


def test_the_ask_is_cut_from_the_request_s_own_bytes() -> None:
    request = read_request(REQUEST_BYTES)
    assert request.ask == encode_ask(ASK)
    assert read_ask(request.ask) == ASK
    assert request.ask[10:] in REQUEST_BYTES


def test_signed_are_the_bytes_up_to_the_signature_and_its_null_branch() -> None:
    unsigned = request_bytes(signature=None)
    assert read_request(REQUEST_BYTES).signed_bytes == unsigned
    assert read_request(unsigned).signed_bytes == unsigned
    assert unsigned[:-1] == REQUEST_BYTES[: len(unsigned) - 1]
    assert unsigned[-1:] == b"\x00"


def test_unsigned_bytes_are_the_request_without_its_signature() -> None:
    fields: dict[str, Any] = {
        "audience": AUDIENCE,
        "request_id": "r-1",
        **ASK._asdict(),
        "issued_at_ms": 1,
    }
    request = read_request(unsigned_bytes(**fields))
    assert (request.signature, request.expires_at_ms, request.attestations) == (None, None, ())
    assert request.signed_bytes == unsigned_bytes(**fields)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"audience": "x" * 257}, "audience"),
        ({"request_id": "x" * 257}, "request_id"),
        ({"actor": "ü" * 129}, "actor"),
        ({"action": "x" * 257}, "action"),
        ({"resource": "x" * 257}, "resource"),
        ({"correlation_id": "x" * 257}, "correlation_id"),
        ({"parameters": (("a", 1), ("x" * 257, 1))}, "parameters[1].name"),
        ({"parameters": (("a", "x" * 8193),)}, "parameters[0].value"),
        ({"parameters": (("a", b"x" * 8193),)}, "parameters[0].value"),
        ({"parameters": (("a", ("x" * 8193,)),)}, "parameters[0].value"),
        ({"parameters": (("a", ("",) * 257),)}, "parameters[0].value"),
        ({"parameters": (("a", 1),) * 257}, "parameters"),
        ({"parameters": (("a", ("",) * 256),) * 16}, "parameters[15].value"),
        ({"attestations": (Attestation(b"", "", bytes(64)),) * 17}, "attestations"),
        (
            {"attestations": (Attestation(b"x" * 8193, "", bytes(64)),)},
            "attestations[0].statement",
        ),
        ({"attestations": (Attestation(b"", "x" * 257, bytes(64)),)}, "attestations[0].key_id"),
        ({"signature": RequestSignature("x" * 257, bytes(64))}, "signature.key_id"),
    ],
)
def test_a_request_beyond_a_limit_is_refused_and_the_field_named(
    changed: dict[str, Any], field: str
) -> None:
    assert refusal(request_bytes(**changed)) == (Code.LIMIT_EXCEEDED, field)


@pytest.mark.parametrize(
    "changed",
    [
        dict.fromkeys(("audience", "request_id", "actor", "action", "resource"), "x" * 256),
        {"parameters": (("x" * 256, "x" * 8192),)},
        {"parameters": (("a", 1),) * 256},
        {"parameters": (("a", ("",) * 254),) * 16, "attestations": ()},
        {"attestations": (Attestation(b"x" * 8192, "x" * 256, bytes(64)),) * 16},
    ],
)
def test_a_request_at_its_limits_is_read(changed: dict[str, Any]) -> None:
    request = read_request(request_bytes(**changed))
    assert {name: getattr(request, name) for name in changed} == changed


HEAD = REQUEST_BYTES[:10] + b"\x00" * 5


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (REQUEST_BYTES[:10], "audience"),
        (REQUEST_BYTES[:10] + b"\x02\xff", "audience"),
        (REQUEST_BYTES[:10] + b"\x00\x80\x00", "request_id"),
        (HEAD + b"\x01\x02", "parameters"),
        (HEAD + b"\x02" + b"\x02\xff\x00\x00" + bytes(9), "parameters[0].name"),
        (HEAD + b"\x02" + b"\x02a\x04\x02\xff" + bytes(9), "parameters[0].value"),
        (HEAD + b"\x02" + b"\x02a\x00\x02" + bytes(9), "parameters[0].value"),
        (HEAD + b"\x02" + b"\x02a\x02\x80\x00" + bytes(9), "parameters[0].value"),
        (HEAD + b"\x02" + b"\x02a\x0a" + bytes(9), "parameters[0].value"),
        (HEAD + b"\x02" + b"\x02a", "parameters[0].value"),
        (HEAD + b"\x02" + b"\x02a\x00\x01\x02", "parameters"),
        (HEAD + b"\x00\x02\x00\x00\x00", "attestations[0].signature"),
        (HEAD + b"\x00\x00\x80\x80\x80\x80\x80\x00\x00\x00\x00", "issued_at_ms"),
        (HEAD + b"\x00\x00\x00\x04\x00\x00", "expires_at_ms"),
        (HEAD + b"\x00\x00\x00\x00\x00\x01", "signature"),
        (HEAD + b"\x00\x00\x00\x00\x00\x02\x00" + bytes(63), "signature"),
        (HEAD + b"\x00\x00\x00\x00\x00\x00\x00", ""),
    ],
)
def test_a_malformed_request_is_refused_and_the_field_named(data: bytes, field: str) -> None:
    assert refusal(data) == (Code.MALFORMED, field)


def test_the_emptiest_request_is_read() -> None:
    request = read_request(HEAD + bytes(6))
    assert (request.audience, request.parameters, request.signature) == ("", (), None)


def test_the_first_violation_in_byte_order_counts() -> None:
    too_long = encoder.string("x" * 257)
    bad_text = b"\x02\xff"
    assert refusal(REQUEST_BYTES[:10] + too_long + bad_text) == (Code.LIMIT_EXCEEDED, "audience")
    assert refusal(REQUEST_BYTES[:10] + bad_text + too_long) == (Code.MALFORMED, "audience")


def test_a_good_request_has_no_findings() -> None:
    assert findings() == ()
    assert findings(correlation_id="", parameters=()) == ()


def test_what_is_not_ascii_is_good_when_composed_and_visible() -> None:
    assert findings(actor="Zoë", resource="loan/łódź", parameters=(("größe", "\u202e"),)) == ()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"audience": "acme/other"}, (WRONG_AUDIENCE,)),
        ({"audience": ""}, (WRONG_AUDIENCE,)),
        ({"audience": "acme/loans\x00"}, (invalid("audience"), WRONG_AUDIENCE)),
        ({"request_id": ""}, (invalid("request_id"),)),
        ({"actor": ""}, (invalid("actor"),)),
        ({"resource": ""}, (invalid("resource"),)),
        ({"request_id": "r\n1"}, (invalid("request_id"),)),
        ({"actor": "ann\x7f"}, (invalid("actor"),)),
        ({"actor": "ann\x85"}, (invalid("actor"),)),
        ({"actor": "nna\u202e"}, (invalid("actor"),)),
        ({"actor": "Zoe\u0308"}, (invalid("actor"),)),
        ({"resource": "loan\u2028"}, (invalid("resource"),)),
        ({"correlation_id": "\u2066x"}, (invalid("correlation_id"),)),
        ({"parameters": (("", 1),)}, (invalid("parameters[0].name"),)),
        ({"parameters": (("a", 1), ("a", 2))}, (invalid("parameters[1].name"),)),
        ({"parameters": (("b", 1), ("a", 2), ("c", 3))}, (invalid("parameters[1].name"),)),
        ({"parameters": (("a", 1), ("b\x00", 2))}, (invalid("parameters[1].name"),)),
        (
            {
                "audience": "\u200f",
                "request_id": "",
                "actor": "\x1b",
                "action": "A",
                "resource": "",
                "parameters": (("b", 1), ("a", 1)),
                "correlation_id": "\x00",
            },
            (
                invalid("audience"),
                WRONG_AUDIENCE,
                invalid("request_id"),
                invalid("actor"),
                invalid("action"),
                invalid("resource"),
                invalid("parameters[1].name"),
                invalid("correlation_id"),
            ),
        ),
    ],
)
def test_each_bad_field_is_found_in_field_order(
    changed: dict[str, Any], expected: tuple[Reason, ...]
) -> None:
    assert findings(**changed) == expected


@pytest.mark.parametrize("action", ["a", "loan.approve", "a_1.b2._", "0.1"])
def test_a_dotted_lower_case_action_is_good(action: str) -> None:
    assert findings(action=action) == ()


@pytest.mark.parametrize(
    "action", ["", ".", "a.", ".a", "a..b", "A", "a-b", "a b", "a\n", "ä", "a.b\x00"]
)
def test_any_other_action_is_bad(action: str) -> None:
    assert findings(action=action) == (invalid("action"),)


def test_names_ascend_by_code_point_as_their_bytes_do() -> None:
    names = ("A", "a", "z", "é", "\uffee", "\U0001f600")
    assert sorted(names) == list(names) == sorted(names, key=str.encode)
    parameters: Parameters = tuple((name, 1) for name in names)
    assert findings(parameters=parameters) == ()


def test_a_control_record_is_told_by_its_header_alone() -> None:
    head = header(CONTROL_RECORD)
    assert is_control_record(head)
    assert is_control_record(head + b"junk")
    assert [is_control_record(value) for value in (None, b"", head[:9], REQUEST_BYTES)] == [
        False,
        False,
        False,
        False,
    ]


def test_a_control_record_may_be_larger_than_a_request() -> None:
    body = header(CONTROL_RECORD) + b"\x02"
    assert len(read_control_record(body + encoder.bytes_(bytes(256 * 1024))).envelope) == 1 << 18
    with pytest.raises(WireError) as caught:
        read_control_record(body + encoder.bytes_(bytes(256 * 1024 + 1)))
    assert (caught.value.code, caught.value.field) == (Code.LIMIT_EXCEEDED, "envelope")


def test_the_samples_carry_a_control_record_and_a_signature() -> None:
    assert CONTROL_SAMPLE.kind == 2
    assert SAMPLES[0].value.signature == RequestSignature(KEY_ID, b"\x0e" * 64)
