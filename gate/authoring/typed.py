"""Texts of files as typed values: what a declaration makes of them.

YAML is read as strings only, so a declared type decides what `1` is. Bounds are not judged here:
a value out of bounds must reach the gate's own checks.
"""

import re

from gate.authoring.quantities import moment_ms, whole
from gate.authoring.yaml_source import Mapping, Node, Scalar, Sequence
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
from gate.core.values import Parameters, Value
from gate.core.wire.text import escaped

_PLACEHOLDER = re.compile(r"\{request\.[a-z0-9_]+\}")
_WORDS_SHOWN_MAX = 16
_FLAGS = {"true": True, "false": False}


def declared_value(node: Node, declared: DeclaredType) -> Value | None:
    """Return the value of a text or list under a declared type, or `None` for another form.

    Timestamps are RFC 3339 in UTC and become milliseconds; bytes are hexadecimal digits.
    """
    if isinstance(node, Sequence):
        return texts(node) if isinstance(declared, ListType) else None
    if not isinstance(node, Scalar):
        return None
    match declared:
        case IntType():
            return whole(node.text)
        case BoolType():
            return _FLAGS.get(node.text)
        case StringType() | EnumType() | DateType():
            return node.text
        case TimestampType():
            return moment_ms(node.text)
        case BytesType():
            return _from_hex(node.text)
    return None


def free_value(node: Node) -> Value | None:
    """Return the value that a text most likely means where nothing declares it."""
    if isinstance(node, Mapping):
        return None
    if isinstance(node, Sequence):
        return texts(node)
    number = whole(node.text)
    if number is not None:
        return number
    return _FLAGS.get(node.text, node.text)


def texts(node: Sequence) -> tuple[str, ...] | None:
    """Return the items of a list of texts, or `None` if one is no text."""
    items = tuple(item.text for item in node.items if isinstance(item, Scalar))
    return items if len(items) == len(node.items) else None


def filled(template: str, parameters: Parameters) -> str:
    """Return a resource template with its parameters filled in; unknown ones stay as they are."""
    values = {f"{{request.{name}}}": value_text(value) for name, value in parameters}
    return _PLACEHOLDER.sub(lambda match: values.get(match[0], match[0]), template)


def declared_text(declared: DeclaredType) -> str:
    """Return a declared type with its bounds, as people read them; outside text is escaped."""
    match declared:
        case IntType():
            unit = f" {declared.unit}" if declared.unit else ""
            return f"int from {declared.minimum} to {declared.maximum}{unit}"
        case BoolType():
            return "bool: `true` or `false`"
        case StringType():
            return f"string of {declared.min_len} to {declared.max_len} bytes{_of(declared.chars)}"
        case EnumType():
            words = declared.values[:_WORDS_SHOWN_MAX]
            more = ", …" * (len(declared.values) > len(words))
            return "one of " + ", ".join(f"`{escaped(word)}`" for word in words) + more
        case BytesType():
            return f"{declared.min_len} to {declared.max_len} bytes"
        case TimestampType():
            return "timestamp such as `2026-01-31T00:00:00Z`"
        case DateType():
            return "date such as `2026-01-31`"
        case ListType():
            return f"list of at most {declared.max_items}, each a {declared_text(declared.item)}"


def _of(chars: str) -> str:
    """Return the characters of a string type as its author writes them: ranges, the hyphen last."""
    if chars == TEXT:
        return " of text without control characters, in NFC"
    if not chars:
        return " of printable ASCII"
    ranges, start = [], 0
    listed = sorted(set(chars) - {"-"})
    for at in range(1, len(listed) + 1):
        if at < len(listed) and ord(listed[at]) == ord(listed[at - 1]) + 1:
            continue
        run = listed[start:at]
        ranges.append(f"{run[0]}-{run[-1]}" if len(run) > 2 else "".join(run))
        start = at
    return f" of `{escaped(''.join(ranges))}{'-' * ('-' in chars)}`"


def value_text(value: Value) -> str:
    """Return a value as an author writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(value) + "]"
    return value.hex() if isinstance(value, bytes) else str(value)


def _from_hex(text: str) -> bytes | None:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return None
    return value if value.hex() == text else None
