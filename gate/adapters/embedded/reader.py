"""Reads topics without joining a group, also beside a running gate.

Every committed record is stable at once: the last stable offset is the high watermark, and no
offset is ever pending.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gate.adapters.embedded.file import Stretch, connect, fetch, partition_ids, reading
from gate.adapters.embedded.seat import is_taken
from gate.errors import Lost, Unreachable
from gate.ports import Ends, LogRecord, OffsetCommit, ReadSlice, TopicIdentity, TopicPartition


class EmbeddedReader:
    """Implements `gate.ports.LogReader`."""

    def __init__(self, path: Path) -> None:
        """Open the file for reading. Raises `ConfigInvalid`."""
        self._path = path
        self._connection = connect(path, writable=False)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def cluster_id(self) -> str:
        """Follow the port: a UUID made with the file."""
        row = self._one("SELECT value FROM meta WHERE name = 'cluster_id'", ())
        return str(row[0]) if row else ""

    def topic(self, name: str) -> TopicIdentity | None:
        """Follow the port."""
        row = self._one(
            "SELECT topic_id, partition_count, settings FROM topic WHERE name = ?", (name,)
        )
        if row is None:
            return None
        topic_id, partition_count, settings = row
        return TopicIdentity(
            topic_id=topic_id,
            partition_count=int(partition_count),
            settings=json.loads(settings),
        )

    def committed(
        self, group_id: str, topic: str, partitions: Sequence[int]
    ) -> Mapping[int, OffsetCommit | None]:
        """Follow the port; never pending."""
        with reading(self._path):
            rows = self._connection.execute(
                "SELECT number, group_offset.next_offset, metadata FROM group_offset"
                " JOIN partition ON partition.id = group_offset.partition"
                " JOIN topic ON topic.id = partition.topic WHERE group_id = ? AND name = ?",
                (group_id, topic),
            ).fetchall()
        found = {row[0]: OffsetCommit._make(row) for row in rows}
        return {partition: found.get(partition) for partition in partitions}

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        """Follow the port. Raises `Unreachable` for a partition that is not there."""
        with reading(self._path):
            rows = self._connection.execute(
                "SELECT name, number, first_offset, next_offset FROM partition"
                " JOIN topic ON topic.id = partition.topic"
            ).fetchall()
        found = {TopicPartition(name, number): (first, end) for name, number, first, end in rows}
        ends: dict[TopicPartition, Ends] = {}
        for partition in partitions:
            if partition not in found:
                raise self._missing(partition)
            first, end = found[partition]
            ends[partition] = Ends(first, end, end)
        return ends

    def read(self, partition: TopicPartition, *, offset: int, records_max: int) -> ReadSlice:
        """Follow the port."""
        partition_id, first, end = self._partition(partition)
        if not first <= offset <= end:
            text = (
                f"partition {partition.partition} of `{partition.topic}` can not be read from "
                f"offset {offset}: the log holds {first} to {end}"
            )
            raise Lost(text)
        stretch = Stretch(partition.partition, partition_id, offset, end)
        with reading(self._path):
            return ReadSlice(*fetch(self._connection, self._path, stretch, records_max))

    def last(self, partition: TopicPartition) -> LogRecord | None:
        """Follow the port."""
        partition_id, first, end = self._partition(partition)
        start = max(first, end - 2)  # a marker follows a record, and nothing else has a row
        stretch = Stretch(partition.partition, partition_id, start, end)
        with reading(self._path):
            records, _ = fetch(self._connection, self._path, stretch, 2)
        return records[-1] if records else None

    def last_of(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, LogRecord | None]:
        """Follow the port."""
        return {where: self.last(where) for where in partitions}

    def group_is_empty(self, group_id: str) -> bool:
        """Follow the port; a member that died without leaving does not count."""
        row = self._one("SELECT member_id FROM member WHERE group_id = ?", (group_id,))
        return row in (None, ("",)) or not is_taken(self._path)

    def _one(self, statement: str, arguments: tuple[str, ...]) -> tuple[str, ...] | None:
        with reading(self._path):
            row: tuple[str, ...] | None = self._connection.execute(statement, arguments).fetchone()
        return row

    def _partition(self, partition: TopicPartition) -> tuple[int, int, int]:
        """Return the partition's id, first offset and end."""
        with reading(self._path):
            partition_id = partition_ids(self._connection, partition.topic).get(partition.partition)
            if partition_id is None:
                raise self._missing(partition)
            first, end = self._connection.execute(
                "SELECT first_offset, next_offset FROM partition WHERE id = ?", (partition_id,)
            ).fetchone()
        return partition_id, first, end

    def _missing(self, partition: TopicPartition) -> Unreachable:
        text = (
            f"embedded log `{self._path}` has no partition {partition.partition} of topic "
            f"`{partition.topic}`: run `gate init-lineage`"
        )
        return Unreachable(text)
