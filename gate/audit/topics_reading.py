"""Topics as an auditor reads them: one partition forwards, one slice in memory.

Promises: reads committed records only, between ends that are asked for once, so that a running
gate does not keep an audit from ending; says how far it is. Nothing is read twice.

Leaves to others: what the records mean, and whether those that are no longer kept matter.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from gate.errors import Lost, Unreachable
from gate.ports import LogReader, LogRecord, TopicPartition

T = TypeVar("T")

SLICE_RECORDS_MAX = 2_000
STALLS_MAX = 100


class Reached(NamedTuple):
    """How far a partition has been read: the next offset, and where reading ends."""

    partition: TopicPartition
    offset: int
    end: int


Progress = Callable[[Reached], None]


class Cursor:
    """Reads one topic partition from `start`, or the first record kept, up to its present end.

    `first` is the first offset still kept. `end` is the last stable offset when the cursor was
    made or last extended, or `until` where that is less. `is_settled`: nothing at that end was
    still undecided.
    """

    def __init__(
        self,
        reader: LogReader,
        partition: TopicPartition,
        *,
        start: int = 0,
        until: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Ask for the ends. Raises what `LogReader.ends` raises."""
        self.partition = partition
        self._reader = reader
        self._until = until
        self._progress = progress
        self.end = 0
        self.first = 0
        self.is_settled = True
        self._ask_ends()
        self.offset = max(start, self.first)

    def go_to(self, offset: int) -> None:
        """Go forward to an offset, before anything was read; never below the first one kept."""
        self.offset = max(self.offset, offset)

    def next_slice(self) -> Sequence[LogRecord]:
        """Return the next records, at most `SLICE_RECORDS_MAX`, none at the end.

        Raises `Unreachable` when the log makes no progress, `Lost` when records go meanwhile.
        """
        stalls = 0
        while self.offset < self.end:
            records, next_offset = self._reader.read(
                self.partition, offset=self.offset, records_max=SLICE_RECORDS_MAX
            )
            if next_offset <= self.offset:
                stalls += 1
                if stalls > STALLS_MAX:
                    raise Unreachable(
                        f"topic `{self.partition.topic}` partition {self.partition.partition}: "
                        f"no progress from offset {self.offset} towards {self.end}"
                    )
                continue
            stalls = 0
            self.offset = next_offset
            if records and records[-1].offset >= self.end:
                records = [record for record in records if record.offset < self.end]
                self.offset = self.end  # what came meanwhile may be asked for by `extend`
            if self._progress is not None:
                reached = min(self.offset, self.end)
                self._progress(Reached(self.partition, reached, self.end))
            if records:
                return records
        return ()

    def records(self) -> Iterator[LogRecord]:
        """Yield every record up to the end."""
        while records := self.next_slice():
            yield from records

    def extend(self) -> bool:
        """Move an unsettled end to the present one; say whether there is more to read.

        A settled end is final: whatever was committed elsewhere before it was asked for is below.
        """
        if not self.is_settled:
            self._ask_ends()
        return self.offset < self.end

    def _ask_ends(self) -> None:
        ends = self._reader.ends([self.partition])[self.partition]
        self.first = ends.first
        self.is_settled = ends.last_stable >= ends.high_watermark
        until = ends.last_stable if self._until is None else self._until
        self.end = max(self.end, min(ends.last_stable, until))


class Head(Generic[T]):
    """A cursor's records, seen one ahead. What `read` returns `None` for is passed over."""

    def __init__(self, cursor: Cursor, read: Callable[[LogRecord], T | None]) -> None:
        """Read nothing yet."""
        self.cursor = cursor
        self._read = read
        self._slice: Sequence[LogRecord] = ()
        self._position = 0
        self._item: T | None = None

    def peek(self) -> T | None:
        """Return the next item without passing it, `None` at the end."""
        while self._item is None:
            if self._position >= len(self._slice):
                self._slice, self._position = self.cursor.next_slice(), 0
                if not self._slice:
                    return None
            self._item = self._read(self._slice[self._position])
            self._position += 1
        return self._item

    @property
    def offset(self) -> int:
        """The offset from which another head would give the same items."""
        if self._item is not None:
            return self._slice[self._position - 1].offset
        if self._position < len(self._slice):
            return self._slice[self._position].offset
        return self.cursor.offset

    def pop(self) -> None:
        """Pass the item that `peek` returned."""
        self._item = None


def record_at(reader: LogReader, where: TopicPartition, offset: int) -> LogRecord | None:
    """Return the record at an offset, `None` when there is none, or no longer."""
    try:
        records = reader.read(where, offset=offset, records_max=1).records
    except Lost:
        return None
    return records[0] if records and records[0].offset == offset else None
