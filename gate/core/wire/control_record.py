"""The control record of the requests topic: a trust root or an activation, enveloped."""

from gate.core import limits
from gate.core.values import ControlRecord
from gate.core.wire import encoder
from gate.core.wire.reader import HOSTILE, RECORD_BYTES_MAX, Reader
from gate.core.wire.schemas import CONTROL_RECORD, header

_HEADER = header(CONTROL_RECORD)
_KINDS = 3


def is_control_record(value: bytes | None) -> bool:
    """Say whether the value claims to be a control record, by its header alone."""
    return value is not None and value.startswith(_HEADER)


def read_control_record(data: bytes) -> ControlRecord:
    """Read a control record; its envelope is checked by others. Raises `WireError`."""
    reader = Reader(data, CONTROL_RECORD, HOSTILE, RECORD_BYTES_MAX)
    kind = reader.index("kind", _KINDS)
    envelope = reader.bytes_("envelope", limits.CONTROL_BYTES_MAX)
    reader.finish()
    return ControlRecord(kind, envelope)


def encode_control_record(record: ControlRecord) -> bytes:
    """Return the control record's bytes."""
    return _HEADER + encoder.index(record.kind, _KINDS) + encoder.bytes_(record.envelope)
