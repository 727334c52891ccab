"""Evidence: find a decision in the topics, and put together the file that proves it.

Promises: the proof is the decision record's own, its note spelled from the same signature. What
lets anyone decide it again is attached where the topics still hold it: the signed policy and trust
root from the changelog, the input record from the requests topic. Nothing is verified here, so
that a file about damaged topics is refused by the verifier, not hidden.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from gate.audit.consistency import LeavesMissing, consistency_proof
from gate.audit.topics_reading import Cursor, Progress
from gate.core import dsse
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.proof.checkpoint import (
    KEY_ID_BYTES,
    CheckpointInvalid,
    check_origin,
    checkpoint_body,
    signed_note,
)
from gate.core.proof.evidence import Evidence, InputRecord, Later, Proof
from gate.core.proof.merkle import HASH_BYTES, leaf_hash, read_frontier, root_from_path
from gate.core.topics import Topics
from gate.core.values import Decision, DecisionRecord, LineageRecord
from gate.core.wire.changelog import read_control_state
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record, read_lineage_record
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition


class Match(NamedTuple):
    """A decision record that answers to a reference, and where it stands."""

    where: TopicPartition
    offset: int
    record: DecisionRecord
    entry: Decision

    @property
    def reference(self) -> str:
        """The decision's own name: origin and leaf index."""
        return f"{self.record.log}#{self.record.leaf_index}"


def find_decisions(
    reader: LogReader, topics: Topics, reference: str, *, progress: Progress | None = None
) -> tuple[Match, ...]:
    """Return every decision that `reference` names: `ORIGIN#INDEX`, or else a request id.

    Reads the approved and denied topics from their beginnings; of an origin only its partition.
    Several decisions may carry one request id (each replay does); all are returned, by partition,
    approved first, in topic order.
    """
    if not reference:
        return ()  # an unreadable request has no id
    requests = reader.topic(topics.requests)
    if requests is None:
        raise ConfigInvalid(f"expected topic `{topics.requests}`, found none")
    place = _place(reference, topics)
    partitions = range(requests.partition_count)
    if place is not None:
        partitions = range(place[1], min(place[1] + 1, requests.partition_count))
    found: list[Match] = []
    for number in partitions:
        for topic in (topics.approved, topics.denied):
            cursor = Cursor(reader, TopicPartition(topic, number), progress=progress)
            if place is not None:
                found += _at_place(cursor, place[0], place[2])
            else:
                found += _of_request(cursor, reference)
    return tuple(found)


def build_evidence(
    reader: LogReader,
    topics: Topics,
    match: Match,
    *,
    is_later: bool = False,
    progress: Progress | None = None,
) -> Evidence:
    """Return the evidence of a decision; `core.proof.evidence.encode_evidence` writes the file.

    `is_later`: also prove that the partition's newest checkpoint continues the decision's. Raises
    `ConfigInvalid` when the record's path is none, or the lineage does not lead that far.
    """
    record, partition = match.record, match.where.partition
    policy, control = _envelopes(reader, topics, partition, match.entry, progress)
    later: tuple[Later, ...] = ()
    if is_later:
        later = _later(reader, TopicPartition(topics.lineage, partition), record, progress)
    return Evidence(
        proof=Proof(record.entry, record.leaf_index, record.inclusion_path, _note(match)),
        later=later,
        policy=policy,
        control=control,
        input=_input(reader, TopicPartition(topics.requests, partition), match.entry),
    )


def _place(reference: str, topics: Topics) -> tuple[str, int, int] | None:
    """Return origin, partition and leaf index of `ORIGIN#INDEX`; `None` for a request id."""
    origin, _, index = reference.rpartition("#")
    parts = origin.split("/")
    try:
        check_origin(origin)
    except CheckpointInvalid:
        return None
    numbers = (index, *parts[-2:])
    if len(parts) != 5 or not all(n.isascii() and n.isdigit() and len(n) <= 19 for n in numbers):
        return None
    return (origin, int(parts[3]), int(index)) if parts[2] == topics.requests else None


def _at_place(cursor: Cursor, origin: str, index: int) -> Iterator[Match]:
    for log_record in cursor.records():
        match = _match(cursor.partition, log_record)
        if match is None or match.record.log != origin:
            continue
        if match.record.leaf_index == index:
            yield match
        elif match.record.leaf_index > index:
            return


def _of_request(cursor: Cursor, request_id: str) -> Iterator[Match]:
    wanted = request_id.encode("utf-8", "surrogatepass")
    for log_record in cursor.records():
        if wanted not in (log_record.value or b""):
            continue
        match = _match(cursor.partition, log_record)
        if match is not None and match.entry.request_id == request_id:
            yield match


