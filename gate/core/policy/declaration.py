"""Types of declared values: inputs, the resource, constraints.

Each type is closed and bounded; lengths are UTF-8 bytes. How a value is checked against its type
is `boundary`'s affair, what the engine makes of it `engine`'s.
"""

from dataclasses import dataclass

from gate.core.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class IntType:
    """A 64-bit integer, `minimum <= value <= maximum`; `unit` is for people and for lint."""

    minimum: int
    maximum: int
    unit: str = ""


@dataclass(frozen=True, slots=True)
class BoolType:
    """`True` or `False`, never 1 or 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StringType:
    """A string of `min_len` to `max_len` bytes.

    `chars` is empty for printable ASCII, `text` for any text in NFC without control characters,
    else the sorted characters allowed.
    """

    min_len: int
    max_len: int
    chars: str = ""


TEXT = "text"
"""The one value of `StringType.chars` that is not a set of characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumType:
    """One of some strings."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BytesType:
    """Bytes; expressions see lower-case hexadecimal and may only compare it."""

    min_len: int
    max_len: int


@dataclass(frozen=True, slots=True)
class TimestampType:
    """Milliseconds since 1970 UTC within the years 1000 to 9999; expressions see a timestamp."""


@dataclass(frozen=True, slots=True)
class DateType:
    """A UTC calendar day as `YYYY-MM-DD`; expressions see that string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListType:
    """Up to `max_items` strings."""

    max_items: int
    item: StringType


DeclaredType = (
    IntType | BoolType | StringType | EnumType | BytesType | TimestampType | DateType | ListType
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A declared parameter of the ask. There is no null: `default` None means mandatory."""

    name: str
    type: DeclaredType
    default: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A declared signal; `subject` is the parameter that a statement's subject must equal."""

    name: str
    type: DeclaredType
    default: Value | None
    issuers: tuple[str, ...]
    subject: str
    max_age_ms: int
