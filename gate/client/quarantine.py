"""Input that was set aside: copies in the quarantine topic, and the decisions on them.

Promises: the newest copies are found without reading the oldest, and one copy without reading
those before it. Copies and denials of a partition stand in the order of their leaves.

Leaves to others: whether every copy that must be there is there, which the audit counts.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gate.core.values import Decision, DecisionRecord
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record
from gate.ports import LogReader, LogRecord, TopicPartition

_WINDOW = 64
_GROWTH = 8
_SLICE_RECORDS = 1_000
_LOOK_RECORDS = 8
_DIGITS_MAX = 19


class Copy(NamedTuple):
    """One record that was set aside, as its copy tells it.

    `value` is the untouched input, or, where `input_bytes` is more, its beginning. `time_ms` is
    when the copy was appended.
    """

    partition: int
    offset: int
    time_ms: int
    leaf_index: int
    input_offset: int
    origin: str
    reason: str
    key: bytes | None
    value: bytes
    input_bytes: int

    @property
    def is_whole(self) -> bool:
        """Say whether all of the input was kept."""
        return len(self.value) == self.input_bytes


class Denial(NamedTuple):
    """The decision on a copy's input: its record, and what that holds, unverified."""

    record: DecisionRecord
    decision: Decision


def read_copy(record: LogRecord) -> Copy | None:
    """Return the copy that a quarantine record holds, `None` when its headers are not a gate's."""
    headers = dict(record.headers)
    try:
        position = headers["input-position"].decode("ascii")
        origin, _, input_offset = position.rpartition("@")
        value = record.value or b""
        return Copy(
            partition=record.partition,
            offset=record.offset,
            time_ms=record.append_time_ms,
            leaf_index=_number(headers["leaf-index"]),
            input_offset=_number(input_offset.encode()),
            origin=origin,
            reason=headers["reason"].decode("ascii"),
            key=record.key,
            value=value,
            input_bytes=_number(headers.get("input-bytes", str(len(value)).encode())),
        )
    except (KeyError, ValueError):
        return None


def newest_copies(
    reader: LogReader, topic: str, partitions: Sequence[int], *, limit: int
) -> tuple[Copy, ...]:
    """Return the newest copies of some partitions, at most `limit`, by time, the newest last."""
    found = [copy for number in partitions for copy in _newest(reader, topic, number, limit)]
    found.sort(key=lambda copy: (copy.time_ms, copy.partition, copy.leaf_index))
    return tuple(found[-limit:])


def find_copy(
    reader: LogReader,
    topic: str,
    partition: int,
    *,
    input_offset: int | None = None,
    leaf_index: int | None = None,
) -> Copy | None:
    """Return the copy of an input offset, or of a leaf; `None` when there is none."""
    assert (input_offset is None) != (leaf_index is None), "one of them names the copy"

    def rank(record: LogRecord) -> int | None:
        copy = read_copy(record)
        if copy is None:
            return None
        return copy.leaf_index if input_offset is None else copy.input_offset

    target = leaf_index if input_offset is None else input_offset
    assert target is not None, "one of them names the copy"
    record = _sought(reader, TopicPartition(topic, partition), rank, target)
    return None if record is None else read_copy(record)


def find_denial(reader: LogReader, topic: str, copy: Copy) -> Denial | None:
    """Return the decision of a copy's leaf from the denied topic; `None` when there is none."""

    def rank(record: LogRecord) -> int | None:
        denial = _denial(record)
        return None if denial is None else denial.record.leaf_index

    record = _sought(reader, TopicPartition(topic, copy.partition), rank, copy.leaf_index)
    return None if record is None else _denial(record)


def _denial(record: LogRecord) -> Denial | None:
    try:
        read = read_decision_record(record.value or b"")
        entry = read_entry(read.entry)
    except WireError:
        return None
    return Denial(read, entry) if isinstance(entry, Decision) else None


def _newest(reader: LogReader, topic: str, number: int, limit: int) -> Sequence[Copy]:
    """Read windows before the end, each larger than the one before, until one holds enough."""
    where = TopicPartition(topic, number)
    ends = reader.ends([where])[where]
    window = max(_WINDOW, 2 * limit)
    while True:
        start = max(ends.first, ends.last_stable - window)
        records = _between(reader, where, start, ends.last_stable)
        copies = [copy for copy in map(read_copy, records) if copy is not None]
        if len(copies) >= limit or start == ends.first:
            return copies[-limit:]
        window *= _GROWTH


def _between(
    reader: LogReader, where: TopicPartition, offset: int, end: int, size: int = _SLICE_RECORDS
) -> Iterator[LogRecord]:
    while offset < end:
        part = reader.read(where, offset=offset, records_max=size)
        yield from (record for record in part.records if record.offset < end)
        if part.next_offset <= offset:
            return
        offset = part.next_offset


def _sought(
    reader: LogReader,
    where: TopicPartition,
    rank: Callable[[LogRecord], int | None],
    target: int,
) -> LogRecord | None:
    """Return the record of this rank, by halving: ranks rise with offsets; `None` has no rank."""
    ends = reader.ends([where])[where]
    low, high = ends.first, ends.last_stable
    found: LogRecord | None = None
    while low < high:
        middle = (low + high) // 2
        ranked = (
            (record, number)
            for record in _between(reader, where, middle, high, _LOOK_RECORDS)
            if (number := rank(record)) is not None
        )
        record, number = next(ranked, (None, 0))
        if record is not None and number < target:
            low = record.offset + 1
            continue
        if record is not None:
            found = record
        high = middle
    return found if found is not None and rank(found) == target else None


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise ValueError("not a number")
    return int(digits)
