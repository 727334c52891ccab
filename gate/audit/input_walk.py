"""The input of one partition, walked in step with the entries: each record in exactly one.

Kafka offsets have holes of their own (markers, aborted records), so a missing record shows as a
record that no entry was taken for, never as a missing number.
"""

from gate.audit.findings import Fault, Findings
from gate.audit.kept_state import Values
from gate.audit.topics_reading import Cursor, Head
from gate.core.placement import input_sha256
from gate.core.values import Control, Decision
from gate.ports import LogRecord


class InputWalk:
    """Input records from Genesis's first offset on, against entries in leaf order."""

    def __init__(self, cursor: Cursor, findings: Findings) -> None:
        """Stand before the first record kept; `begin` moves to Genesis's first offset."""
        self.where = cursor.partition
        self._cursor = cursor
        self._head = Head(cursor, lambda record: record)
        self._findings = findings
        self._next = 0
        self._absent = 0
        self.compared = 0
        self.gone = 0
        self.pending = 0

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {
            "offset": self._head.offset,
            "next": self._next,
            "absent": self._absent,
            "compared": self.compared,
            "gone": self.gone,
        }

    def restore(self, kept: Values) -> None:
        """Stand where a walk stood. Raises `ConfigInvalid`."""
        self._cursor.go_to(kept.number("offset"))
        self._next = kept.number("next")
        self._absent = kept.number("absent")
        self.compared = kept.number("compared")
        self.gone = kept.number("gone")

    def begin(self, first_offset: int) -> None:
        """Begin at the first offset that the lineage answers for."""
        self._next = first_offset
        self._cursor.go_to(first_offset)

    def take(self, entry: Decision | Control, leaf_index: int) -> LogRecord | None:
        """Return the record of an entry and compare it; `None` when there is none to compare."""
        offset = entry.input_offset
        if offset < self._next:
            expected = f"an entry for input offset {self._next} or later"
            self._add(Fault.INPUT_UNKNOWN, expected, f"another for {offset}", offset, leaf_index)
            return None
        self._next = offset + 1
        if offset < self._cursor.first:
            self.gone += 1
            return None
        self._undecided_below(offset)
        self._absent = 0
        record = self._peek()
        if record is None or record.offset != offset:
            found = f"an entry for offset {offset}, where there is none"
            self._add(Fault.INPUT_UNKNOWN, "an input record", found, offset, leaf_index)
            return None
        self._head.pop()
        self.compared += 1
        digest = input_sha256(record.key, record.value)
        if (digest, record.append_time_ms) != (entry.input_sha256, entry.input_time_ms):
            self._add(
                Fault.INPUT_DIFFERS,
                f"digest {entry.input_sha256.hex()} at {entry.input_time_ms} ms",
                f"{digest.hex()} at {record.append_time_ms} ms",
                offset,
                leaf_index,
            )
        return record

    def pass_absent(self, count: int) -> None:
        """Allow for records whose entries are not known."""
        self._absent += count

    def skip(self, first_offset: int, last_offset: int, leaf_index: int) -> None:
        """Pass what a Gap covers."""
        if first_offset < self._next:
            expected = f"a gap from input offset {self._next} or later"
            found = f"one from {first_offset}"
            self._add(Fault.INPUT_UNKNOWN, expected, found, first_offset, leaf_index)
        self._undecided_below(first_offset)
        self._absent = 0
        while (record := self._peek()) is not None and record.offset <= last_offset:
            self._head.pop()
        self._next = max(self._next, last_offset + 1)

    def finish(self, next_offset: int) -> None:
        """Name records below the lineage's end that no entry was for; the rest is pending."""
        self._undecided_below(next_offset)
        while self._head.peek() is not None:
            self._head.pop()
            self.pending += 1

    def _undecided_below(self, offset: int) -> None:
        while (record := self._peek()) is not None and record.offset < offset:
            self._head.pop()
            if self._absent:
                self._absent -= 1
                continue
            self._add(Fault.INPUT_UNDECIDED, "an entry", "none", record.offset, -1)

    def _peek(self) -> LogRecord | None:
        record = self._head.peek()
        if record is None and self._cursor.extend():
            record = self._head.peek()
        return record

    def _add(self, fault: Fault, expected: str, found: str, offset: int, index: int) -> None:
        self._findings.add(
            fault, self.where, expected=expected, found=found, offset=offset, leaf_index=index
        )
