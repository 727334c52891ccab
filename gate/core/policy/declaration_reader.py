"""Reading declarations: the types and bounds of inputs, of the resource, of constraints.

What is read is whole: bounds lie the right way round, and a default passes its own declaration.
References to other members are judged by `references`.
"""

from typing import Final

from gate.core.jcs import quoted
from gate.core.policy import names
from gate.core.policy.boundary import check_of
from gate.core.policy.declaration import (
    TEXT,
    BoolType,
    BytesType,
    DateType,
    DeclaredType,
    EnumType,
    IntType,
    ListType,
    Parameter,
    Signal,
    StringType,
    TimestampType,
)
from gate.core.policy.members import Members
from gate.core.values import Value

INPUT_TYPES: Final = ("string", "int", "bool", "enum", "bytes", "timestamp", "date", "list")
CONSTRAINT_TYPES: Final = ("int", "bool", "string", "enum", "list")
RESOURCE_TYPES: Final = ("string", "enum")
_PRINTABLE: Final = frozenset(map(chr, range(0x20, 0x7F)))


def read_parameter(members: Members, name: str) -> Parameter:
    """Read a declared parameter and finish its object."""
    kind = read_type(members, INPUT_TYPES)
    parameter = Parameter(name=name, type=kind, default=_default(members, kind))
    members.done()
    return parameter


def read_signal(members: Members, name: str) -> Signal:
    """Read a declared signal and finish its object."""
    kind = read_type(members, INPUT_TYPES)
    signal = Signal(
        name=name,
        type=kind,
        default=_default(members, kind),
        issuers=members.texts("issuers", None, most=names.ISSUERS_MAX),
        subject=members.text("subject", names.NAME),
        max_age_ms=members.decimal("max_age_ms", 0, names.DURATION_MS_MAX),
    )
    members.done()
    return signal


def read_type(members: Members, allowed: tuple[str, ...]) -> DeclaredType:
    """Read `type` and its bounds, leaving other members to the caller."""
    faults = members.faults
    name = members.choice("type", allowed)
    if members.faults > faults:
        members.abandon()
        return BoolType()
    match name:
        case "int":
            return _int(members)
        case "bool":
            return BoolType()
        case "string":
            return _string(members)
        case "enum":
            return EnumType(values=members.texts("values", None, most=names.ENUM_VALUES_MAX))
        case "bytes":
            least, most = _lengths(members)
            return BytesType(min_len=least, max_len=most)
        case "timestamp":
            return TimestampType()
        case "date":
            return DateType()
        case _:
            members.choice("of", ("string",))
            items_max = members.count("max_items", 0, names.LIST_ITEMS_MAX)
            return ListType(max_items=items_max, item=_string(members))


def _int(members: Members) -> IntType:
    faults = members.faults
    minimum = members.decimal("min", names.INT64_MIN, names.INT64_MAX)
    maximum = members.decimal("max", names.INT64_MIN, names.INT64_MAX)
    if minimum > maximum and members.faults == faults:
        members.fault(("min",), f"expected at most `max` {maximum}, got {minimum}", "swap them")
    unit = members.text("unit", names.UNIT) if members.has("unit") else ""
    return IntType(minimum=minimum, maximum=maximum, unit=unit)


def _string(members: Members) -> StringType:
    least, most = _lengths(members)
    chars = _characters(members) if members.has("chars") else ""
    return StringType(min_len=least, max_len=most, chars=chars)


def _lengths(members: Members) -> tuple[int, int]:
    faults = members.faults
    least = members.count("min_len", 0, names.TEXT_BYTES_MAX)
    most = members.count("max_len", 0, names.TEXT_BYTES_MAX)
    if least > most and members.faults == faults:
        members.fault(("min_len",), f"expected at most `max_len` {most}, got {least}", "swap them")
    return least, most


def _characters(members: Members) -> str:
    """Read `chars`: characters and ranges, a hyphen itself first or last; or `text`."""
    text = members.text("chars")
    if text == TEXT:
        return TEXT
    found: set[str] = set()
    position = 0
    while position < len(text):
        first = last = text[position]
        if text[position + 1 : position + 2] == "-" and position + 2 < len(text):
            last = text[position + 2]
            position += 2
        position += 1
        if first > last:
            members.fault(
                ("chars",), f"range {quoted(first + '-' + last)} is empty", "swap its ends"
            )
        found.update(map(chr, range(ord(first), min(ord(last), 0x7F) + 1)), first, last)
    if not found <= _PRINTABLE:
        members.fault(
            ("chars",),
            f"{quoted(text)} has characters that are not printable ASCII",
            "use `text` for other languages",
        )
    return "".join(sorted(found))


def _default(members: Members, kind: DeclaredType) -> Value | None:
    if not members.has("default"):
        return None
    faults = members.faults
    value = _default_value(members, kind)
    if members.faults == faults and not check_of(kind)(value):
        members.fault(("default",), "the default does not fit its own declaration", "change one")
    return value


def _default_value(members: Members, kind: DeclaredType) -> Value:
    match kind:
        case IntType():
            return members.decimal("default", names.INT64_MIN, names.INT64_MAX)
        case TimestampType():
            return members.decimal("default", names.TIME_MS_MIN, names.TIME_MS_MAX)
        case BoolType():
            return members.flag("default")
        case BytesType():
            text = members.text("default", names.HEX, least=0, most=2 * names.TEXT_BYTES_MAX)
            return bytes.fromhex(text) if names.HEX.fullmatch(text) else b""
        case ListType():
            items = members.array("default", least=0, most=kind.max_items)
            return tuple(item if isinstance(item, str) else "\0" for item in items)
        case _:
            return members.text("default", least=0, most=names.TEXT_BYTES_MAX)
