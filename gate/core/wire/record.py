"""What the gate publishes: the decision record, and the lineage record of one transaction.

Both only carry proofs; whether a proof holds is judged by `core.proof`.
"""

from typing import NamedTuple

from gate.core.values import DecisionRecord, LineageEntry, LineageRecord
from gate.core.wire import encoder
from gate.core.wire.reader import RECORD_BYTES_MAX, RECORDED, Reader
from gate.core.wire.schemas import DECISION_RECORD, LINEAGE_RECORD, header

_DECISION_HEADER = header(DECISION_RECORD)
_LINEAGE_HEADER = header(LINEAGE_RECORD)
_DIGEST_BYTES = 32


def read_decision_record(data: bytes) -> DecisionRecord:
    """Read a decision record; its entry stays bytes. Raises `WireError`."""
    reader = Reader(data, DECISION_RECORD, RECORDED, RECORD_BYTES_MAX)
    entry = reader.bytes_("entry")
    log = reader.string("log")
    leaf_index = reader.long("leaf_index")
    tree_size = reader.long("tree_size")
    inclusion_path = reader.bytes_("inclusion_path")
    runtime = reader.string("runtime")
    count = reader.count("signatures")
    signatures = tuple([reader.bytes_("signatures") for _ in range(count)])
    reader.end_array("signatures", count)
    ask = reader.bytes_("ask")
    reader.finish()
    return DecisionRecord(
        entry, log, leaf_index, tree_size, inclusion_path, runtime, signatures, ask
    )


class RecordBlock(NamedTuple):
    """What decision records of one partition and transaction share, encoded once."""

    log: bytes
    tree_size: bytes
    signed: bytes
    """Runtime and signatures."""


def record_block(
    log: str, tree_size: int, runtime: str, signatures: tuple[bytes, ...]
) -> RecordBlock:
    """Encode what decision records share."""
    lines = encoder.array([encoder.bytes_(signature) for signature in signatures])
    return RecordBlock(
        encoder.string(log), encoder.long(tree_size), encoder.string(runtime) + lines
    )


def encode_in_block(
    block: RecordBlock, entry: bytes, leaf_index: int, inclusion_path: bytes, ask: bytes
) -> bytes:
    """Return a decision record's bytes."""
    return b"".join(
        (
            _DECISION_HEADER,
            encoder.bytes_(entry),
            block.log,
            encoder.long(leaf_index),
            block.tree_size,
            encoder.bytes_(inclusion_path),
            block.signed,
            encoder.bytes_(ask) if ask else b"\x00",
        )
    )


def encode_decision_record(record: DecisionRecord) -> bytes:
    """Return the decision record's bytes."""
    entry, log, leaf_index, tree_size, inclusion_path, runtime, signatures, ask = record
    block = record_block(log, tree_size, runtime, signatures)
    return encode_in_block(block, entry, leaf_index, inclusion_path, ask)


def read_lineage_record(data: bytes) -> LineageRecord:
    """Read a lineage record; its entries stay bytes. Raises `WireError`."""
    reader = Reader(data, LINEAGE_RECORD, RECORDED, RECORD_BYTES_MAX)
    record = LineageRecord(
        log=reader.string("log"),
        prev_size=reader.long("prev_size"),
        tree_size=reader.long("tree_size"),
        root=reader.fixed("root", _DIGEST_BYTES),
        consistency=reader.bytes_("consistency"),
        frontier=reader.bytes_("frontier"),
        leaf_hashes=reader.bytes_("leaf_hashes"),
        entries=_read_entries(reader),
        first_offset=reader.long("first_offset"),
        next_offset=reader.long("next_offset"),
        checkpoint=reader.string("checkpoint"),
        target=reader.string("target"),
    )
    reader.finish()
    return record


def _read_entries(reader: Reader) -> tuple[LineageEntry, ...]:
    count = reader.count("entries")
    entries = tuple(
        [LineageEntry(reader.long("index"), reader.bytes_("entry")) for _ in range(count)]
    )
    reader.end_array("entries", count)
    return entries


def encode_lineage_record(record: LineageRecord) -> bytes:
    """Return the lineage record's bytes."""
    entries = [
        encoder.long(entry.leaf_index) + encoder.bytes_(entry.entry) for entry in record.entries
    ]
    return b"".join(
        (
            _LINEAGE_HEADER,
            encoder.string(record.log),
            encoder.long(record.prev_size),
            encoder.long(record.tree_size),
            encoder.fixed(record.root, _DIGEST_BYTES),
            encoder.bytes_(record.consistency),
            encoder.bytes_(record.frontier),
            encoder.bytes_(record.leaf_hashes),
            encoder.array(entries),
            encoder.long(record.first_offset),
            encoder.long(record.next_offset),
            encoder.string(record.checkpoint),
            encoder.string(record.target),
        )
    )