def _match(where: TopicPartition, log_record: LogRecord) -> Match | None:
    try:
        record = read_decision_record(log_record.value or b"")
        entry = read_entry(record.entry)
    except WireError:
        return None
    return Match(where, log_record.offset, record, entry) if isinstance(entry, Decision) else None


def _note(match: Match) -> str:
    """Spell the checkpoint's note from the record: body of the root that its path leads to."""
    record = match.record
    root = root_from_path(
        leaf_hash(record.entry), record.leaf_index, record.tree_size, record.inclusion_path
    )
    try:
        if root is None or not record.signatures:
            raise CheckpointInvalid("its path or signatures are none")
        body = checkpoint_body(record.log, record.tree_size, root, record.runtime)
    except CheckpointInvalid as fault:
        raise ConfigInvalid(
            f"decision record in topic `{match.where.topic}` partition {match.where.partition} "
            f"offset {match.offset} proves nothing: {fault}"
        ) from fault
    notes = [
        signed_note(body, record.log, line[:KEY_ID_BYTES], line[KEY_ID_BYTES:])
        for line in record.signatures
    ]
    return notes[0] + "".join(note.removeprefix(f"{body.decode()}\n") for note in notes[1:])


def _envelopes(
    reader: LogReader,
    topics: Topics,
    partition: int,
    entry: Decision,
    progress: Progress | None,
) -> tuple[dsse.Envelope | None, dsse.Envelope | None]:
    """Return the signed policy and trust root that the entry names, from the changelog."""
    wanted = {f"root/{entry.trust_root_version}".encode(): entry.trust_root_sha256}
    bundle = b"bundle/" + entry.policy_sha256.hex().encode()
    if entry.policy_id:
        wanted[bundle] = entry.policy_sha256
    found: dict[bytes, dsse.Envelope] = {}
    cursor = Cursor(reader, TopicPartition(topics.changelog, partition), progress=progress)
    for log_record in cursor.records():
        key = log_record.key or b""
        if key not in wanted or key in found:
            continue
        try:
            envelope = dsse.read_envelope(read_control_state(log_record.value or b"").body)
        except (WireError, dsse.EnvelopeInvalid):
            continue
        if hashlib.sha256(envelope.payload).digest() == wanted[key]:
            found[key] = envelope
        if len(found) == len(wanted):
            break
    return found.get(bundle), found.get(f"root/{entry.trust_root_version}".encode())


def _input(reader: LogReader, where: TopicPartition, entry: Decision) -> InputRecord | None:
    """Return the input record, `None` where it is no longer kept (or larger than a file holds)."""
    offset = entry.input_offset
    ends = reader.ends([where])[where]
    if not ends.first <= offset < ends.last_stable:
        return None
    records = reader.read(where, offset=offset, records_max=1).records
    if not records or records[0].offset != offset:
        return None
    record = records[0]
    sizes = len(record.key or b""), len(record.value or b"")
    return InputRecord(record.key, record.value) if max(sizes) <= CONTROL_BYTES_MAX else None


def _later(
    reader: LogReader, where: TopicPartition, record: DecisionRecord, progress: Progress | None
) -> tuple[Later, ...]:
    last = reader.last(where)
    newest = None if last is None else _lineage(last)
    if newest is None or newest.tree_size <= record.tree_size:
        return ()
    records = (_lineage(found) for found in Cursor(reader, where, progress=progress).records())
    start = next((found for found in records if found.tree_size == record.tree_size), None)
    before = None if start is None else read_frontier(start.tree_size, start.frontier)
    if before is None:
        raise ConfigInvalid(
            f"lineage `{record.log}` has no checkpoint of size {record.tree_size}: run the audit"
        )
    try:
        proof = consistency_proof(before, _hashes(records, before.size), newest.tree_size)
    except LeavesMissing as fault:
        raise ConfigInvalid(f"lineage `{record.log}`: {fault}: run the audit") from fault
    return (Later(proof, newest.checkpoint),)


def _hashes(records: Iterator[LineageRecord], size: int) -> Iterator[bytes]:
    for record in records:
        if record.prev_size != size:
            raise LeavesMissing(f"expected growth from size {size}, found {record.prev_size}")
        size = record.tree_size
        data = record.leaf_hashes
        for start in range(0, len(data), HASH_BYTES):
            yield data[start : start + HASH_BYTES]


def _lineage(log_record: LogRecord) -> LineageRecord:
    try:
        return read_lineage_record(log_record.value or b"")
    except WireError as fault:
        raise ConfigInvalid(
            f"lineage record at offset {log_record.offset} can not be read: {fault}"
        ) from fault
