"""What holds for every record: round trip, fastavro's agreement, and refusal of damaged bytes."""

import pytest

from gate.core.reasons import Code
from gate.core.wire import schemas
from gate.core.wire.reader import WireError
from tests.unit.core.wire.oracle import Oracle
from tests.unit.core.wire.samples import SAMPLES, Sample

each_record = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.schema)


def refusal(sample: Sample, data: bytes) -> Code:
    with pytest.raises(WireError) as caught:
        sample.read(data)
    return caught.value.code


def test_there_is_a_sample_of_every_schema() -> None:
    assert {sample.data[2:10] for sample in SAMPLES} == {s.fingerprint for s in schemas.ALL}


@each_record
def test_a_value_encodes_and_reads_back(sample: Sample) -> None:
    assert sample.read(sample.data) == sample.value
    assert sample.encode(sample.value) == sample.data


@each_record
def test_fastavro_agrees(sample: Sample) -> None:
    Oracle(sample.schema).agrees(sample.data, sample.value)


@each_record
def test_a_truncated_record_is_refused_wherever_it_ends(sample: Sample) -> None:
    codes = {refusal(sample, sample.data[:end]) for end in range(len(sample.data))}
    assert codes == {Code.FRAMING_UNKNOWN, Code.MALFORMED}


@each_record
def test_trailing_bytes_are_refused(sample: Sample) -> None:
    for tail in (b"\x00", b"\x02", bytes(100), sample.data):
        assert refusal(sample, sample.data + tail) is Code.MALFORMED


@each_record
def test_a_flipped_bit_is_refused_or_is_another_value_s_only_encoding(sample: Sample) -> None:
    for position in range(len(sample.data)):
        for bit in range(8):
            flipped = bytearray(sample.data)
            flipped[position] ^= 1 << bit
            damaged = bytes(flipped)
            try:
                value = sample.read(damaged)
            except WireError:
                continue
            assert sample.encode(value) == damaged
            assert repr(value) != repr(sample.value)  # `False == 0` in Python, not on the wire


@each_record
def test_another_fingerprint_is_refused(sample: Sample) -> None:
    body = sample.data[10:]
    assert refusal(sample, b"\xc3\x01" + bytes(8) + body) is Code.SCHEMA_UNKNOWN
    other = schemas.ASK if sample.schema != "ask" else schemas.ENTRY_GAP
    assert refusal(sample, schemas.header(other) + body) is Code.SCHEMA_UNKNOWN


@each_record
@pytest.mark.parametrize(
    "head",
    [b"", b"\xc3", b"\xc3\x01", b"\xc3\x01" + bytes(7), b"\x00\x00\x00\x00\x01" + bytes(8), b"{}"],
)
def test_another_framing_is_refused(sample: Sample, head: bytes) -> None:
    body = sample.data[10:] if len(head) >= 10 else b""
    assert refusal(sample, head + body) is Code.FRAMING_UNKNOWN
