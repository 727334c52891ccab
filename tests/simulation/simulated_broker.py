"""What a broker keeps: partitions with open records, transactions, offsets, a group.

Transactions end in two steps, as in Kafka: the coordinator decides, then one marker per partition
arrives, each in its own time. Until a partition's marker is there its records are open, hold down
the last stable offset, and hide everything after them. A marker ends whatever the transactional id
has open on its partition: with a marker forgotten, the next one of that id decides the old fate.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from gate.errors import Fenced, OutcomeUnknown, TransactionAborted
from gate.ports import GroupIdentity, LogRecord, OffsetCommit, TopicPartition

TRANSACTION_TIMEOUT_MS = 60_000
SESSION_TIMEOUT_MS = 20_000
MAX_POLL_INTERVAL_MS = 180_000


class _Entry:
    """One offset: a record, and who has not decided on it yet. A marker is an invisible entry."""

    __slots__ = ("is_damaged", "is_visible", "owner", "record")

    def __init__(self, record: LogRecord | None, owner: str | None) -> None:
        self.record = record
        self.owner = owner
        self.is_visible = record is not None and owner is None
        self.is_damaged = False


class PartitionLog:
    """One partition: entries from offset 0, and the first offset each id has open."""

    def __init__(self) -> None:
        self.first = 0
        self.entries: list[_Entry] = []
        self.open: dict[str, int] = {}

    @property
    def end(self) -> int:
        return len(self.entries)

    @property
    def last_stable(self) -> int:
        return min(self.open.values(), default=self.end)

    def append(self, record: LogRecord, owner: str | None) -> int:
        offset = self.end
        self.entries.append(_Entry(record._replace(offset=offset), owner))
        if owner is not None:
            self.open.setdefault(owner, offset)
        return offset

    def mark(self, owner: str, *, is_commit: bool) -> None:
        """Write a marker: everything the id has open here is committed or aborted."""
        first = self.open.pop(owner, None)
        if first is not None:
            for entry in self.entries[first:]:
                if entry.owner == owner:
                    entry.owner = None
                    entry.is_visible = is_commit
        self.entries.append(_Entry(None, None))


class State(Enum):
    """Of a transactional id at the coordinator."""

    EMPTY = 0
    ONGOING = 1
    ENDING = 2


OFFSETS = TopicPartition("__consumer_offsets", 0)
"""Where the marker of a transaction with offsets goes."""


class Marker(NamedTuple):
    """A marker on its way to a partition."""

    due_ms: int
    transactional_id: str
    partition: TopicPartition
    is_commit: bool


class LateEnd(NamedTuple):
    """A request to commit that is still on its way."""

    due_ms: int
    transactional_id: str
    epoch: int


@dataclass(slots=True)
class Transaction:
    """What the coordinator knows of a transactional id."""

    epoch: int = 0
    state: State = State.EMPTY
    partitions: set[TopicPartition] = field(default_factory=set)
    started_ms: int = 0
    is_timed_out: bool = False
    """The present epoch came from the coordinator's timeout, not from another process."""


class Coordinator:
    """Transactional ids, and the markers on their way."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        delay_ms: Callable[[], int],
        arrive: Callable[[Marker], None],
    ) -> None:
        self.transactions: dict[str, Transaction] = {}
        self.markers: list[Marker] = []
        self.late_ends: list[LateEnd] = []
        self.is_holding = False
        self._now_ms = now_ms
        self._delay_ms = delay_ms
        self._arrive = arrive

    def init(self, transactional_id: str) -> int:
        """Take over the id: abort what is open, wait for what is ending, count the epoch up."""
        transaction = self.transactions.setdefault(transactional_id, Transaction())
        if transaction.state is State.ONGOING:
            self._decide(transactional_id, transaction, is_commit=False)
        self.complete(transactional_id)
        transaction.epoch += 1
        transaction.is_timed_out = False
        return transaction.epoch

    def check(self, transactional_id: str, epoch: int) -> Transaction:
        """Raise `Fenced`, or `OutcomeUnknown` where only the timeout took the epoch."""
        transaction = self.transactions[transactional_id]
        if transaction.epoch != epoch:
            text = f"`{transactional_id}`: expected epoch {epoch}, got {transaction.epoch}"
            if transaction.is_timed_out and transaction.epoch == epoch + 1:
                raise OutcomeUnknown("transaction timed out: " + text)
            raise Fenced("slot_in_use: " + text)
        return transaction

    def add(self, transactional_id: str, epoch: int, partition: TopicPartition) -> None:
        """Add a partition; waits until the id's last transaction is complete."""
        transaction = self.check(transactional_id, epoch)
        if transaction.state is State.ENDING:
            self.complete(transactional_id)
        if transaction.state is State.EMPTY:
            transaction.state = State.ONGOING
            transaction.started_ms = self._now_ms()
        transaction.partitions.add(partition)

    def end(self, transactional_id: str, epoch: int, *, is_commit: bool) -> None:
        """Decide. A transaction without partitions, or decided already, stays as it is."""
        transaction = self.check(transactional_id, epoch)
        if transaction.state is State.ONGOING:
            self._decide(transactional_id, transaction, is_commit=is_commit)

    def complete(self, transactional_id: str) -> None:
        """Let every marker of the id arrive."""
        self.deliver(lambda marker: marker.transactional_id == transactional_id)

    def deliver(self, is_chosen: Callable[[Marker], bool], *, is_lost: bool = False) -> None:
        """Let the chosen markers arrive, in order; or lose them, which nobody notices."""
        chosen = [marker for marker in self.markers if is_chosen(marker)]
        self.markers = [marker for marker in self.markers if marker not in chosen]
        for marker in () if is_lost else chosen:
            self._arrive(marker)
        waiting = {marker.transactional_id for marker in self.markers}
        for transactional_id, transaction in self.transactions.items():
            if transaction.state is State.ENDING and transactional_id not in waiting:
                transaction.state = State.EMPTY
                transaction.partitions = set()

    def tick(self) -> None:
        """Do what fell due: late requests, timeouts, markers."""
        now_ms = self._now_ms()
        due = [late for late in self.late_ends if late.due_ms <= now_ms]
        if due:
            self.late_ends = [late for late in self.late_ends if late.due_ms > now_ms]
            for _, transactional_id, epoch in due:
                if self.transactions[transactional_id].epoch == epoch:
                    self.end(transactional_id, epoch, is_commit=True)
        for transactional_id, transaction in self.transactions.items():
            is_ongoing = transaction.state is State.ONGOING
            if is_ongoing and now_ms - transaction.started_ms > TRANSACTION_TIMEOUT_MS:
                self._decide(transactional_id, transaction, is_commit=False)
                transaction.epoch += 1
                transaction.is_timed_out = True
        if self.markers and not self.is_holding:
            self.deliver(lambda marker: marker.due_ms <= now_ms)

    def _decide(self, transactional_id: str, transaction: Transaction, *, is_commit: bool) -> None:
        transaction.state = State.ENDING
        now_ms = self._now_ms()
        for partition in sorted(transaction.partitions):
            due_ms = now_ms + self._delay_ms()
            self.markers.append(Marker(due_ms, transactional_id, partition, is_commit))
        if not self.is_holding:
            self.deliver(lambda marker: marker.due_ms <= now_ms)


