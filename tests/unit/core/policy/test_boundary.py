from typing import Any

import pytest

from gate.core.policy.boundary import check_of, signal_check, text_bytes_max, text_of
from gate.core.policy.declaration import (
    BoolType,
    BytesType,
    DateType,
    DeclaredType,
    EnumType,
    IntType,
    ListType,
    StringType,
    TimestampType,
)
from gate.core.reasons import Code
from gate.core.values import Value

INT = IntType(minimum=-5, maximum=10)
STRING = StringType(min_len=1, max_len=4)
UPPER = StringType(min_len=1, max_len=4, chars="-0123456789ABC")
TEXT = StringType(min_len=0, max_len=4, chars="text")
ENUM = EnumType(values=("DE", "FR"))
BYTES = BytesType(min_len=1, max_len=2)
LIST = ListType(max_items=2, item=STRING)

GOOD: list[tuple[DeclaredType, list[Any]]] = [
    (INT, [-5, 0, 10]),
    (BoolType(), [True, False]),
    (STRING, ["a", "~", "a b ", "1234"]),
    (UPPER, ["A-9", "-"]),
    (TEXT, ["", "é", "日", "éé", "a b", "😀"]),
    (ENUM, ["DE"]),
    (BYTES, [b"\x00", b"ab"]),
    (TimestampType(), [-30_610_224_000_000, 0, 253_402_300_799_999]),
    (DateType(), ["1000-01-01", "2024-02-29", "9999-12-31"]),
    (LIST, [(), ("a",), ("a", "a")]),
]
WRONG_TYPE: list[tuple[DeclaredType, list[Any]]] = [
    (INT, [True, False, "1", 1.0, b"1", (), None]),
    (BoolType(), [1, 0, "true", None]),
    (STRING, [1, b"a", ("a",), None]),
    (ENUM, [b"DE", 1]),
    (BYTES, ["ab", bytearray(b"a"), 1]),
    (TimestampType(), [True, "0", 0.0]),
    (DateType(), [20240229, b"2024-02-29"]),
    (LIST, [["a"], "a", (1,), (b"a",), ("a", None)]),
]
OUT_OF_BOUNDS: list[tuple[DeclaredType, list[Any]]] = [
    (INT, [-6, 11, 2**64]),
    (STRING, ["", "12345", "é", "a\0", "\0", "a\nb", "\x7f", "\t"]),
    (UPPER, ["a", "A_", "AaA", "12345", "", "A\0", "Ａ"]),
    (TEXT, ["日日", "a\0", "e\u0301", "\u202ea", "\n", "\ud800", "12345"]),
    (ENUM, ["de", "", "DE "]),
    (BYTES, [b"", b"abc"]),
    (TimestampType(), [-30_610_224_000_001, 253_402_300_800_000]),
    (
        DateType(),
        [
            "2023-02-29",
            "2024-2-29",
            "20240229",
            "2024-W01-1",
            "2024-02-29 ",
            "0000-01-01",
            "٢024-02-29",
        ],
    ),
    (LIST, [("a", "b", "c"), ("",), ("a\0",), ("12345",)]),
]


def cases(table: list[tuple[DeclaredType, list[Any]]]) -> list[Any]:
    return [
        pytest.param(kind, value, id=f"{type(kind).__name__}-{value!a}")
        for kind, values in table
        for value in values
    ]


@pytest.mark.parametrize(("kind", "value"), cases(GOOD))
def test_a_value_within_its_declaration_passes(kind: DeclaredType, value: Value) -> None:
    assert (check_of(kind)(value), signal_check(kind)(value)) == (True, None)


@pytest.mark.parametrize(("kind", "value"), cases(WRONG_TYPE))
def test_a_value_of_another_type_is_invalid(kind: DeclaredType, value: Any) -> None:
    assert (check_of(kind)(value), signal_check(kind)(value)) == (False, Code.SIGNAL_INVALID)


@pytest.mark.parametrize(("kind", "value"), cases(OUT_OF_BOUNDS))
def test_a_value_outside_its_bounds_is_refused(kind: DeclaredType, value: Any) -> None:
    assert (check_of(kind)(value), signal_check(kind)(value)) == (
        False,
        Code.SIGNAL_OUT_OF_BOUNDS,
    )


class Pretender(int):
    """A subclass that calls itself `int`."""


Pretender.__name__ = "int"


def test_a_subclass_is_another_type() -> None:
    assert check_of(INT)(Pretender(1)) is False


def test_an_authors_text_never_becomes_code() -> None:
    hostile = "'] or True or ['"
    kind = EnumType(values=(hostile,))

    assert check_of(kind)(hostile) is True
    assert check_of(kind)("x") is False
    assert check_of(StringType(min_len=1, max_len=40, chars="'\"\\)("))("x") is False


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (INT, -5, "-5"),
        (BoolType(), True, "true"),
        (ENUM, "DE", "DE"),
        (BYTES, b"\x00\xff", "00ff"),
        (TimestampType(), 1_780_315_200_123, "2026-06-01T12:00:00.123Z"),
        (TimestampType(), -1, "1969-12-31T23:59:59.999Z"),
        (DateType(), "2024-02-29", "2024-02-29"),
    ],
)
def test_a_value_has_one_text_within_its_bound(kind: DeclaredType, value: Value, text: str) -> None:
    assert text_of(kind, value) == text
    assert len(text.encode()) <= text_bytes_max(kind)
