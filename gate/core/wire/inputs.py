"""Evaluated inputs: the array of a Decision entry that says what the policy was shown.

They are encoded as soon as they are known and travel as bytes, because the usual request already
carries each value in the very encoding that the entry needs. Part of `entry`.
"""

from functools import lru_cache
from typing import NamedTuple

from gate.core.values import Evaluated
from gate.core.wire import encoder
from gate.core.wire.encoder import SMALL, SMALL_COUNT, fixed, long, recurring_long, string
from gate.core.wire.parameters import read_identifiers
from gate.core.wire.reader import RECORD_BYTES_MAX, RECORDED, Reader, WireError
from gate.core.wire.schemas import ENTRY_DECISION, header

_DIGEST_BYTES = 32
_NO_DIGEST = bytes(_DIGEST_BYTES)

UNSIGNED = bytes(1 + _DIGEST_BYTES + 1)
"""Key id, digest and time of an input that nobody signed."""


class EncodedInputs(NamedTuple):
    """Evaluated inputs, by name: how many, and their items as the entry has them."""

    inputs_count: int
    items: bytes


NO_INPUTS = EncodedInputs(0, b"")


def encode_inputs(inputs: tuple[Evaluated, ...]) -> EncodedInputs:
    """Encode inputs, in the order given."""
    parts: list[bytes] = []
    for name, source, value, key_id, statement_sha256, issued_ms in inputs:
        if key_id or issued_ms or statement_sha256 != _NO_DIGEST:
            digest = fixed(statement_sha256, _DIGEST_BYTES)
            tail = string(key_id) + digest + recurring_long(issued_ms)
        else:
            tail = UNSIGNED
        # The two commonest types in place: a call each would be a fifth of the whole
        if type(value) is str:
            raw = value.encode()
            length = len(raw)
            size = SMALL[length] if length < SMALL_COUNT else long(length)
            parts += (input_head(name, source, b"\x04"), size, raw, tail)
        elif type(value) is int:
            parts += (input_head(name, source, b"\x02"), long(value), tail)
        else:
            parts += (input_head(name, source, b""), encoder.value(value), tail)
    return EncodedInputs(len(inputs), b"".join(parts))


def joined(first: EncodedInputs, second: EncodedInputs) -> EncodedInputs:
    """Return the inputs of both, in this order."""
    return EncodedInputs(first.inputs_count + second.inputs_count, first.items + second.items)


@lru_cache(maxsize=2048)  # a pure function of names that policies declare
def input_head(name: str, source: str, branch: bytes) -> bytes:
    """Return what stands before an input's value; `branch` is the value's, encoded, or empty."""
    return string(name) + string(source) + branch


def array_of(inputs: EncodedInputs) -> bytes:
    """Return the array that the entry carries."""
    return long(inputs.inputs_count) + inputs.items + b"\x00" if inputs.inputs_count else b"\x00"


def decode_inputs(inputs: EncodedInputs) -> tuple[Evaluated, ...]:
    """Return the values of inputs that this module encoded."""
    data = header(ENTRY_DECISION) + array_of(inputs)
    return read_inputs(Reader(data, ENTRY_DECISION, RECORDED, RECORD_BYTES_MAX))


def read_inputs(reader: Reader) -> tuple[Evaluated, ...]:
    """Read the array of an entry. Raises `WireError`."""
    count = reader.count("evaluated")
    inputs: list[Evaluated] = []
    try:
        for _ in range(count):
            name, source = read_identifiers(reader, ("name", "source"))
            value = reader.value("value")
            end = reader.position + len(UNSIGNED)
            if reader.data[reader.position : end] == UNSIGNED:
                reader.position = end
                inputs.append(Evaluated(name, source, value))
                continue
            key_id = reader.string("key_id")
            digest = reader.fixed("statement_sha256", _DIGEST_BYTES)
            issued_ms = reader.time_ms("issued_ms")
            inputs.append(Evaluated(name, source, value, key_id, digest, issued_ms))
    except WireError as error:
        raise error.within(f"evaluated[{len(inputs)}]") from None
    reader.end_array("evaluated", count)
    return tuple(inputs)
