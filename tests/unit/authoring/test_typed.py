"""Texts as typed values."""

import pytest

from gate.authoring.typed import (
    declared_text,
    declared_value,
    filled,
    free_value,
    value_text,
)
from gate.authoring.yaml_source import Node, read_yaml
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
from gate.core.values import Value

INT = IntType(minimum=0, maximum=9)
STRING = StringType(min_len=1, max_len=9)
BYTES = BytesType(min_len=0, max_len=9)
LIST = ListType(max_items=2, item=STRING)


def node(text: str) -> Node:
    root, _ = read_yaml(text.encode(), "f.yaml")
    return root


@pytest.mark.parametrize(
    ("text", "declared", "value"),
    [
        ("12", INT, 12),
        ("x", INT, None),
        ("[1]", INT, None),
        ("{a: b}", INT, None),
        ("true", BoolType(), True),
        ("yes", BoolType(), None),
        ("12", STRING, "12"),
        ("a", EnumType(values=("b",)), "a"),
        ("2026-01-31", DateType(), "2026-01-31"),
        ("1970-01-01T00:00:01Z", TimestampType(), 1000),
        ("1000", TimestampType(), None),
        ("00ff", BYTES, b"\x00\xff"),
        ("00FF", BYTES, None),
        ("0", BYTES, None),
        ("[a, 1]", LIST, ("a", "1")),
        ("[]", LIST, ()),
        ("[[a]]", LIST, None),
        ("a", LIST, None),
    ],
)
def test_a_declaration_makes_the_value(
    text: str, declared: DeclaredType, value: Value | None
) -> None:
    got = declared_value(node(text), declared)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("true", True),
        ("x", "x"),
        ("01", "01"),
        ("[1, a]", ("1", "a")),
        ("{a: b}", None),
    ],
)
def test_without_a_declaration_the_text_is_what_it_looks_like(
    text: str, value: Value | None
) -> None:
    got = free_value(node(text))
    assert (got, type(got)) == (value, type(value))


def test_a_template_is_filled_in() -> None:
    parameters: tuple[tuple[str, Value], ...] = (("a", "x"), ("b", 5), ("c", True), ("d", b"\xff"))
    template = "{request.a}/{request.b}/{request.c}/{request.d}/{request.e}/{actor}"
    assert filled(template, parameters) == "x/5/true/ff/{request.e}/{actor}"


def test_values_as_authors_write_them() -> None:
    assert [value_text(value) for value in (True, 5, "x", b"\xff", ("a", "b"))] == [
        "true",
        "5",
        "x",
        "ff",
        "[a, b]",
    ]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (IntType(minimum=1, maximum=9, unit="EUR"), "int from 1 to 9 EUR"),
        (INT, "int from 0 to 9"),
        (BoolType(), "bool: `true` or `false`"),
        (STRING, "string of 1 to 9 bytes of printable ASCII"),
        (
            StringType(min_len=1, max_len=9, chars="text"),
            "string of 1 to 9 bytes of text without control characters, in NFC",
        ),
        (
            StringType(min_len=1, max_len=9, chars="-0123456789ABXYZ_"),
            "string of 1 to 9 bytes of `0-9ABX-Z_-`",
        ),
        (EnumType(values=("DE", "FR")), "one of `DE`, `FR`"),
        (
            EnumType(values=tuple("abcdefghijklmnopq")),
            "one of " + ", ".join(f"`{word}`" for word in "abcdefghijklmnop") + ", …",
        ),
        (BYTES, "0 to 9 bytes"),
        (TimestampType(), "timestamp such as `2026-01-31T00:00:00Z`"),
        (DateType(), "date such as `2026-01-31`"),
        (LIST, "list of at most 2, each a string of 1 to 9 bytes of printable ASCII"),
    ],
)
def test_a_declared_type_is_told_with_its_bounds(declared: DeclaredType, expected: str) -> None:
    assert declared_text(declared) == expected
