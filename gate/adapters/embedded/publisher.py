"""Publishes from outside the gate, in one transaction each time, also beside a running gate."""

from collections.abc import Callable, Sequence
from pathlib import Path

from gate.adapters.embedded.append import (
    Partitions,
    append,
    check_epoch,
    next_epoch,
    set_offset,
)
from gate.adapters.embedded.file import connect, writing
from gate.adapters.embedded.seat import is_taken
from gate.errors import Fenced, TransactionAborted
from gate.ports import Clock, OffsetCommit, OutputRecord


class EmbeddedPublisher:
    """Implements `gate.ports.Publisher`.

    A transactional id is taken over at its first use; a publisher that took it over later fences
    this one.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open the file. Raises `ConfigInvalid`."""
        self._path = path
        self._clock = clock
        self._connection = connect(path, writable=True)
        self._partitions = Partitions(self._connection)
        self._epochs: dict[str, int] = {}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def publish(
        self, records: Sequence[OutputRecord], *, transactional_id: str | None = None
    ) -> Sequence[int]:
        """Follow the port; without a transactional id, too, all or none become visible."""
        placed = self._placed(records)
        with writing(self._connection, self._path):
            epoch = self._take_over(transactional_id) if transactional_id else 0
            offsets = self._append(placed, has_marker=transactional_id is not None)
        if transactional_id:
            self._epochs[transactional_id] = epoch
        return offsets

    def publish_with_offsets(
        self,
        records: Sequence[OutputRecord],
        *,
        transactional_id: str,
        group_id: str,
        topic: str,
        offsets: Sequence[OffsetCommit],
        check: Callable[[], None],
    ) -> None:
        """Follow the port. Raises `Fenced` while the group has a member."""
        placed = self._placed(records)
        input_ids = [self._partition_id(topic, offset.partition) for offset in offsets]
        with writing(self._connection, self._path):
            epoch = self._take_over(transactional_id)
            self._check_empty(group_id)
            check()
            self._append(placed, has_marker=True)
            for partition_id, (_, next_offset, metadata) in zip(input_ids, offsets, strict=True):
                set_offset(self._connection, group_id, partition_id, next_offset, metadata)
        self._epochs[transactional_id] = epoch

    def _placed(self, records: Sequence[OutputRecord]) -> list[tuple[int, OutputRecord]]:
        return [(self._partition_id(record.topic, record.partition), record) for record in records]

    def _partition_id(self, topic: str, partition: int) -> int:
        found = self._partitions.find(topic, partition)
        if found is None:
            text = (
                f"embedded log `{self._path}` has no partition {partition} of topic "
                f"`{topic}`: run `gate init-lineage`"
            )
            raise TransactionAborted(text)
        return found

    def _append(self, placed: list[tuple[int, OutputRecord]], *, has_marker: bool) -> list[int]:
        now_ms = self._clock.now_ms()
        return append(self._connection, placed, append_time_ms=now_ms, has_marker=has_marker)

    def _take_over(self, transactional_id: str) -> int:
        epoch = self._epochs.get(transactional_id)
        if epoch is None:
            return next_epoch(self._connection, transactional_id)
        check_epoch(self._connection, transactional_id, epoch)
        return epoch

    def _check_empty(self, group_id: str) -> None:
        row = self._connection.execute(
            "SELECT member_id FROM member WHERE group_id = ?", (group_id,)
        ).fetchone()
        if row not in (None, ("",)) and is_taken(self._path):
            text = f"group `{group_id}` has a member: stop the gate first"
            raise Fenced(text)
