"""The admission key: what is approved at most once.

The tuple of key space, generation and typed parts. Each element is a type byte, a 4-byte big-endian
length and that many bytes, so no two tuples share an encoding. Space and generation are elements
themselves; neither policy, sequence nor signals take part. The Kafka record key is the first part
as text. Which parts are allowed is judged by `references`.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from gate.core.policy.boundary import moment, text_of
from gate.core.policy.declaration import (
    BoolType,
    BytesType,
    DateType,
    EnumType,
    IntType,
    StringType,
    TimestampType,
)
from gate.core.policy.model import Bundle
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Value

_TYPE_BYTES: Final[dict[type, bytes]] = {
    IntType: b"i",
    BoolType: b"b",
    StringType: b"s",
    EnumType: b"e",
    BytesType: b"x",
    TimestampType: b"t",
    DateType: b"d",
}
_SPACE: Final = b"S"
_GENERATION: Final = b"G"


class AdmissionKey(NamedTuple):
    """The encoded tuple, and the Kafka record key that the request must have."""

    encoded: bytes
    routing_key: bytes


class KeyShape:
    """The key of one policy: its space, its generation and its parts."""

    __slots__ = ("_dates", "_first", "_parts", "_prefix")

    def __init__(self, bundle: Bundle) -> None:
        """Prepare what is the same for every request."""
        kinds = {parameter.name: parameter.type for parameter in bundle.parameters}
        self._prefix = element(_SPACE, bundle.key_space.encode()) + element(
            _GENERATION, str(bundle.key_generation).encode()
        )
        self._parts = tuple((f"request.{name}", kinds[name]) for name in bundle.key_parts)
        self._first = self._parts[0]
        self._dates = tuple(name for name in bundle.key_parts if type(kinds[name]) is DateType)

    def key_of(self, inputs: Mapping[str, Value]) -> AdmissionKey:
        """Return the key of inputs that passed their checks."""
        encoded = self._prefix
        for name, kind in self._parts:
            encoded += element(_TYPE_BYTES[type(kind)], _part(inputs[name]))
        name, kind = self._first
        return AdmissionKey(encoded, text_of(kind, inputs[name]).encode())

    def check_time(self, inputs: Mapping[str, Value], append_time_ms: int) -> Reason | None:
        """Compare the first date part that differs with the UTC date of append time."""
        if not self._dates:
            return None
        today = moment(append_time_ms).date().isoformat()
        for name in self._dates:
            day = inputs[f"request.{name}"]
            assert isinstance(day, str)
            if day != today:
                code = Code.STALE if day < today else Code.FROM_FUTURE
                return Reason(code, Phase.ADMIT, field=name)
        return None


def element(type_byte: bytes, data: bytes) -> bytes:
    """Return one element of the tuple."""
    return type_byte + len(data).to_bytes(4, "big") + data


def _part(value: Value) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is bool:
        return b"\x01" if value else b"\x00"
    return str(value).encode()
