"""What stands beside the decisions: the changelog, and the quarantine copies.

Each is walked forwards in step with the leaves. A leaf says what must be there; what is there and
no leaf asked for is found, too. Records of leaves past the audited end are pending.
"""

from typing import NamedTuple

from gate.audit.absent_leaves import AbsentLeaves
from gate.audit.findings import Fault, Findings
from gate.audit.kept_state import Values
from gate.audit.topics_reading import Cursor, Head
from gate.core.limits import QUARANTINE_HEAD_BYTES
from gate.core.placement import input_sha256
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import AdmissionRecord, ControlStateRecord, Decision
from gate.core.wire.changelog import (
    is_admission_record,
    read_admission_record,
    read_control_state,
)
from gate.core.wire.reader import WireError
from gate.ports import LogRecord

_QUARANTINED = frozenset(
    {
        (Code.CONTROL_REJECTED, Phase.CONTROL),
        (Code.TOO_LARGE, Phase.DECODE),
        (Code.FRAMING_UNKNOWN, Phase.DECODE),
        (Code.SCHEMA_UNKNOWN, Phase.DECODE),
        (Code.MALFORMED, Phase.DECODE),
        (Code.LIMIT_EXCEEDED, Phase.DECODE),
        (Code.SIGNATURE_INVALID, Phase.VERIFY),
        (Code.REPLAY_CONFLICT, Phase.REPLAY),
    }
)
"""The table of `design/bad-input.md` §1, by the first reason."""


class Change(NamedTuple):
    """One changelog record as read."""

    offset: int
    key: bytes
    value: AdmissionRecord | ControlStateRecord


class ChangelogWalk:
    """One partition's changelog: sequences from 1 on, each state change exactly once."""

    def __init__(self, cursor: Cursor, findings: Findings, absent: AbsentLeaves) -> None:
        """Stand before the first record; `absent` holds leaves whose entry is not known."""
        self._absent = absent
        self._where = cursor.partition
        self._head = Head(cursor, self._read)
        self._findings = findings
        self.sequence = 0
        self.pending = 0

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {"offset": self._head.offset, "sequence": self.sequence}

    def restore(self, kept: Values) -> None:
        """Stand where a walk stood. Raises `ConfigInvalid`."""
        self._head.cursor.go_to(kept.number("offset"))
        self.sequence = kept.number("sequence")

    def take(self, key: bytes, leaf_index: int, *, is_beginning: bool = False) -> Change | None:
        """Return the next change, which must have this key (or begin with it).

        `None` when it is not there, which has then been found.
        """
        change, expected = self._next(leaf_index), self.sequence + 1
        wanted = f"sequence {expected} with key `{_shown(key)}`"
        if change is None:
            if self._head.cursor.is_settled:
                self._add(Fault.CHANGELOG_MISSING, wanted, "the end", None, leaf_index)
            else:
                self.pending += 1
            return None
        value, found = change.value, f"sequence {change.value.sequence} `{_shown(change.key)}`"
        is_other = not (change.key.startswith(key) if is_beginning else change.key == key)
        if value.sequence > expected or (is_other and value.leaf_index > leaf_index):
            self._add(Fault.CHANGELOG_MISSING, wanted, found, change, leaf_index)
            self.sequence = min(expected, value.sequence - 1)
            return None
        self._head.pop()
        self.sequence = expected
        if is_other or value.leaf_index != leaf_index:
            found += f" of leaf {value.leaf_index}"
            self._add(Fault.CHANGELOG_DIFFERS, wanted, found, change, leaf_index)
            return None
        return change

    def _next(self, leaf_index: int) -> Change | None:
        """Return the next change that may be of this leaf; pass those of absent leaves before."""
        while (change := self._peek()) is not None:
            value, expected = change.value, self.sequence + 1
            if value.sequence < expected:
                found = f"sequence {value.sequence} again"
                self._add(
                    Fault.CHANGELOG_UNKNOWN, f"sequence {expected}", found, change, value.leaf_index
                )
            elif value.leaf_index in self._absent and value.leaf_index < leaf_index:
                self.sequence = value.sequence
            else:
                break
            self._head.pop()
        return change

    def finish(self, size: int) -> None:
        """Name what no leaf below `size` asked for; count what lies past it as pending."""
        while (change := self._head.peek()) is not None:
            self._head.pop()
            if change.value.leaf_index in self._absent:
                continue
            if change.value.leaf_index >= size:
                self.pending += 1
                continue
            found = f"sequence {change.value.sequence} of leaf {change.value.leaf_index}"
            index = change.value.leaf_index
            self._add(Fault.CHANGELOG_UNKNOWN, "nothing more", found, change, index)

    def differs(self, change: Change, expected: str, found: str) -> None:
        """Name a change whose fields are not those of its leaf."""
        index = change.value.leaf_index
        self._add(Fault.CHANGELOG_DIFFERS, expected, found, change, index)

    def _peek(self) -> Change | None:
        change = self._head.peek()
        if change is None and self._head.cursor.extend():
            change = self._head.peek()
        return change

    def _read(self, record: LogRecord) -> Change | None:
        value = record.value or b""
        try:
            if is_admission_record(value):
                return Change(record.offset, record.key or b"", read_admission_record(value))
            return Change(record.offset, record.key or b"", read_control_state(value))
        except WireError as fault:
            self._findings.add(
                Fault.UNREADABLE,
                self._where,
                expected="a changelog record",
                found=str(fault),
                offset=record.offset,
            )
            return None

    def _add(
        self, fault: Fault, expected: str, found: str, change: Change | None, index: int
    ) -> None:
        self._findings.add(
            fault,
            self._where,
            expected=expected,
            found=found,
            offset=-1 if change is None else change.offset,
            leaf_index=index,
        )


