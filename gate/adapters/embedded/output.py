"""The transactional producer: everything is buffered, and written by one commit.

INVARIANT (one commit): records, markers, input offsets and the checks of epoch and generation are
one SQLite transaction under the write lock, synced before `commit` returns.
"""

from collections.abc import Sequence
from pathlib import Path

from gate.adapters.embedded.append import (
    Partitions,
    append,
    check_epoch,
    next_epoch,
    set_offset,
)
from gate.adapters.embedded.file import connect, reading, writing
from gate.adapters.embedded.seat import Seat
from gate.errors import Fenced, OutcomeUnknown, TransactionAborted, Unreachable
from gate.ports import Clock, GroupIdentity, OffsetCommit, OutputRecord


class EmbeddedOutput:
    """Implements `gate.ports.Output`."""

    def __init__(
        self, path: Path, *, seat: Seat, transactional_id: str, input_topic: str, clock: Clock
    ) -> None:
        """Open the file. Raises `ConfigInvalid`."""
        self._path = path
        self._seat = seat
        self._transactional_id = transactional_id
        self._input_topic = input_topic
        self._clock = clock
        self._connection = connect(path, writable=True)
        self._partitions = Partitions(self._connection)
        self._epoch = 0
        self._is_in_doubt = False
        self._is_begun = False
        self._records: list[tuple[int, OutputRecord]] = []
        self._offsets: dict[int, OffsetCommit] = {}
        self._identity: GroupIdentity | None = None

    def open(self) -> None:
        """Follow the port. Raises `Fenced` when another gate runs on the file, `Unreachable`."""
        self._seat.take(self)
        with writing(self._connection, self._path, failure=Unreachable):
            self._epoch = next_epoch(self._connection, self._transactional_id)
        self._is_in_doubt = False
        self._drop()

    def begin(self) -> None:
        """Follow the port."""
        assert self._epoch, "begin before open"
        assert not self._is_begun, "begin inside a transaction"
        assert not self._is_in_doubt, "begin after an unknown outcome without renew"
        with reading(self._path):
            check_epoch(self._connection, self._transactional_id, self._epoch)
        self._is_begun = True

    def produce(self, record: OutputRecord) -> None:
        """Follow the port."""
        partition_id = self._partitions.find(record[0], record[1])
        if partition_id is None or not self._is_begun:
            assert self._is_begun, "produce outside a transaction"
            text = (
                f"embedded log `{self._path}` has no partition {record.partition} of topic "
                f"`{record.topic}`: run `gate init-lineage`"
            )
            raise TransactionAborted(text)
        self._records.append((partition_id, record))

    def send_offsets(self, offsets: Sequence[OffsetCommit], identity: GroupIdentity) -> None:
        """Follow the port; the membership is checked by `commit`."""
        assert self._is_begun, "send_offsets outside a transaction"
        for offset in offsets:
            partition_id = self._partitions.find(self._input_topic, offset.partition)
            if partition_id is None:
                text = f"topic `{self._input_topic}` has no partition {offset.partition}"
                raise TransactionAborted(text)
            self._offsets[partition_id] = offset
        self._identity = identity

    def commit(self) -> None:
        """Follow the port."""
        assert self._is_begun, "commit outside a transaction"
        try:
            with writing(self._connection, self._path):
                self._write()
        except OutcomeUnknown:
            self._is_in_doubt = True
            raise
        self._drop()

    def abort(self) -> None:
        """Follow the port; nothing was written yet, so it can not fail."""
        assert not self._is_in_doubt, "abort after an unknown outcome"
        self._drop()

    def renew(self) -> None:
        """Follow the port; writing the next epoch settles what the failed commit left behind."""
        self._connection.close()
        self._connection = connect(self._path, writable=True)
        self._partitions = Partitions(self._connection)
        self.open()

    def close(self) -> None:
        """Follow the port. A second call does nothing."""
        self._drop()
        self._connection.close()
        self._seat.release(self)

    def _drop(self) -> None:
        self._is_begun = False
        self._records = []
        self._offsets = {}
        self._identity = None

    def _write(self) -> None:
        check_epoch(self._connection, self._transactional_id, self._epoch)
        if self._identity is not None:
            self._check_member(self._identity)
            for partition_id, (_, next_offset, metadata) in self._offsets.items():
                group_id = self._identity.group_id
                set_offset(self._connection, group_id, partition_id, next_offset, metadata)
        now_ms = self._clock.now_ms()
        append(self._connection, self._records, append_time_ms=now_ms, has_marker=True)

    def _check_member(self, identity: GroupIdentity) -> None:
        found = self._connection.execute(
            "SELECT generation, member_id FROM member WHERE group_id = ?", (identity.group_id,)
        ).fetchone()
        if found != (identity.generation, identity.member_id):
            text = (
                f"this member lost group `{identity.group_id}`: expected generation "
                f"{identity.generation}, got {found[0] if found else 'none'}"
            )
            raise Fenced(text)
