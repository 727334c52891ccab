"""A log as records in memory, for tests that plant faults in what a real gate has written."""

from collections.abc import Callable, Mapping, Sequence

from gate.core.topics import Topics
from gate.errors import Lost
from gate.ports import (
    Ends,
    LogReader,
    LogRecord,
    OffsetCommit,
    ReadSlice,
    TopicIdentity,
    TopicPartition,
)


class RecordedLog:
    """Implements `gate.ports.LogReader` over lists that a test may change.

    `open_from` holds, by partition, the first offset that is still undecided.
    """

    def __init__(
        self,
        topics: Mapping[str, TopicIdentity],
        records: Mapping[TopicPartition, Sequence[LogRecord]],
        ends: Mapping[TopicPartition, Ends],
    ) -> None:
        self._topics = dict(topics)
        self.records = {where: list(found) for where, found in records.items()}
        self._ends = dict(ends)
        self.open_from: dict[TopicPartition, int] = {}

    def cluster_id(self) -> str:
        return "recorded"

    def topic(self, name: str) -> TopicIdentity | None:
        return self._topics.get(name)

    def committed(
        self, group_id: str, topic: str, partitions: Sequence[int]
    ) -> Mapping[int, OffsetCommit | None]:
        return dict.fromkeys(partitions)

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        found = {}
        for where in partitions:
            first, stable, high = self._ends[where]
            found[where] = Ends(first, min(stable, self.open_from.get(where, stable)), high)
        return found

    def read(self, partition: TopicPartition, *, offset: int, records_max: int) -> ReadSlice:
        ends = self.ends([partition])[partition]
        if offset < ends.first:
            raise Lost(f"offset {offset} is gone")
        found = [
            record
            for record in self.records[partition]
            if offset <= record.offset < ends.last_stable
        ]
        if len(found) > records_max:
            return ReadSlice(found[:records_max], found[records_max - 1].offset + 1)
        return ReadSlice(found, ends.last_stable)

    def last(self, partition: TopicPartition) -> LogRecord | None:
        stable = self.ends([partition])[partition].last_stable
        found = [record for record in self.records[partition] if record.offset < stable]
        return found[-1] if found else None

    def group_is_empty(self, group_id: str) -> bool:
        return True

    def drop(self, where: TopicPartition, position: int) -> LogRecord:
        """Take a record out; its offset becomes a hole."""
        return self.records[where].pop(position)

    def put(self, where: TopicPartition, record: LogRecord) -> LogRecord:
        """Append a record after the last one, with its time and headers."""
        first, stable, _ = self._ends[where]
        placed = record._replace(offset=stable, partition=where.partition)
        self.records[where].append(placed)
        self._ends[where] = Ends(first, stable + 1, stable + 1)
        return placed

    def change(
        self, where: TopicPartition, position: int, change: Callable[[LogRecord], LogRecord]
    ) -> LogRecord:
        """Replace a record in place."""
        changed = change(self.records[where][position])
        self.records[where][position] = changed
        return changed

    def swap(self, where: TopicPartition, position: int) -> None:
        """Exchange the contents of a record and the one after it; offsets stay."""
        records = self.records[where]
        one, other = records[position], records[position + 1]
        records[position] = other._replace(offset=one.offset)
        records[position + 1] = one._replace(offset=other.offset)

    def cut_before(self, where: TopicPartition, offset: int) -> None:
        """Let retention take everything before `offset`."""
        _, stable, high = self._ends[where]
        self.records[where] = [r for r in self.records[where] if r.offset >= offset]
        self._ends[where] = Ends(offset, stable, high)


def recorded(reader: LogReader, topics: Topics) -> RecordedLog:
    """Copy a gate's topics out of a log."""
    identities, records, ends = {}, {}, {}
    for name in topics:
        identity = reader.topic(name)
        assert identity is not None
        identities[name] = identity
        for number in range(identity.partition_count):
            where = TopicPartition(name, number)
            ends[where] = reader.ends([where])[where]
            found: list[LogRecord] = []
            offset = ends[where].first
            while offset < ends[where].last_stable:
                part = reader.read(where, offset=offset, records_max=1_000)
                found += part.records
                offset = part.next_offset
            records[where] = found
    return RecordedLog(identities, records, ends)
