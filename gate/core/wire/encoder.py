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


_ENDS = tuple(
    [bytes((raw,)) for raw in range(0x80)]
    + [bytes((low, high)) for high in range(1, 0x80) for low in range(0x80, 0x100)]
)
_PAIRS = tuple([bytes((low, high)) for high in range(0x80, 0x100) for low in range(0x80, 0x100)])
# Fourteen bits each: how an integer ends, and how it goes on

SMALL = _ENDS[::2]
SMALL_COUNT = len(SMALL)
"""Encodings of the integers from 0 to 8191: most of the lengths and many of the values."""


def long(number: int) -> bytes:
    """Encode an integer of 64 bits.

    Zigzag, then seven bits a byte, least first (Avro specification, "Binary Encoding").
    """
    if 0 <= number < SMALL_COUNT:
        return SMALL[number]
    raw = number << 1
    if number < 0:
        raw = ~raw
    if raw < 1 << 14:
        return _ENDS[raw]
    if raw < 1 << 28:
        return _PAIRS[raw & 0x3FFF] + _ENDS[raw >> 14]
    if raw >> 64:
        raise ValueError(f"expected an integer of 64 bits, got `{number}`")
    encoded = b""
    while raw > 0x3FFF:
        encoded += _PAIRS[raw & 0x3FFF]
        raw >>= 14
    return encoded + _ENDS[raw]


recurring_long = lru_cache(maxsize=256)(long)
"""`long` for times and offsets that come again within a batch."""


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
    return SMALL[number]


def boolean(flag: bool) -> bytes:
    """Encode a boolean."""
    return b"\x01" if flag else b"\x00"


def bytes_(raw: bytes) -> bytes:
    """Encode bytes with their length."""
    try:
        return SMALL[len(raw)] + raw
    except IndexError:
        return long(len(raw)) + raw


def string(text: str) -> bytes:
    """Encode a text. Raises `ValueError` for a lone surrogate."""
    raw = text.encode()
    try:
        return SMALL[len(raw)] + raw
    except IndexError:
        return long(len(raw)) + raw


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