@dataclass(slots=True)
class Member:
    """One process of the group. `pending` events wait for its next poll."""

    member_id: str
    owned: tuple[int, ...] = ()
    is_rejoined: bool = False
    is_paused: bool = False
    seen_ms: int = 0


class Group:
    """The gate's consumer group: static members, eager range assignment, generations.

    `slots` are instance ids. A join, a leave or an expired member begins a rebalance; it ends, with
    the next generation, when every member has given up its partitions in a poll of its own.
    """

    def __init__(self, partition_count: int) -> None:
        self.partition_count = partition_count
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.is_rebalancing = False
        self.assignment: dict[str, tuple[int, ...]] = {}
        self.committed: dict[int, OffsetCommit] = {}
        self.pending: dict[str, dict[int, OffsetCommit]] = {}
        self._joins = 0

    def join(self, slot: str, now_ms: int) -> Member:
        """Join; a member of the same slot is replaced, and fenced, without a rebalance."""
        self._joins += 1
        member = Member(f"{slot}#{self._joins}", seen_ms=now_ms)
        if slot not in self.members:
            self.is_rebalancing = True
        member.is_rejoined = self.is_rebalancing
        self.members[slot] = member
        return member

    def leave(self, slot: str) -> None:
        """Leave, or be expelled."""
        del self.members[slot]
        self.is_rebalancing = True
        for member in self.members.values():
            member.is_rejoined = False

    def settle(self) -> None:
        """End the rebalance if every member has rejoined."""
        if self.is_rebalancing and all(member.is_rejoined for member in self.members.values()):
            self.is_rebalancing = False
            self.generation += 1
            self.assignment = self._ranges()
            for member in self.members.values():
                member.is_rejoined = False

    def expire(self, now_ms: int) -> None:
        """Expel members whose process stands still, or that did not poll for too long."""
        for slot, member in list(self.members.items()):
            limit_ms = SESSION_TIMEOUT_MS if member.is_paused else MAX_POLL_INTERVAL_MS
            if now_ms - member.seen_ms > limit_ms:
                self.leave(slot)

    def check_member(self, identity: GroupIdentity) -> None:
        """Refuse offsets of a member that is not of this generation."""
        if identity.generation < 0 and not identity.member_id:
            return  # a broker checks nothing then: why the gate must
        if identity.member_id not in {member.member_id for member in self.members.values()}:
            if identity.token in self.members:
                text = f"slot_in_use: another process took slot `{identity.token}`"
                raise Fenced(text)
            text = f"member `{identity.member_id}` was expelled"
            raise TransactionAborted(text)
        if identity.generation != self.generation:
            text = f"expected generation {self.generation}, got {identity.generation}"
            raise TransactionAborted(text)

    def _ranges(self) -> dict[str, tuple[int, ...]]:
        slots = sorted(self.members)
        each, more = divmod(self.partition_count, len(slots)) if slots else (0, 0)
        assignment = {}
        at = 0
        for index, slot in enumerate(slots):
            size = each + (index < more)
            assignment[slot] = tuple(range(at, at + size))
            at += size
        return assignment
