"""The leaves that a partition's topics record, in order: what `replay` compares with.

Reads lineage, approved and denied side by side and believes them: whether they are what was
signed, is the audit's affair. A leaf that no topic holds is `None`.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from gate.audit.kept_state import Values
from gate.audit.topics_reading import Cursor, Head, Progress, record_at
from gate.core.proof.merkle import HASH_BYTES
from gate.core.topics import Topics
from gate.core.values import Entry, Gap, Genesis, LineageRecord
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import RECORD_BYTES_MAX, RECORDED, Reader, WireError
from gate.core.wire.record import read_lineage_record
from gate.core.wire.schemas import DECISION_RECORD
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition


class RecordedLeaf(NamedTuple):
    """One recorded leaf: its bytes as found, and the hash that the lineage names."""

    entry: bytes | None
    leaf_hash: bytes


class _Mark(NamedTuple):
    """Where reading stood before a lineage record, whose checkpoint this is."""

    offset: int
    first_index: int
    decisions: tuple[int, ...]
    checkpoint: str


class RecordedLeaves:
    """Reads a partition's leaves from leaf 1 on; `genesis` is leaf 0.

    `next_offset` and `tree_size` are those of the last lineage record when this was made. A Gap
    ends the leaves: `gap_index` is then its index. `displaced` says what stands in place of what
    was read before; empty where nothing does.
    """

    def __init__(
        self,
        reader: LogReader,
        topics: Topics,
        partition: int,
        progress: Progress | None,
        kept: Values | None = None,
    ) -> None:
        """Read Genesis and the last lineage record; stand where a `state` stood.

        Raises `ConfigInvalid` when there is none.
        """
        where = TopicPartition(topics.lineage, partition)
        last = reader.last(where)
        if last is None:
            raise ConfigInvalid(
                f"topic `{topics.lineage}` partition {partition} is empty: nothing was decided yet"
            )
        newest = _lineage_record(last)
        self.next_offset = newest.next_offset
        self.tree_size = newest.tree_size
        self.gap_index = -1
        self._lineage = Cursor(reader, where)
        self._heads = tuple(
            Head(Cursor(reader, TopicPartition(topic, partition), progress=progress), _decision)
            for topic in (topics.approved, topics.denied)
        )
        self._records = iter(self._lineage.records())
        self._leaves: list[RecordedLeaf] = []
        self._marks: deque[_Mark] = deque()
        self._size = 0
        self._next_leaf = 1
        self.displaced = ""
        first = next(self._records, None)
        record = None if first is None else _lineage_record(first)
        entry = _entry(record.entries[0].entry) if record and record.entries else None
        if record is None or record.prev_size != 0 or not isinstance(entry, Genesis):
            raise ConfigInvalid(f"topic `{topics.lineage}` partition {partition}: no Genesis")
        self.genesis = entry
        self.origin = record.log
        assert first is not None, "its record was read"
        if kept is None:
            self._add(first.offset, record)
            del self._leaves[0]
        else:
            self._restore(reader, kept)

    def state(self) -> dict[str, object]:
        """Return what another reading needs to go on with the leaf after the last one taken."""
        mark = self._marks[0]
        return {
            "lineage": mark.offset,
            "first_index": mark.first_index,
            "next_leaf": self._next_leaf,
            "decisions": list(mark.decisions),
            "checkpoint": mark.checkpoint,
        }

    def _restore(self, reader: LogReader, kept: Values) -> None:
        """INVARIANT (what was replayed is still there): its last checkpoint is the very same."""
        where, offset = self._lineage.partition, kept.number("lineage")
        self._size = first_index = kept.number("first_index")
        found = record_at(reader, where, offset)
        record = None if found is None else _lineage_record(found)
        if record is None or record.checkpoint != kept.text("checkpoint"):
            note = "none" if record is None else f"size {record.tree_size} root {record.root.hex()}"
            self.displaced = (
                f"lineage offset {offset}: expected the checkpoint that the resume file keeps, "
                f"found {note}: run the audit"
            )
            return
        self._next_leaf = kept.number("next_leaf")
        if record.prev_size != first_index or not first_index <= self._next_leaf:
            raise ConfigInvalid("resume file: leaves are not those of its lineage record")
        for head, position in zip(self._heads, kept.items("decisions"), strict=False):
            head.cursor.go_to(position)
        self._lineage = Cursor(reader, where, start=offset + 1)
        self._records = iter(self._lineage.records())
        self._add(offset, record)
        del self._leaves[: self._next_leaf - first_index]

    def take(self, count: int) -> Sequence[RecordedLeaf]:
        """Return the next leaves, `count` of them unless there are fewer."""
        while len(self._leaves) < count and self.gap_index < 0:
            log_record = next(self._records, None)
            if log_record is None:
                break
            self._add(log_record.offset, _lineage_record(log_record))
        taken = self._leaves[:count]
        del self._leaves[:count]
        self._next_leaf += len(taken)
        while len(self._marks) > 1 and self._marks[1].first_index <= self._next_leaf:
            self._marks.popleft()
        return taken

    def _add(self, offset: int, record: LineageRecord) -> None:
        if record.prev_size != self._size:
            raise ConfigInvalid(
                f"lineage `{record.log}`: expected growth from size {self._size}, found "
                f"{record.prev_size}: run the audit"
            )
        places = tuple(head.offset for head in self._heads)
        self._marks.append(_Mark(offset, record.prev_size, places, record.checkpoint))
        self._size = record.tree_size
        first, size = record.prev_size, record.tree_size
        entries: list[bytes | None] = [None] * (size - first)
        for head in self._heads:
            while (item := head.peek()) is not None and item.leaf_index < size:
                head.pop()
                if item.leaf_index >= first:
                    entries[item.leaf_index - first] = item.entry
        end = len(entries)
        for other in record.entries:
            if first <= other.leaf_index < size:
                entries[other.leaf_index - first] = other.entry
                if isinstance(_entry(other.entry), Gap):
                    self.gap_index = other.leaf_index
                    end = other.leaf_index - first
                    break
        data = record.leaf_hashes
        self._leaves += [
            RecordedLeaf(entry, data[position * HASH_BYTES : (position + 1) * HASH_BYTES])
            for position, entry in enumerate(entries[:end])
        ]


def _entry(data: bytes) -> Entry | None:
    try:
        return read_entry(data)
    except WireError:
        return None


class _Decided(NamedTuple):
    leaf_index: int
    entry: bytes


def _decision(log_record: LogRecord) -> _Decided | None:
    """Read a decision record as far as its leaf index: its proof is not replay's affair."""
    try:
        reader = Reader(log_record.value or b"", DECISION_RECORD, RECORDED, RECORD_BYTES_MAX)
        entry = reader.bytes_("entry")
        reader.bytes_("log")
        return _Decided(reader.long("leaf_index"), entry)
    except WireError:
        return None


def _lineage_record(log_record: LogRecord) -> LineageRecord:
    try:
        return read_lineage_record(log_record.value or b"")
    except WireError as fault:
        raise ConfigInvalid(
            f"lineage record at offset {log_record.offset} can not be read: {fault}"
        ) from fault
