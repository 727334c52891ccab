"""The requests topic as the only member of the gate's group.

Joining counts the group's generation up; whoever joined before is fenced at its next poll or
commit. All partitions are assigned by the first poll, none is ever revoked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gate.adapters.embedded.file import (
    Stretch,
    connect,
    fetch,
    partition_ids,
    reading,
    writing,
)
from gate.adapters.embedded.seat import Seat
from gate.errors import ConfigInvalid, Fenced, Lost, Unreachable, Unreadable
from gate.ports import Clock, GroupIdentity, LogRecord, Polled

_WAIT_MS: Final = 5


class EmbeddedInput:
    """Implements `gate.ports.Input`."""

    def __init__(self, path: Path, *, seat: Seat, group_id: str, topic: str, clock: Clock) -> None:
        """Open the file; joins the group at the first poll. Raises `ConfigInvalid`."""
        self._path = path
        self._seat = seat
        self._group_id = group_id
        self._clock = clock
        self._connection = connect(path, writable=True)
        self._partition_ids = partition_ids(self._connection, topic)
        if not self._partition_ids:
            self._connection.close()
            text = f"embedded log `{path}` has no topic `{topic}`: run `gate init-lineage`"
            raise ConfigInvalid(text)
        self._positions: dict[int, int] = {}
        self._generation = -1
        self._first_turn = 0
        self._is_closed = False

    def poll(self, *, records_max: int, timeout_ms: int) -> Polled:
        """Follow the port; the first call joins and assigns every partition."""
        if self._generation < 0:
            self._join()
            return Polled(tuple(self._partition_ids), (), [])
        deadline_ms = self._clock.monotonic_ms() + timeout_ms
        while True:
            records = self._fetch(records_max)
            left_ms = deadline_ms - self._clock.monotonic_ms()
            if records or left_ms <= 0:
                return Polled((), (), records)
            self._clock.sleep_ms(min(left_ms, _WAIT_MS))

    def resume(self, partition: int, *, offset: int) -> None:
        """Follow the port."""
        if partition not in self._partition_ids:
            text = f"partition {partition} is not assigned"
            raise AssertionError(text)
        self._positions[partition] = offset

    def pause(self, partition: int) -> None:
        """Follow the port."""
        self._positions.pop(partition, None)

    def group_identity(self) -> GroupIdentity:
        """Follow the port; before the first poll the generation is -1."""
        return GroupIdentity(
            group_id=self._group_id,
            generation=self._generation,
            member_id=self._member_id if self._generation >= 0 else "",
            token=None,
        )

    def close(self) -> None:
        """Leave the group and the seat. A second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._generation >= 0:
                with writing(self._connection, self._path, failure=Unreachable):
                    self._connection.execute(
                        "UPDATE member SET member_id = '' WHERE group_id = ? AND generation = ?",
                        (self._group_id, self._generation),
                    )
        finally:
            self._connection.close()
            self._seat.release(self)

    @property
    def _member_id(self) -> str:
        return f"{self._group_id}-{self._generation}"

    def _join(self) -> None:
        self._seat.take(self)
        with writing(self._connection, self._path, failure=Unreachable):
            (generation,) = self._connection.execute(
                "INSERT INTO member VALUES (?1, 1, ?1 || '-1') ON CONFLICT DO UPDATE"
                " SET generation = generation + 1, member_id = ?1 || '-' || (generation + 1)"
                " RETURNING generation",
                (self._group_id,),
            ).fetchone()
        self._generation = generation

    def _fetch(self, records_max: int) -> Sequence[LogRecord]:
        """Read on from each position, another partition first each time."""
        records: list[LogRecord] = []
        positions = dict(self._positions)
        with reading(self._path):
            self._check_generation()
            waiting = self._waiting()
            turn = self._first_turn % max(len(waiting), 1)
            self._first_turn += 1
            for partition, position, end in waiting[turn:] + waiting[:turn]:
                room = records_max - len(records)
                if room <= 0:
                    break
                stretch = Stretch(partition, self._partition_ids[partition], position, end)
                found, positions[partition] = self._read(stretch, room)
                records += found
        self._positions = positions  # a poll that fails has consumed nothing
        return records

    def _read(self, stretch: Stretch, records_max: int) -> tuple[list[LogRecord], int]:
        """Read at least one record, if there is one; return the position after it, too."""
        records: list[LogRecord] = []
        while not records and stretch.start < stretch.end:
            try:
                records, start = fetch(self._connection, self._path, stretch, records_max)
            except Unreadable as damage:
                if damage.offset <= stretch.start:
                    raise
                stretch = stretch._replace(end=damage.offset)  # what lies before it is good
                continue
            stretch = stretch._replace(start=start)
        return records, stretch.start

    def _waiting(self) -> list[tuple[int, int, int]]:
        """Return partition, position and end of the partitions that have something to read."""
        waiting = []
        ends = self._connection.execute(
            "SELECT first_offset, next_offset, id FROM partition WHERE topic ="
            " (SELECT topic FROM partition WHERE id = ?)",
            (next(iter(self._partition_ids.values())),),
        )
        by_id = {partition_id: (first, end) for first, end, partition_id in ends}
        for partition, position in self._positions.items():
            first, end = by_id[self._partition_ids[partition]]
            if not first <= position <= end:
                text = (
                    f"partition {partition} can not be read from offset {position}: "
                    f"the log holds {first} to {end}"
                )
                raise Lost(text, partition=partition, offset=position)
            if position < end:
                waiting.append((partition, position, end))
        return waiting

    def _check_generation(self) -> None:
        found = self._connection.execute(
            "SELECT generation FROM member WHERE group_id = ?", (self._group_id,)
        ).fetchone()
        if found != (self._generation,):
            text = (
                f"slot_in_use: another member joined group `{self._group_id}`: "
                f"expected generation {self._generation}, got {found[0] if found else 'none'}"
            )
            raise Fenced(text)
