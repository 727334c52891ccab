"""The log's ports in memory, with everything a real cluster does to a gate.

Beside the ports (`input`, `output`, `reader`, `publisher`, `admin` make them):

* `marker_delay_ms_max`: each marker arrives up to so much later, by the world's chance; time passes
  by crossings, polls and sleeps. `hold_markers`, `deliver_markers`, `release_markers` take it into
  the test's hands, `lose_markers` forgets them on a partition (it stays pinned).
* Meanwhile the last stable offset is below the high watermark and `committed` raises `Pending`.
* `stand_still(slot)`: the process of a slot has stopped (SIGSTOP, death); it is expelled after the
  session timeout. A new process of that slot replaces it. Another slot makes the group rebalance.
* Transactions time out, late commits arrive (`Way.DELAYED`, `Way.DUPLICATED`) unless the epoch has
  moved on: only `renew` protects the next transaction from them.
* `truncate`, `recreate`, `damage`, `forget_offsets`, `write_foreign` are an operator's accidents.

As in Kafka, a stale epoch shows at the end of a transaction and not at its beginning, offsets are
checked against the membership when they are sent, and with generation -1 nothing is checked.
"""

from collections.abc import Callable, Mapping, Sequence

from gate.errors import (
    Fenced,
    GateError,
    OutcomeUnknown,
    Pending,
    TransactionAborted,
    Unreachable,
    Unreadable,
)
from gate.ports import (
    Ends,
    GroupIdentity,
    LogRecord,
    OffsetCommit,
    OutputRecord,
    Polled,
    ReadSlice,
    TopicIdentity,
    TopicPartition,
    TopicSpec,
)
from tests.simulation.simulated_broker import OFFSETS, Member
from tests.simulation.simulated_cluster import SimulatedCluster
from tests.simulation.world import SLOW_COMMIT_MS, Boundary, Way


class SimulatedLog(SimulatedCluster):
    """The cluster, and the ports to it; outlives every gate."""

    def input(self, *, slot: str, group_id: str, topic: str) -> "SimulatedInput":
        return SimulatedInput(self, slot, group_id, topic)

    def output(self, *, transactional_id: str, input_topic: str) -> "SimulatedOutput":
        return SimulatedOutput(self, transactional_id, input_topic)

    def reader(self) -> "SimulatedReader":
        return SimulatedReader(self)

    def publisher(self) -> "SimulatedPublisher":
        return SimulatedPublisher(self)

    def admin(self) -> "SimulatedAdmin":
        return SimulatedAdmin(self)


