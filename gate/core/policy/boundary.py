"""The boundary: values against their declarations, before anything else sees them.

Checks are code generated when a policy is compiled, because they run for each input of each
request: exact Python types (`True` is no integer), bounds, lengths in UTF-8 bytes, characters, NFC,
no control characters, so no NUL. Generated text holds only numbers and names that this module
makes; everything an author wrote enters as an object, never as text.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from gate.core.policy import names
from gate.core.policy.declaration import (
    TEXT,
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
from gate.core.wire.text import has_forbidden, is_nfc

_PYTHON_TYPES: Final[dict[type, type]] = {
    IntType: int,
    BoolType: bool,
    StringType: str,
    EnumType: str,
    BytesType: bytes,
    TimestampType: int,
    DateType: str,
    ListType: tuple,
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def check_of(kind: DeclaredType) -> Callable[[object], bool]:
    """Return a function that says whether a value passes its declaration; make it once."""
    objects: dict[str, Any] = {}
    bounds = bounds_test(kind, "value", objects)
    return _generated(f"lambda value: {type_test(kind, 'value')} and {bounds}", objects)


def signal_check(kind: DeclaredType) -> Callable[[Value], Code | None]:
    """Return a function that gives the code of a bad signal value, None for a good one."""
    objects: dict[str, Any] = {
        "invalid": Code.SIGNAL_INVALID,
        "out_of_bounds": Code.SIGNAL_OUT_OF_BOUNDS,
    }
    bounds = bounds_test(kind, "value", objects)
    code = (
        f"lambda value: (None if {bounds} else out_of_bounds) "
        f"if {type_test(kind, 'value')} else invalid"
    )
    return _generated(code, objects)


def type_test(kind: DeclaredType, value: str) -> str:
    """Return generated code that tests the exact type of the variable named `value`."""
    test = f"type({value}) is {_PYTHON_TYPES[type(kind)].__name__}"
    if isinstance(kind, ListType):
        return f"({test} and all([type(item) is str for item in {value}]))"
    return test


def bounds_test(kind: DeclaredType, value: str, objects: dict[str, Any]) -> str:
    """Return generated code that tests the bounds of a value whose type was tested.

    What the code needs is added to `objects`, its global names. An empty text: always true.
    """
    name = f"o{len(objects)}"
    match kind:
        case IntType():
            return f"{kind.minimum} <= {value} <= {kind.maximum}"
        case TimestampType():
            return f"{names.TIME_MS_MIN} <= {value} <= {names.TIME_MS_MAX}"
        case BytesType():
            return f"{kind.min_len} <= len({value}) <= {kind.max_len}"
        case BoolType():
            return "True"
        case EnumType():
            objects[name] = frozenset(kind.values)
            return f"{value} in {name}"
        case DateType():
            objects[name] = is_date
            return f"{name}({value})"
        case ListType():
            objects[name] = check_of(kind.item)
            return f"(len({value}) <= {kind.max_items} and all([{name}(item) for item in {value}]))"
        case StringType():
            return _string_test(kind, value, name, objects)


def is_date(text: str) -> bool:
    """Say whether the text is a calendar day as `YYYY-MM-DD`, and only that spelling."""
    if len(text) != 10 or not text.isascii():
        return False
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def moment(time_ms: int) -> datetime:
    """Return milliseconds since 1970 UTC, within the years 1000 to 9999, as a time in UTC."""
    return _EPOCH + timedelta(milliseconds=time_ms)


def _string_test(kind: StringType, value: str, name: str, objects: dict[str, Any]) -> str:
    if kind.chars == TEXT:
        objects[name] = _text_within(kind.min_len, kind.max_len)
        return f"{name}({value})"
    length = f"{kind.min_len} <= len({value}) <= {kind.max_len}"
    if not kind.chars:
        return f"({length} and {value}.isascii() and {value}.isprintable())"
    # Stripped of its allowed characters from both ends, only an allowed text leaves nothing.
    objects[name] = kind.chars
    return f"({length} and not {value}.strip({name}))"


def _text_within(least: int, most: int) -> Callable[[str], bool]:
    def within(value: str) -> bool:
        if has_forbidden(value) or not is_nfc(value):
            return False
        return least <= len(value.encode()) <= most

    return within


def _generated(code: str, objects: dict[str, Any]) -> Callable[[Any], Any]:
    """Return the function that the generated code is."""
    function: Callable[[Any], Any] = eval(code, objects)  # noqa: S307 - numbers and our own names
    return function


def text_of(kind: DeclaredType, value: Value) -> str:
    """Return a value as text for messages, the resource and the record key; lists have none."""
    match kind:
        case BoolType():
            return "true" if value else "false"
        case BytesType():
            assert isinstance(value, bytes)
            return value.hex()
        case TimestampType():
            assert isinstance(value, int)
            return moment(value).isoformat(timespec="milliseconds")[:23] + "Z"
        case ListType():
            raise AssertionError("a list has no text")
        case _:
            return str(value)


def text_bytes_max(kind: DeclaredType) -> int:
    """Return the most bytes that `text_of` can give."""
    match kind:
        case IntType():
            return max(len(str(kind.minimum)), len(str(kind.maximum)))
        case BoolType():
            return 5
        case StringType():
            return kind.max_len
        case EnumType():
            return max((len(value.encode()) for value in kind.values), default=0)
        case BytesType():
            return 2 * kind.max_len
        case TimestampType():
            return 24
        case DateType():
            return 10
        case ListType():
            return kind.max_items * (kind.item.max_len + 5) + 10