class _Copy(NamedTuple):
    leaf_index: int
    record: LogRecord
    headers: dict[str, bytes]


class QuarantineWalk:
    """One partition's quarantine: an untouched copy of every input that calls for one."""

    def __init__(self, cursor: Cursor, findings: Findings, absent: AbsentLeaves) -> None:
        """Stand before the first copy; `absent` holds leaves whose entry is not known."""
        self._absent = absent
        self._where = cursor.partition
        self._head = Head(cursor, self._read)
        self._findings = findings
        self.copies = 0
        self.pending = 0

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {"offset": self._head.offset, "copies": self.copies}

    def restore(self, kept: Values) -> None:
        """Stand where a walk stood. Raises `ConfigInvalid`."""
        self._head.cursor.go_to(kept.number("offset"))
        self.copies = kept.number("copies")

    def judge(
        self, entry: Decision, leaf_index: int, origin: str, source: LogRecord | None
    ) -> None:
        """Judge whether the copy that this decision calls for, and no other, is there.

        `source` is the input record, `None` where it is no longer kept.
        """
        reason = entry.reasons[0]
        is_called_for = (reason.code, reason.phase) in _QUARANTINED
        peek = self._peek if is_called_for else self._head.peek
        while (copy := peek()) is not None and copy.leaf_index < leaf_index:
            self._unknown(copy)
        if copy is None or copy.leaf_index > leaf_index:
            if not is_called_for:
                return
            if copy is None and not self._head.cursor.is_settled:
                self.pending += 1
                return
            wanted = f"a copy for `{_code(reason)}`"
            self._add(Fault.QUARANTINE_MISSING, wanted, "none", -1, leaf_index)
        elif not is_called_for:
            self._unknown(copy)
        else:
            self._head.pop()
            self.copies += 1
            self._compare(copy, entry, origin, source)

    def pass_gap(self, leaf_index: int) -> None:
        """Pass copies that belong to a Gap: what they are copies of, no decision says."""
        while (copy := self._peek()) is not None and copy.leaf_index == leaf_index:
            self._head.pop()
            self.copies += 1

    def finish(self, size: int) -> None:
        """Name copies of no leaf below `size`; count those past it as pending."""
        while (copy := self._head.peek()) is not None:
            if copy.leaf_index >= size:
                self.pending += 1
                self._head.pop()
            else:
                self._unknown(copy)

    def _compare(self, copy: _Copy, entry: Decision, origin: str, source: LogRecord | None) -> None:
        record, headers, reason = copy.record, copy.headers, entry.reasons[0]
        offset, index = record.offset, copy.leaf_index
        position = f"{origin}@{entry.input_offset}".encode()
        if headers.get("input-position") != position or headers.get("reason") != _code(
            reason
        ).encode("ascii"):
            wanted = f"reason `{_code(reason)}` at `{position.decode()}`"
            found = (
                f"`{_shown(headers.get('reason'))}` at `{_shown(headers.get('input-position'))}`"
            )
            self._add(Fault.QUARANTINE_DIFFERS, wanted, found, offset, index)
        value = record.value or b""
        if reason.code is Code.TOO_LARGE and "input-bytes" in headers:
            head = value if source is None else (source.value or b"")[:QUARANTINE_HEAD_BYTES]
            is_equal = (len(value), value) == (QUARANTINE_HEAD_BYTES, head)
            is_equal &= headers.get("input-sha256") == entry.input_sha256.hex().encode()
        else:
            is_equal = input_sha256(record.key, value) == entry.input_sha256
        if not is_equal:
            wanted = f"the untouched input, digest {entry.input_sha256.hex()}"
            self._add(Fault.QUARANTINE_DIFFERS, wanted, "other bytes", offset, index)

    def _unknown(self, copy: _Copy) -> None:
        self._head.pop()
        if copy.leaf_index in self._absent:
            return
        found = f"one of leaf {copy.leaf_index}"
        offset = copy.record.offset
        self._add(
            Fault.QUARANTINE_UNKNOWN,
            "copies of quarantined denials",
            found,
            offset,
            copy.leaf_index,
        )

    def _peek(self) -> _Copy | None:
        copy = self._head.peek()
        if copy is None and self._head.cursor.extend():
            copy = self._head.peek()
        return copy

    def _read(self, record: LogRecord) -> _Copy | None:
        headers = dict(record.headers)
        index = headers.get("leaf-index", b"")
        if not index.isdigit() or len(index) > 19:
            found = f"`{_shown(index)}`"
            self._add(Fault.UNREADABLE, "a header `leaf-index`", found, record.offset, -1)
            return None
        return _Copy(int(index), record, headers)

    def _add(self, fault: Fault, expected: str, found: str, offset: int, index: int) -> None:
        self._findings.add(
            fault,
            self._where,
            expected=expected,
            found=found,
            offset=offset,
            leaf_index=index,
        )


def _code(reason: Reason) -> str:
    return reason.code.name.lower()


def _shown(raw: bytes | None) -> str:
    if raw is None:
        return ""
    return raw.decode() if raw.isascii() and raw.decode().isprintable() else raw.hex()