class SimulatedInput:
    """Implements `gate.ports.Input`."""

    def __init__(self, log: SimulatedLog, slot: str, group_id: str, topic: str) -> None:
        self._log = log
        self._slot = slot
        self._group_id = group_id
        self._topic = topic
        self._group = log.group(group_id, topic)
        self._member: Member | None = None
        self._generation = -1
        self._positions: dict[int, int] = {}
        self._turn = 0

    def poll(self, *, records_max: int, timeout_ms: int) -> Polled:
        with self._log.world.crossing(Boundary.POLL):
            assigned, revoked = self._events()
            records = self._fetch(records_max)
            if not (records or assigned or revoked):
                self._log.world.clock.advance(timeout_ms)
                records = self._fetch(records_max)
            return Polled(assigned, revoked, records)

    def resume(self, partition: int, *, offset: int) -> None:
        assert self._member is not None, "resume before the first poll"
        assert partition in self._member.owned, f"partition {partition} is not assigned"
        self._positions[partition] = offset

    def pause(self, partition: int) -> None:
        self._positions.pop(partition, None)

    def group_identity(self) -> GroupIdentity:
        return GroupIdentity(
            group_id=self._group_id,
            generation=self._generation,
            member_id=self._member.member_id if self._member else "",
            token=self._slot,
        )

    def close(self) -> None:
        if self._member is not None and self._group.members.get(self._slot) is self._member:
            self._group.leave(self._slot)
            self._group.settle()
        self._member = None

    def _events(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        group, now_ms = self._group, self._log.world.clock.monotonic_ms()
        revoked: tuple[int, ...] = ()
        found = group.members.get(self._slot)
        if self._member is None or found is not self._member:
            if self._member is not None and found is not None:
                text = f"slot_in_use: another process took slot `{self._slot}`"
                raise Fenced(text)
            if self._member is not None:
                revoked = self._member.owned  # expelled: lost, and told so late
            self._member = group.join(self._slot, now_ms)
        member = self._member
        member.seen_ms, member.is_paused = now_ms, False
        if group.is_rebalancing and not member.is_rejoined:
            revoked, member.owned = member.owned, ()
            member.is_rejoined = True
        group.settle()
        assigned: tuple[int, ...] = ()
        if not group.is_rebalancing:
            self._generation = group.generation
            if member.owned != group.assignment[self._slot]:
                member.owned = assigned = group.assignment[self._slot]
        for partition in revoked:
            self.pause(partition)
        return assigned, revoked

    def _fetch(self, records_max: int) -> list[LogRecord]:
        records: list[LogRecord] = []
        positions = dict(self._positions)
        partitions = sorted(positions)
        self._turn += 1
        turn = self._turn % max(len(partitions), 1)
        for partition in partitions[turn:] + partitions[:turn]:
            room = records_max - len(records)
            if room <= 0:
                break
            where = TopicPartition(self._topic, partition)
            found = self._log.read(where, positions[partition], room)
            positions[partition] = found.next_offset
            records += found.records
        self._positions = positions  # a poll that fails has consumed nothing
        return records


class SimulatedOutput:
    """Implements `gate.ports.Output`."""

    def __init__(self, log: SimulatedLog, transactional_id: str, input_topic: str) -> None:
        self._log = log
        self._id = transactional_id
        self._input_topic = input_topic
        self._epoch = 0
        self._forget()

    def _forget(self) -> None:
        self._is_begun = False
        self._is_in_doubt = False
        self._added: set[TopicPartition] = set()
        self._failure: GateError | None = None

    def open(self) -> None:
        with self._log.world.crossing(Boundary.OPEN):
            self._epoch = self._log.coordinator.init(self._id)
            self._forget()

    def begin(self) -> None:
        assert self._epoch, "begin before open"
        assert not self._is_begun, "begin inside a transaction"
        assert not self._is_in_doubt, "begin after an unknown outcome without renew"
        with self._log.world.crossing(Boundary.BEGIN):
            self._is_begun = True

    def produce(self, record: OutputRecord) -> None:
        assert self._is_begun, "produce outside a transaction"
        with self._log.world.crossing(Boundary.PRODUCE):
            where = TopicPartition(record.topic, record.partition)
            try:
                self._log.partition(where)
                self._add(where)
                self._log.append(record, self._id)
            except Unreachable as error:
                raise TransactionAborted(str(error)) from error
            except (Fenced, OutcomeUnknown) as error:
                self._failure = error  # the client learns of it in the background

    def send_offsets(self, offsets: Sequence[OffsetCommit], identity: GroupIdentity) -> None:
        assert self._is_begun, "send_offsets outside a transaction"
        with self._log.world.crossing(Boundary.SEND_OFFSETS):
            self._raise_failure()
            group = self._log.group(identity.group_id, self._input_topic)
            group.check_member(identity)
            try:
                self._add(OFFSETS)
            except OutcomeUnknown as error:
                raise TransactionAborted(str(error)) from error
            pending = group.pending.setdefault(self._id, {})
            pending.update({offset.partition: offset for offset in offsets})

    def commit(self) -> None:
        assert self._is_begun, "commit outside a transaction"
        try:
            with self._log.world.crossing(Boundary.COMMIT) as way:
                if way is Way.DELAYED:
                    self._log.send_late_end(self._id, self._epoch)
                else:
                    self._commit(way)
        except OutcomeUnknown:
            self._is_in_doubt = True
            raise
        self._forget()

    def abort(self) -> None:
        assert not self._is_in_doubt, "abort after an unknown outcome"
        if not self._is_begun:
            return
        try:
            with self._log.world.crossing(Boundary.ABORT):
                self._log.coordinator.end(self._id, self._epoch, is_commit=False)
        except OutcomeUnknown:
            self._is_in_doubt = True
            raise
        self._forget()

    def renew(self) -> None:
        with self._log.world.crossing(Boundary.RENEW):
            self._epoch = self._log.coordinator.init(self._id)
            self._forget()

    def close(self) -> None:
        """Leave an open transaction to the timeout or the next process, as a client does."""

    def _commit(self, way: Way | None) -> None:
        if isinstance(self._failure, OutcomeUnknown):
            raise self._failure
        self._raise_failure()
        self._log.coordinator.end(self._id, self._epoch, is_commit=True)
        if way is Way.DUPLICATED:
            self._log.send_late_end(self._id, self._epoch)
            self._log.world.clock.advance(SLOW_COMMIT_MS)

    def _add(self, where: TopicPartition) -> None:
        """Tell the coordinator, once a transaction; the partition itself checks the epoch."""
        if where in self._added:
            self._log.coordinator.check(self._id, self._epoch)
        else:
            self._log.coordinator.add(self._id, self._epoch, where)
            self._added.add(where)

    def _raise_failure(self) -> None:
        if isinstance(self._failure, Fenced):
            raise self._failure
        if self._failure is not None:
            raise TransactionAborted(str(self._failure)) from self._failure


class SimulatedReader:
    """Implements `gate.ports.LogReader`."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log

    def cluster_id(self) -> str:
        return "simulated"

    def topic(self, name: str) -> TopicIdentity | None:
        found = self._log.topics.get(name)
        return found.identity if found else None

    def committed(
        self, group_id: str, topic: str, partitions: Sequence[int]
    ) -> Mapping[int, OffsetCommit | None]:
        with self._log.world.crossing(Boundary.COMMITTED):
            group = self._log.group(group_id, topic)
            for transactional_id, offsets in group.pending.items():
                if not offsets.keys().isdisjoint(partitions):
                    text = f"offsets of group `{group_id}` wait for `{transactional_id}`"
                    raise Pending(text)
            return {partition: group.committed.get(partition) for partition in partitions}

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        with self._log.world.crossing(Boundary.ENDS):
            found = {partition: self._log.partition(partition) for partition in partitions}
            return {
                partition: Ends(where.first, where.last_stable, where.end)
                for partition, where in found.items()
            }

    def read(self, partition: TopicPartition, *, offset: int, records_max: int) -> ReadSlice:
        with self._log.world.crossing(Boundary.READ):
            return self._log.read(partition, offset, records_max)

    def last(self, partition: TopicPartition) -> LogRecord | None:
        with self._log.world.crossing(Boundary.READ):
            where = self._log.partition(partition)
            for offset in reversed(range(where.first, where.last_stable)):
                entry = where.entries[offset]
                if entry.is_damaged:
                    text = f"{partition}: offset {offset} can not be read"
                    raise Unreadable(text)
                if entry.is_visible:
                    return entry.record
            return None

    def last_of(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, LogRecord | None]:
        return {where: self.last(where) for where in partitions}

    def group_is_empty(self, group_id: str) -> bool:
        return not any(
            group.members for (found, _), group in self._log.groups.items() if found == group_id
        )


class SimulatedPublisher:
    """Implements `gate.ports.Publisher`; crosses no boundary of the gate."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log
        self._epochs: dict[str, int] = {}

    def publish(
        self, records: Sequence[OutputRecord], *, transactional_id: str | None = None
    ) -> Sequence[int]:
        self._check(records)
        if transactional_id is None:
            return [self._log.append(record, None) for record in records]
        return self._transact(records, transactional_id, lambda _: None)

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
        self._check(records)
        group = self._log.group(group_id, topic)
        if group.members:
            text = f"group `{group_id}` has a member"
            raise Fenced(text)

        def add_offsets(epoch: int) -> None:
            self._log.coordinator.add(transactional_id, epoch, OFFSETS)
            group.pending[transactional_id] = {offset.partition: offset for offset in offsets}

        self._take_over(transactional_id)
        check()
        self._transact(records, transactional_id, add_offsets)

    def _check(self, records: Sequence[OutputRecord]) -> None:
        try:
            for record in records:
                self._log.partition(TopicPartition(record.topic, record.partition))
        except Unreachable as error:
            raise TransactionAborted(str(error)) from error

    def _take_over(self, transactional_id: str) -> int:
        if transactional_id not in self._epochs:
            self._epochs[transactional_id] = self._log.coordinator.init(transactional_id)
        return self._epochs[transactional_id]

    def _transact(
        self,
        records: Sequence[OutputRecord],
        transactional_id: str,
        add_offsets: Callable[[int], None],
    ) -> list[int]:
        coordinator = self._log.coordinator
        epoch = self._take_over(transactional_id)
        coordinator.check(transactional_id, epoch)
        offsets = []
        for record in records:
            where = TopicPartition(record.topic, record.partition)
            coordinator.add(transactional_id, epoch, where)
            offsets.append(self._log.append(record, transactional_id))
        add_offsets(epoch)
        coordinator.end(transactional_id, epoch, is_commit=True)
        return offsets


class SimulatedAdmin:
    """Implements `gate.ports.Admin`."""

    def __init__(self, log: SimulatedLog) -> None:
        self._log = log

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        for spec in specs:
            self._log.create(spec)
