"""The protobuf wire format, as much as the engine's serialised expressions need.

A message becomes its fields by number. Promises: nothing is read past the end, nothing outside the
format is accepted. What the fields mean is the caller's affair. Specification:
https://protobuf.dev/programming-guides/encoding/
"""

from typing import Final

FIELDS_MAX: Final = 100_000


class ProtobufInvalid(ValueError):
    """Bytes that are not a message of the expected shape."""


class Message:
    """A message's fields by number, in their order on the wire."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[int, list[int | bytes]]) -> None:
        """Take over the fields."""
        self._fields = fields

    def has(self, number: int) -> bool:
        """Say whether the field is present."""
        return number in self._fields

    def all(self, number: int) -> list[int | bytes]:
        """Return every value of a repeated field."""
        return self._fields.get(number, [])

    def one(self, number: int, absent: int | bytes | None = None) -> int | bytes:
        """Return a field's last value, or `absent`; without it a missing field is an error."""
        values = self._fields.get(number)
        if values:
            return values[-1]
        if absent is None:
            raise ProtobufInvalid(f"field {number} is missing")
        return absent

    def message(self, number: int) -> "Message":
        """Return a field that is a message itself."""
        return read_message(_octets(self.one(number)))

    def messages(self, number: int) -> "list[Message]":
        """Return every value of a repeated field of messages."""
        return [read_message(_octets(value)) for value in self.all(number)]


def read_message(data: bytes) -> Message:
    """Split one message into its fields. Raises `ProtobufInvalid`."""
    fields: dict[int, list[int | bytes]] = {}
    position, end, count = 0, len(data), 0
    while position < end:
        count += 1
        if count > FIELDS_MAX:
            raise ProtobufInvalid(f"more than {FIELDS_MAX} fields")
        tag, position = _varint(data, position)
        value: int | bytes
        match tag & 7:
            case 0:
                value, position = _varint(data, position)
            case 2:
                length, position = _varint(data, position)
                value, position = _slice(data, position, length)
            case 1:
                value, position = _slice(data, position, 8)
            case 5:
                value, position = _slice(data, position, 4)
            case kind:
                raise ProtobufInvalid(f"wire type {kind}")
        fields.setdefault(tag >> 3, []).append(value)
    return Message(fields)


def integer(value: int | bytes) -> int:
    """Return a varint's value. Raises `ProtobufInvalid` for another kind of field."""
    if isinstance(value, int):
        return value
    raise ProtobufInvalid("expected an integer, got bytes")


def text(value: int | bytes) -> str:
    """Return a string field's value. Raises `ProtobufInvalid` unless it is UTF-8."""
    try:
        return _octets(value).decode()
    except UnicodeDecodeError as error:
        raise ProtobufInvalid("string is not UTF-8") from error


def _octets(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    raise ProtobufInvalid("expected bytes, got an integer")


def _slice(data: bytes, position: int, length: int) -> tuple[bytes, int]:
    end = position + length
    if end > len(data):
        raise ProtobufInvalid("field reaches past the end")
    return data[position:end], end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 64:
        if position >= len(data):
            raise ProtobufInvalid("truncated integer")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            if result >> 64:
                raise ProtobufInvalid("integer over 64 bits")
            return result, position
        shift += 7
    raise ProtobufInvalid("integer over 64 bits")
