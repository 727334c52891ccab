"""Avro's primitives as bytes: each value has exactly one encoding, the one `reader` accepts.

Arguments come from our own code: a number or a text that no encoding exists for is a programmer's
error and raises `ValueError`. Limits are judged by the reader, not here.
"""

from collections.abc import Sequence
from functools import lru_cache

from gate.core.values import Parameters, Value

NULL = b"\x00"
PRESENT = b"\x02"
"""Branches of every union of null and another type."""


def _varint(raw: int) -> bytes:
    """Seven bits a byte, least first (Avro specification, "Primitive Types")."""
    groups = bytearray()
    while raw > 0x7F:
        groups.append(raw & 0x7F | 0x80)
        raw >>= 7
    groups.append(raw)
    return bytes(groups)


_SMALL_COUNT = 1024
_SMALL = tuple(_varint(number << 1) for number in range(_SMALL_COUNT))
_CONTINUED = tuple(bytes((raw & 0x7F | 0x80, raw >> 7 | 0x80)) for raw in range(1 << 14))
_high = lru_cache(maxsize=1024)(_varint)


def long(number: int) -> bytes:
    """Encode an integer of 64 bits.

    The upper bits of offsets and times repeat from record to record: they are remembered.
    """
    if 0 <= number < _SMALL_COUNT:
        return _SMALL[number]
    raw = (number << 1) ^ (number >> 63)
    if raw < 1 << 14:
        return _varint(raw)
    if raw >> 64:
        raise ValueError(f"expected an integer of 64 bits, got `{number}`")
    return _CONTINUED[raw & 0x3FFF] + _high(raw >> 14)


def optional_long(number: int | None) -> bytes:
    """Encode a union of null and long."""
    return NULL if number is None else PRESENT + long(number)


def int32(number: int) -> bytes:
    """Encode an integer of 32 bits."""
    if not -0x8000_0000 <= number <= 0x7FFF_FFFF:
        raise ValueError(f"expected an integer of 32 bits, got `{number}`")
    return long(number)


def index(number: int, count: int) -> bytes:
    """Encode the index of an enum's symbol, of `count` there are."""
    if not 0 <= number < count:
        raise ValueError(f"expected an index from 0 to {count - 1}, got `{number}`")
    return _SMALL[number]


def boolean(flag: bool) -> bytes:
    """Encode a boolean."""
    return b"\x01" if flag else b"\x00"


def bytes_(raw: bytes) -> bytes:
    """Encode bytes with their length."""
    length = len(raw)
    return (_SMALL[length] if length < _SMALL_COUNT else long(length)) + raw


def string(text: str) -> bytes:
    """Encode a text. Raises `ValueError` for a lone surrogate."""
    raw = text.encode()
    length = len(raw)
    return (_SMALL[length] if length < _SMALL_COUNT else long(length)) + raw


def fixed(raw: bytes, length: int) -> bytes:
    """Encode bytes of a length that the schema knows."""
    if len(raw) != length:
        raise ValueError(f"expected {length} bytes, got {len(raw)}")
    return raw


def array(items: Sequence[bytes]) -> bytes:
    """Encode an array of encoded items: one block, then a zero; the zero alone when empty."""
    if not items:
        return b"\x00"
    return long(len(items)) + b"".join(items) + b"\x00"


def value(item: Value) -> bytes:
    """Encode a value of the union boolean, long, string, bytes, array of string.

    The exact type is the branch, so `True` is never taken for `1`.
    """
    kind = type(item)
    if kind is str:
        return b"\x04" + string(item)  # type: ignore[arg-type]
    if kind is int:
        return b"\x02" + long(item)  # type: ignore[arg-type]
    if kind is bool:
        return b"\x00\x01" if item else b"\x00\x00"
    if kind is bytes:
        return b"\x06" + bytes_(item)  # type: ignore[arg-type]
    if kind is tuple:
        return b"\x08" + array([string(text) for text in item])  # type: ignore[union-attr, arg-type]
    raise ValueError(f"expected a boolean, integer, text, bytes or tuple of texts, got {kind}")


def parameters(pairs: Parameters) -> bytes:
    """Encode an array of names and values, in the order given."""
    return array([string(name) + value(item) for name, item in pairs])
