"""Entries, the leaves of a lineage: from values to bytes, and back, strictly.

The encoding is the leaf: deciding again must give the same bytes, so nothing here depends on
anything but the arguments. Whether an entry is true, is judged by `core.proof`.
"""

from gate.core import limits
from gate.core.values import (
    ClosedLineage,
    Control,
    Decision,
    Entry,
    Gap,
    Genesis,
    PinnedSchema,
)
from gate.core.wire import encoder
from gate.core.wire.decision import decision_block, encode_decision, read_decision
from gate.core.wire.encoder import bytes_, fixed, int32, long, string
from gate.core.wire.reader import RECORDED, Reader, refuse_header
from gate.core.wire.schemas import (
    ENTRY_CONTROL,
    ENTRY_DECISION,
    ENTRY_GAP,
    ENTRY_GENESIS,
    HEADER_BYTES,
    header,
)

__all__ = [
    "decision_block",
    "encode_control",
    "encode_decision",
    "encode_entry",
    "encode_gap",
    "encode_genesis",
    "read_entry",
]

_DIGEST_BYTES = 32
_FINGERPRINT_BYTES = 8
_EFFECTS = 4
_GENESIS_HEADER = header(ENTRY_GENESIS)
_CONTROL_HEADER = header(ENTRY_CONTROL)
_GAP_HEADER = header(ENTRY_GAP)
_SCHEMAS = (ENTRY_DECISION, ENTRY_GENESIS, ENTRY_CONTROL, ENTRY_GAP)
_BY_HEADER = {header(schema): schema for schema in _SCHEMAS}
_BLOCK_FIELDS = Decision._fields[: Decision._fields.index("input_offset")]


def read_entry(data: bytes) -> Entry:
    """Read an entry of whichever kind its fingerprint says. Raises `WireError`."""
    schema = _BY_HEADER.get(data[:HEADER_BYTES])
    if schema is None:
        refuse_header(data, _SCHEMAS)
    reader = Reader(data, schema, RECORDED, limits.ENTRY_BYTES_MAX)
    entry: Entry
    if schema is ENTRY_DECISION:
        entry = read_decision(reader)
    elif schema is ENTRY_GENESIS:
        entry = _read_genesis(reader)
    elif schema is ENTRY_CONTROL:
        entry = _read_control(reader)
    else:
        entry = _read_gap(reader)
    reader.finish()
    return entry


def encode_genesis(value: Genesis) -> bytes:
    """Return a Genesis's bytes."""
    previous = [
        string(closed.origin) + long(closed.size) + fixed(closed.root, _DIGEST_BYTES)
        for closed in value.previous
    ]
    pinned = [
        string(schema.name)
        + fixed(schema.fingerprint, _FINGERPRINT_BYTES)
        + fixed(schema.sha256, _DIGEST_BYTES)
        for schema in value.schemas
    ]
    return b"".join(
        (
            _GENESIS_HEADER,
            string(value.domain),
            string(value.gate),
            string(value.cluster_id),
            string(value.topic),
            string(value.topic_id),
            int32(value.partition),
            int32(value.partition_count),
            int32(value.epoch),
            long(value.first_offset),
            encoder.array(previous),
            string(value.engine),
            encoder.array([string(name) + long(limit) for name, limit in value.limits]),
            encoder.array(pinned),
            fixed(value.lineage_secret_sha256, _DIGEST_BYTES),
            fixed(value.trust_root_sha256, _DIGEST_BYTES),
        )
    )


def encode_control(value: Control) -> bytes:
    """Return a Control entry's bytes."""
    return b"".join(
        (
            _CONTROL_HEADER,
            encoder.index(value.kind, _EFFECTS),
            long(value.input_offset),
            long(value.prev_input_offset),
            long(value.input_time_ms),
            fixed(value.input_sha256, _DIGEST_BYTES),
            string(value.id),
            string(value.version),
            long(value.sequence),
            fixed(value.digest, _DIGEST_BYTES),
            long(value.activation_sequence),
            encoder.array([string(signer) for signer in value.signers]),
        )
    )


def encode_gap(value: Gap) -> bytes:
    """Return a Gap's bytes."""
    return b"".join(
        (
            _GAP_HEADER,
            long(value.first_offset),
            long(value.last_offset),
            long(value.prev_input_offset),
            string(value.cause),
            bytes_(value.order),
        )
    )


def encode_entry(entry: Entry) -> bytes:
    """Return any entry's bytes; for one that was read, the bytes it was read from."""
    if isinstance(entry, Decision):
        fields = entry._asdict()
        constant = {name: fields.pop(name) for name in _BLOCK_FIELDS}
        return encode_decision(decision_block(**constant), **fields)
    if isinstance(entry, Genesis):
        return encode_genesis(entry)
    if isinstance(entry, Control):
        return encode_control(entry)
    return encode_gap(entry)


def _read_genesis(reader: Reader) -> Genesis:
    return Genesis(
        domain=reader.string("domain"),
        gate=reader.string("gate"),
        cluster_id=reader.string("cluster_id"),
        topic=reader.string("topic"),
        topic_id=reader.string("topic_id"),
        partition=reader.int32("partition"),
        partition_count=reader.int32("partition_count"),
        epoch=reader.int32("epoch"),
        first_offset=reader.long("first_offset"),
        previous=_read_previous(reader),
        engine=reader.string("engine"),
        limits=_read_limits(reader),
        schemas=_read_schemas(reader),
        lineage_secret_sha256=reader.fixed("lineage_secret_sha256", _DIGEST_BYTES),
        trust_root_sha256=reader.fixed("trust_root_sha256", _DIGEST_BYTES),
    )


def _read_previous(reader: Reader) -> tuple[ClosedLineage, ...]:
    count = reader.count("previous")
    closed = [
        ClosedLineage(
            reader.string("previous.origin"),
            reader.long("previous.size"),
            reader.fixed("previous.root", _DIGEST_BYTES),
        )
        for _ in range(count)
    ]
    reader.end_array("previous", count)
    return tuple(closed)


def _read_limits(reader: Reader) -> tuple[tuple[str, int], ...]:
    count = reader.count("limits")
    named = [(reader.string("limits.name"), reader.long("limits.value")) for _ in range(count)]
    reader.end_array("limits", count)
    return tuple(named)


def _read_schemas(reader: Reader) -> tuple[PinnedSchema, ...]:
    count = reader.count("schemas")
    pinned = [
        PinnedSchema(
            reader.string("schemas.name"),
            reader.fixed("schemas.fingerprint", _FINGERPRINT_BYTES),
            reader.fixed("schemas.sha256", _DIGEST_BYTES),
        )
        for _ in range(count)
    ]
    reader.end_array("schemas", count)
    return tuple(pinned)


def _read_control(reader: Reader) -> Control:
    return Control(
        kind=reader.index("kind", _EFFECTS),
        input_offset=reader.long("input_offset"),
        prev_input_offset=reader.long("prev_input_offset"),
        input_time_ms=reader.long("input_time_ms"),
        input_sha256=reader.fixed("input_sha256", _DIGEST_BYTES),
        id=reader.string("id"),
        version=reader.string("version"),
        sequence=reader.long("sequence"),
        digest=reader.fixed("digest", _DIGEST_BYTES),
        activation_sequence=reader.long("activation_sequence"),
        signers=reader.strings("signers"),
    )


def _read_gap(reader: Reader) -> Gap:
    return Gap(
        first_offset=reader.long("first_offset"),
        last_offset=reader.long("last_offset"),
        prev_input_offset=reader.long("prev_input_offset"),
        cause=reader.string("cause"),
        order=reader.bytes_("order"),
    )
