"""Changelog values: an approved admission key, and a part of the control state."""

from gate.core.values import AdmissionRecord, ControlStateRecord
from gate.core.wire import encoder
from gate.core.wire.reader import RECORD_BYTES_MAX, RECORDED, Reader
from gate.core.wire.schemas import CHANGELOG_ADMISSION, CHANGELOG_CONTROL, header

_ADMISSION_HEADER = header(CHANGELOG_ADMISSION)
_CONTROL_HEADER = header(CHANGELOG_CONTROL)
_DIGEST_BYTES = 32


def is_admission_record(value: bytes) -> bool:
    """Say whether the value claims to be an admission record, by its header alone."""
    return value.startswith(_ADMISSION_HEADER)


def read_admission_record(data: bytes) -> AdmissionRecord:
    """Read an admission record. Raises `WireError`."""
    reader = Reader(data, CHANGELOG_ADMISSION, RECORDED, RECORD_BYTES_MAX)
    record = AdmissionRecord(
        reader.long("sequence"),
        reader.int32("epoch"),
        reader.long("leaf_index"),
        reader.long("input_offset"),
        reader.fixed("ask_sha256", _DIGEST_BYTES),
    )
    reader.finish()
    return record


def encode_admission_record(record: AdmissionRecord) -> bytes:
    """Return the admission record's bytes."""
    sequence, epoch, leaf_index, input_offset, ask_sha256 = record
    return b"".join(
        (
            _ADMISSION_HEADER,
            encoder.long(sequence),
            encoder.int32(epoch),
            encoder.long(leaf_index),
            encoder.long(input_offset),
            encoder.fixed(ask_sha256, _DIGEST_BYTES),
        )
    )


def read_control_state(data: bytes) -> ControlStateRecord:
    """Read a part of the control state. Raises `WireError`."""
    reader = Reader(data, CHANGELOG_CONTROL, RECORDED, RECORD_BYTES_MAX)
    record = ControlStateRecord(
        reader.long("sequence"),
        reader.long("leaf_index"),
        reader.long("input_offset"),
        reader.bytes_("body"),
    )
    reader.finish()
    return record


def encode_control_state(record: ControlStateRecord) -> bytes:
    """Return the bytes of a part of the control state."""
    return b"".join(
        (
            _CONTROL_HEADER,
            encoder.long(record.sequence),
            encoder.long(record.leaf_index),
            encoder.long(record.input_offset),
            encoder.bytes_(record.body),
        )
    )
