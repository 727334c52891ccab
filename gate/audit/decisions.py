"""Decision records of one partition, gathered by the transaction that they say they are of.

Approved and denied are read side by side; a record is judged by the verifier alone, under the
trust root of its transaction. What does not verify is named and counts for nothing.
"""

from typing import NamedTuple

from gate.audit.findings import Fault, Findings
from gate.audit.kept_state import Values
from gate.audit.topics_reading import Cursor, Head
from gate.core.proof.records import CheckpointVerifier
from gate.core.proof.verdict import Refused, Verified
from gate.core.trust import TrustRoot
from gate.core.values import Decision, DecisionRecord
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record
from gate.errors import ConfigInvalid
from gate.ports import LogRecord, TopicPartition


class Found(NamedTuple):
    """A decision record that verifies, and where it stands."""

    where: TopicPartition
    log_record: LogRecord
    record: DecisionRecord
    entry: Decision
    root: bytes
    """The root that its path leads to, and that its signature is over."""


class _Read(NamedTuple):
    log_record: LogRecord
    record: DecisionRecord


class DecisionWalk:
    """The approved and denied topics of one partition, walked transaction by transaction."""

    def __init__(self, cursors: tuple[Cursor, Cursor], findings: Findings) -> None:
        """Stand before the first records; `cursors` are of approved and denied."""
        self._findings = findings
        self._heads = tuple(
            Head(cursor, _Reading(cursor.partition, findings).read) for cursor in cursors
        )
        self._verifier: CheckpointVerifier | None = None
        self._trust: TrustRoot | None = None
        self.pending = 0

    @property
    def is_settled(self) -> bool:
        """Say whether a record that was not found may not still be undecided in the log."""
        return all(head.cursor.is_settled for head in self._heads)

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {"offsets": [head.offset for head in self._heads]}

    def restore(self, kept: Values) -> None:
        """Stand where a walk stood. Raises `ConfigInvalid`."""
        for head, offset in zip(self._heads, kept.items("offsets"), strict=False):
            if not isinstance(offset, int):
                raise ConfigInvalid("resume file: expected numbers at `offsets`")
            head.cursor.go_to(offset)

    def gather(
        self, origin: str, size: int, trust: TrustRoot | None
    ) -> tuple[dict[int, list[Found]], set[int]]:
        """Return the records of trees up to `size` by leaf index, and indexes of refused ones."""
        if trust is not self._trust:
            self._trust = trust
            self._verifier = None if trust is None else CheckpointVerifier(trust)
        found: dict[int, list[Found]] = {}
        refused: set[int] = set()
        for head in self._heads:
            while (item := _peek(head)) is not None and item.record.tree_size <= size:
                head.pop()
                self._judge(head.cursor.partition, item, origin, found, refused)
        return found, refused

    def pass_refused(self, origin: str) -> None:
        """Pass records at the heads that do not verify: they hide those behind them."""
        for head in self._heads:
            while (item := head.peek()) is not None:
                if isinstance(self._verify(item.record, origin), Verified):
                    break
                head.pop()
                self._judge(head.cursor.partition, item, origin, {}, set())

    def finish(self) -> int:
        """Count what lies past the audited end; return the largest tree size that it claims."""
        size = 0
        for head in self._heads:
            while (item := head.peek()) is not None:
                head.pop()
                self.pending += 1
                size = max(size, item.record.tree_size)
        return size

    def _judge(
        self,
        where: TopicPartition,
        item: _Read,
        origin: str,
        found: dict[int, list[Found]],
        refused: set[int],
    ) -> None:
        record = item.record
        verified = self._verify(record, origin)
        if isinstance(verified, Verified):
            assert isinstance(verified.entry, Decision), "a decision record holds a decision"
            found.setdefault(record.leaf_index, []).append(
                Found(where, item.log_record, record, verified.entry, verified.root)
            )
            return
        refused.add(record.leaf_index)
        self._findings.add(
            Fault.PROOF_REFUSED,
            where,
            expected="a decision record that verifies",
            found=verified,
            offset=item.log_record.offset,
            leaf_index=record.leaf_index,
        )

    def _verify(self, record: DecisionRecord, origin: str) -> Verified | str:
        if record.log != origin:
            return f"one of log `{record.log}`"
        if self._verifier is None:
            return "no trust root to verify it with"
        verified = self._verifier.verify(record)
        if isinstance(verified, Refused):
            return f"{verified.code.value} at step {verified.step}: {verified.text}"
        return verified


class _Reading:
    """Reads one topic's records, and names those that can not be read."""

    def __init__(self, where: TopicPartition, findings: Findings) -> None:
        self._where = where
        self._findings = findings

    def read(self, log_record: LogRecord) -> _Read | None:
        try:
            return _Read(log_record, read_decision_record(log_record.value or b""))
        except WireError as fault:
            self._findings.add(
                Fault.UNREADABLE,
                self._where,
                expected="a decision record",
                found=str(fault),
                offset=log_record.offset,
            )
            return None


def _peek(head: Head[_Read]) -> _Read | None:
    item = head.peek()
    if item is None and head.cursor.extend():
        item = head.peek()
    return item
