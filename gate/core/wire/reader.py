"""The strict reader: one cursor over hostile bytes, with Avro's primitives as its methods.

It accepts exactly what our encoder writes, so what is accepted encodes again to the same bytes.
Stricter than the Avro specification, which allows several encodings of one value:

* integers in their shortest form; enum and union indexes in range; booleans 0 or 1
* UTF-8 without surrogates or overlong forms
* an array is one block with a positive count and a zero, or the zero alone
* no byte after the last field

INVARIANT (no bomb): a declared length or count is compared with the bytes that remain, then with
its limit, before anything of that size is made. The first violation met in byte order counts.

What the fields mean, and the size of the whole, is judged by the callers.
"""

from typing import NamedTuple, NoReturn

from gate.core import limits
from gate.core.reasons import Code
from gate.core.values import Value
from gate.core.wire.schemas import HEADER_BYTES, MARKER, Schema, header

RECORD_BYTES_MAX = 16 * 1024 * 1024
"""Largest record of our own topics that is read back."""


TIME_BYTES = 6
"""How many bytes a time in milliseconds takes from 1970 to 2039."""


class WireError(Exception):
    """Bytes that can not be read. `code` says why, `field` where, `text` the whole in words.

    `code` is one of `FRAMING_UNKNOWN`, `SCHEMA_UNKNOWN`, `MALFORMED`, `LIMIT_EXCEEDED`; `field`
    is empty when no field is to blame.
    """

    def __init__(self, code: Code, field: str, text: str) -> None:
        """Name the culprit."""
        super().__init__(f"`{field}`: {text}" if field else text)
        self.code = code
        self.field = field
        self.text = text

    def within(self, place: str) -> "WireError":
        """Return the same error with its field inside another."""
        return WireError(self.code, f"{place}.{self.field}", self.text)


class Bounds(NamedTuple):
    """The largest identifier, string or bytes, and array; and the array items of a whole record."""

    identifier_bytes_max: int
    string_bytes_max: int
    array_items_max: int
    elements_max: int


HOSTILE = Bounds(
    limits.IDENTIFIER_BYTES_MAX,
    limits.STRING_BYTES_MAX,
    limits.ARRAY_ITEMS_MAX,
    limits.ELEMENTS_MAX,
)
"""For what producers send."""

RECORDED = Bounds(RECORD_BYTES_MAX, RECORD_BYTES_MAX, 65_536, 65_536)
"""For what the gate wrote: room for all it ever writes, and no more strictness given up."""


def refuse_header(data: bytes, schemas: tuple[Schema, ...]) -> NoReturn:
    """Raise the `WireError` for bytes that begin with none of these schemas' headers."""
    if len(data) < HEADER_BYTES or data[:2] != MARKER:
        raise WireError(
            Code.FRAMING_UNKNOWN,
            "",
            f"expected Avro single-object encoding, which begins `c301` and a fingerprint of 8 "
            f"bytes, got {len(data)} bytes beginning `{data[:2].hex()}`",
        )
    names = " or ".join(f"`{schema.name}` ({schema.fingerprint.hex()})" for schema in schemas)
    raise WireError(
        Code.SCHEMA_UNKNOWN,
        "",
        f"expected schema {names}, got fingerprint `{data[2:HEADER_BYTES].hex()}`: "
        "encode with the schema that this gate has pinned",
    )


def time_of(six: bytes) -> int | None:
    """Return the time that six bytes encode, for most of these decades; None for any others."""
    if len(six) == TIME_BYTES:
        b0, b1, b2, b3, b4, b5 = six
        if b0 & b1 & b2 & b3 & b4 & 0x80 and 0 < b5 < 0x80 and b0 & 1 == 0:
            low = b0 & 0x7F | (b1 & 0x7F) << 7 | (b2 & 0x7F) << 14
            return (low | (b3 & 0x7F) << 21 | (b4 & 0x7F) << 28 | b5 << 35) >> 1
    return None


