import pytest

from gate.core.policy.compiled import AdmissionKey, Policy
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Value
from tests.unit.core.policy import loan

TYPED: list[tuple[dict[str, object], Value, bytes, bytes]] = [
    ({"type": "int", "min": "-9", "max": "9"}, -9, b"i\x00\x00\x00\x02-9", b"-9"),
    ({"type": "enum", "values": ["DE"]}, "DE", b"e\x00\x00\x00\x02DE", b"DE"),
    (
        {"type": "string", "min_len": 1, "max_len": 9, "chars": "text"},
        "é",
        b"s\x00\x00\x00\x02\xc3\xa9",
        b"\xc3\xa9",
    ),
    (
        {"type": "bytes", "min_len": 1, "max_len": 2},
        b"\x00\xff",
        b"x\x00\x00\x00\x02\x00\xff",
        b"00ff",
    ),
    ({"type": "date"}, "2026-06-01", b"d\x00\x00\x00\x0a2026-06-01", b"2026-06-01"),
]
LATER: list[tuple[dict[str, object], Value, bytes]] = [
    ({"type": "bool"}, True, b"b\x00\x00\x00\x01\x01"),
    ({"type": "bool"}, False, b"b\x00\x00\x00\x01\x00"),
    ({"type": "timestamp"}, 0, b"t\x00\x00\x00\x010"),
]
PREFIX = b"S\x00\x00\x00\x05loansG\x00\x00\x00\x011"


def keyed(kind: dict[str, object], *parts: str) -> Policy:
    document = loan.changed()
    document["inputs"].insert(0, {"name": "request.a", **kind})
    document["key"]["parts"] = list(parts)
    return loan.policy_of(document)


@pytest.mark.parametrize(("kind", "value", "encoded", "text"), TYPED)
def test_the_first_part_is_also_the_record_key(
    kind: dict[str, object], value: Value, encoded: bytes, text: bytes
) -> None:
    assert keyed(kind, "a").admission_key({"request.a": value}) == AdmissionKey(
        PREFIX + encoded, text
    )


@pytest.mark.parametrize(("kind", "value", "encoded"), LATER)
def test_every_scalar_can_be_a_later_part(
    kind: dict[str, object], value: Value, encoded: bytes
) -> None:
    key = keyed(kind, "loan_id", "a").admission_key(loan.inputs(a=value))

    assert key == AdmissionKey(PREFIX + b"s\x00\x00\x00\x03L-1" + encoded, b"L-1")


def test_space_and_generation_are_part_of_the_key() -> None:
    document = loan.changed()
    document["key"] |= {"space": "other", "generation": "2"}

    assert loan.policy_of(document).admission_key(loan.inputs()).encoded == (
        b"S\x00\x00\x00\x05otherG\x00\x00\x00\x012s\x00\x00\x00\x03L-1"
    )


def test_neither_policy_sequence_nor_signals_are_part_of_the_key() -> None:
    other = loan.policy_of(loan.changed(policy="other", sequence="8", version="2.0.0"))
    inputs = loan.inputs()

    assert other.admission_key(inputs) == loan.policy_of().admission_key(
        {**inputs, "signal.credit_score": 300}
    )


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-06-01", None),
        ("2026-05-31", Reason(Code.STALE, Phase.ADMIT, field="a")),
        ("2025-12-31", Reason(Code.STALE, Phase.ADMIT, field="a")),
        ("2026-06-02", Reason(Code.FROM_FUTURE, Phase.ADMIT, field="a")),
        ("9999-12-31", Reason(Code.FROM_FUTURE, Phase.ADMIT, field="a")),
    ],
)
def test_a_date_part_must_be_the_day_of_append_time(day: str, expected: Reason | None) -> None:
    policy = keyed({"type": "date"}, "loan_id", "a")

    assert policy.check_key_time(loan.inputs(a=day), loan.NOW_MS) == expected


def test_the_day_turns_at_midnight_utc() -> None:
    policy = keyed({"type": "date"}, "loan_id", "a")
    midnight_ms = loan.NOW_MS + loan.DAY_MS // 2
    inputs = loan.inputs(a="2026-06-01")

    assert policy.check_key_time(inputs, midnight_ms - 1) is None
    assert policy.check_key_time(inputs, midnight_ms) == Reason(Code.STALE, Phase.ADMIT, field="a")


def test_a_date_that_is_no_part_is_not_compared() -> None:
    policy = keyed({"type": "date"}, "loan_id")

    assert policy.check_key_time(loan.inputs(a="1999-01-01"), loan.NOW_MS) is None