class Reader:
    """A cursor behind the header of one record. Each method reads one value of `field`.

    Methods raise `WireError`; after one has, the cursor is of no further use.
    """

    __slots__ = ("bounds", "data", "elements_left", "position", "size")

    def __init__(self, data: bytes, schema: Schema, bounds: Bounds, bytes_max: int) -> None:
        """Check size and header. `bytes_max` is for the whole, header included."""
        if data[:HEADER_BYTES] != header(schema):
            refuse_header(data, (schema,))
        if len(data) > bytes_max:
            text = f"expected at most {bytes_max} bytes in all, got {len(data)}"
            raise WireError(Code.LIMIT_EXCEEDED, "", text)
        self.data = data
        self.size = len(data)
        self.position = HEADER_BYTES
        self.elements_left = bounds.elements_max
        self.bounds = bounds

    def long(self, field: str) -> int:
        """Read an integer of 64 bits."""
        data, position = self.data, self.position
        shift = raw = 0
        try:
            byte = data[position]
            if byte < 0x80:
                self.position = position + 1
                return (byte >> 1) ^ -(byte & 1)
            while (byte := data[position]) & 0x80:
                raw |= (byte & 0x7F) << shift
                shift += 7
                position += 1
                if shift > 63:
                    raise WireError(Code.MALFORMED, field, "expected an integer of 64 bits")
        except IndexError:
            raise self._truncated(field, "an integer") from None
        if byte == 0:
            text = "expected an integer in its shortest form, got trailing zeros"
            raise WireError(Code.MALFORMED, field, text)
        if shift == 63 and byte > 1:
            raise WireError(Code.MALFORMED, field, "expected an integer of 64 bits")
        raw |= byte << shift
        self.position = position + 1
        return (raw >> 1) ^ -(raw & 1)

    def time_ms(self, field: str) -> int:
        """Read a long; quickest for a time of these decades, which takes six bytes."""
        number = time_of(self.data[self.position : self.position + TIME_BYTES])
        if number is None:
            return self.long(field)
        self.position += TIME_BYTES
        return number

    def optional_time_ms(self, field: str) -> int | None:
        """Read a union of null and long, as `time_ms` does."""
        return self.time_ms(field) if self.index(field, 2) else None

    def int32(self, field: str) -> int:
        """Read an integer of 32 bits."""
        number = self.long(field)
        if not -0x8000_0000 <= number <= 0x7FFF_FFFF:
            text = f"expected an integer of 32 bits, got `{number}`"
            raise WireError(Code.MALFORMED, field, text)
        return number

    def index(self, field: str, count: int) -> int:
        """Read the index of an enum's symbol or a union's branch, of `count` there are."""
        position = self.position
        if position < self.size:
            byte = self.data[position]
            if byte & 0x81 == 0 and byte >> 1 < count:
                self.position = position + 1
                return byte >> 1
        number = self.long(field)
        if not 0 <= number < count:
            text = f"expected an index from 0 to {count - 1}, got `{number}`"
            raise WireError(Code.MALFORMED, field, text)
        return number

    def boolean(self, field: str) -> bool:
        """Read a boolean."""
        byte = self.fixed(field, 1)[0]
        if byte > 1:
            raise WireError(Code.MALFORMED, field, f"expected a boolean, 0 or 1, got `{byte}`")
        return byte == 1

    def fixed(self, field: str, length: int) -> bytes:
        """Read exactly `length` bytes."""
        start = self.position
        end = start + length
        if end > self.size:
            raise self._truncated(field, f"{length} bytes")
        self.position = end
        return self.data[start:end]

    def bytes_(self, field: str, bytes_max: int | None = None) -> bytes:
        """Read bytes; `bytes_max` in place of the bounds' largest string."""
        length = self._length(field, "a length")
        limit = self.bounds.string_bytes_max if bytes_max is None else bytes_max
        if length > limit:
            text = f"expected at most {limit} bytes, got {length}"
            raise WireError(Code.LIMIT_EXCEEDED, field, text)
        return self.fixed(field, length)

    def string(self, field: str) -> str:
        """Read a text; one of up to 63 bytes, which is within any bounds, in place."""
        position = self.position
        try:
            length = self.data[position]
            if length & 0x81 == 0:
                end = position + 1 + (length >> 1)
                if end <= self.size:
                    text = self.data[position + 1 : end].decode()
                    self.position = end
                    return text
        except (IndexError, UnicodeDecodeError):
            pass
        return self._decoded(field, self.bytes_(field))

    def identifier(self, field: str) -> str:
        """Read a text within the bounds of an identifier."""
        return self._decoded(field, self.bytes_(field, self.bounds.identifier_bytes_max))

    def count(self, field: str, items_max: int | None = None) -> int:
        """Read an array's head and return its number of items; follow them by `end_array`."""
        if self.data[self.position : self.position + 1] == b"\x00":
            self.position += 1
            return 0
        count = self._length(field, "a count")
        limit = self.bounds.array_items_max if items_max is None else items_max
        if count > limit:
            text = f"expected at most {limit} items, got {count}"
            raise WireError(Code.LIMIT_EXCEEDED, field, text)
        if count > self.elements_left:
            text = f"expected at most {self.bounds.elements_max} array items in all, got more"
            raise WireError(Code.LIMIT_EXCEEDED, field, text)
        self.elements_left -= count
        return count

    def end_array(self, field: str, count: int) -> None:
        """Check that an array of `count` items ends here."""
        if count and self.fixed(field, 1) != b"\x00":
            raise WireError(Code.MALFORMED, field, "expected an array of one block, got another")

    def value(self, field: str) -> Value:
        """Read a value of the union boolean, long, string, bytes, array of string."""
        branch = self.index(field, 5)
        if branch == 2:
            return self.string(field)
        if branch == 1:
            return self.long(field)
        if branch == 0:
            return self.boolean(field)
        if branch == 3:
            return self.bytes_(field)
        return self.strings(field)

    def strings(self, field: str) -> tuple[str, ...]:
        """Read an array of texts."""
        count = self.count(field)
        texts = tuple([self.string(field) for _ in range(count)])
        self.end_array(field, count)
        return texts

    def finish(self) -> None:
        """Check that nothing follows."""
        if self.position != self.size:
            text = f"expected the end after the last field, got {self.size - self.position} bytes"
            raise WireError(Code.MALFORMED, "", text)

    def _length(self, field: str, what: str) -> int:
        length = self.long(field)
        if length < 0:
            raise WireError(Code.MALFORMED, field, f"expected {what} from 0 on, got `{length}`")
        if length > self.size - self.position:
            text = f"expected {what} within the {self.size - self.position} bytes that remain"
            raise WireError(Code.MALFORMED, field, f"{text}, got {length}")
        return length

    def _truncated(self, field: str, expected: str) -> WireError:
        text = f"expected {expected}, got the end after {self.size - self.position} bytes"
        return WireError(Code.MALFORMED, field, text)

    @staticmethod
    def _decoded(field: str, raw: bytes) -> str:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            text = f"expected UTF-8, got byte `{raw[error.start]:02x}` at {error.start}"
            raise WireError(Code.MALFORMED, field, text) from None
