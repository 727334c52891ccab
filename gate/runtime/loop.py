"""The loop: polls, batches, and answers every doubt with assignment.

One thread owns consumer and producer. Rebalances happen only in the poll, which never runs while
a transaction is open. `design/transaction.md` §1–4.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from gate.errors import (
    OUTCOME_UNKNOWN,
    Fenced,
    GateError,
    Lost,
    OutcomeUnknown,
    PartitionStopped,
    Pending,
    Pinned,
    StoreDamaged,
    TransactionAborted,
    Unreachable,
    Unreadable,
)
from gate.ports import EventKind, LogRecord, Polled
from gate.runtime.absence import Absence
from gate.runtime.assignment import advance
from gate.runtime.batching import Cut, cut_batch
from gate.runtime.ending import is_at_an_end, is_caught_up, raise_if_stopped
from gate.runtime.input_ends import InputEnds
from gate.runtime.isolation import Isolation
from gate.runtime.partition import OwnedPartition, Phase
from gate.runtime.picture import Picture, take_picture
from gate.runtime.report import report_step
from gate.runtime.settings import (
    CHECK_INTERVAL_MS,
    FENCE_POLL_MS,
    PIN_DEADLINE_MS,
    UNREADABLE_IN_A_ROW_MAX,
    WAIT_MS,
    GateSettings,
    Ports,
)
from gate.runtime.showing import Showing
from gate.runtime.transaction import run_transaction
from gate.runtime.watch import Watch


@dataclass(slots=True, kw_only=True)
class Gate:
    """One slot's gate. `run()` returns when asked to stop; the stores are closed then."""

    settings: GateSettings
    ports: Ports
    partitions: dict[int, OwnedPartition] = field(default_factory=dict)
    _isolation: Isolation = field(default_factory=Isolation)
    _renewal_cause: str = ""
    """Why a renewal is pending, one of `errors.RENEWAL_CAUSES`; empty when none is."""
    _partition_count: int = -1
    """Of the requests topic, as assignment saw it last."""
    _absence: Absence = field(init=False)
    _unreadable: tuple[int, int, int] = (-1, -1, 0)
    """Partition, offset, and how often in a row a poll could not read there."""

    def __post_init__(self) -> None:
        """Begin with a log within reach."""
        self._absence = Absence(self.settings, self.ports)

    def run(self, *, should_stop: Callable[[], bool], until_caught_up: bool = False) -> None:
        """Decide until `should_stop()`, or, if asked, until every record is decided.

        Raises `Fenced` when another process holds the slot, `PartitionStopped` when no partition
        of the topic can go on without an operator, `StoreFailed` when a store can not be written,
        `Unreachable` when the log stays away for longer than `PIN_DEADLINE_MS`.
        """
        ports = self.ports
        ports.telemetry.emit(EventKind.GATE_STARTED, runtime=self.settings.runtime_line)
        watch = Watch(self.settings, ports)
        ends = InputEnds(self.settings.topics.requests, ports)
        showing = Showing(ports.monitor, ends)
        try:
            ports.output.open()
            while not should_stop():
                if not self._absence.text:
                    ends.look(self.partitions)
                showing.show(self.partitions, self._renewal_cause, self._absence.text)
                self._look(watch)
                if not self._turn() and until_caught_up and self._is_caught_up():
                    raise_if_stopped(self.partitions)
                    break
        finally:
            self._close()

    def _turn(self) -> bool:
        """Poll once and work off what came; return whether there is more to do at once."""
        try:
            if self._renewal_cause:
                self._renew()
            polled = self.ports.input.poll(
                records_max=self.settings.batch_records_max, timeout_ms=self._poll_timeout_ms()
            )
        except Unreachable as gone:
            self._wait_for_the_log(gone)
            return True
        except (Lost, Unreadable) as fault:
            self._read_again(fault)
            return True
        if not any(partition.is_on_its_way for partition in self.partitions.values()):
            self._absence.ask()
        self._follow(polled)
        moved = self._advance_all()
        cut = self._cut(polled.records)
        if cut.batch:
            self._decide(cut.batch)
        for number in cut.doubtful:
            self._doubt(self.partitions[number])
        for stop in cut.stops:
            self._stop(self.partitions[stop.partition], stop)
        return bool(polled.records) or moved

    def _poll_timeout_ms(self) -> int:
        """Do not linger while a partition is on its way, but neither spin while one must wait."""
        now_ms = self.ports.clock.monotonic_ms()
        waits = [
            max(partition.retry_at_ms - now_ms, 0)
            for partition in self.partitions.values()
            if partition.is_on_its_way
        ]
        return min([self.settings.poll_timeout_ms, *waits])

    def _follow(self, polled: Polled) -> None:
        if polled.revoked:
            self._absence.is_writing = False  # what could not be written is another's now
        for number in polled.revoked:
            partition = self.partitions.pop(number, None)
            if partition is not None:
                partition.close()
                self.ports.telemetry.emit(EventKind.PARTITION_REVOKED, partition=number)
        now_ms = self.ports.clock.monotonic_ms()
        for number in polled.assigned:
            self.partitions[number] = OwnedPartition(number=number, assigned_at_ms=now_ms)
            self.ports.telemetry.emit(EventKind.PARTITION_ASSIGNED, partition=number)

    def _advance_all(self) -> bool:
        """Take every partition that is not ready one step; return whether one moved."""
        moved = False
        now_ms = self.ports.clock.monotonic_ms()
        due = [
            partition
            for partition in self.partitions.values()
            if not partition.is_ready and now_ms >= partition.retry_at_ms
        ]
        picture = self._picture([partition for partition in due if partition.recovery is None])
        for partition in due:
            if partition.recovery is not None or picture is not None:
                moved = self._advance(partition, picture) or moved
        if is_at_an_end(self.partitions, self._partition_count):
            raise_if_stopped(self.partitions)
        return moved

    def _picture(self, doubtful: Sequence[OwnedPartition]) -> Picture | None:
        """Ask about all partitions in doubt at once; `None` when it has to be asked again."""
        if not doubtful:
            return None
        try:
            picture = take_picture([p.number for p in doubtful], self.settings, self.ports)
        except Pending as wait:
            for partition in doubtful:
                self._wait_for_the_end(partition, wait)
        except Unreachable as gone:
            self._wait_for_the_log(gone)
        except (Lost, Unreadable) as fault:
            for partition in doubtful:
                if fault.partition in {partition.number, -1}:
                    self._stop(partition, _stop_of(fault, partition.number))
        else:
            if picture.requests is not None:
                self._partition_count = picture.requests.partition_count
            return picture
        return None

    def _wait_for_the_end(self, partition: OwnedPartition, wait: Pending | Pinned) -> None:
        """Wait for the end of an unfinished transaction, at most until its deadline."""
        now_ms = self.ports.clock.monotonic_ms()
        partition.retry_at_ms = now_ms + WAIT_MS
        partition.waits_for = str(wait)
        if now_ms - partition.assigned_at_ms > PIN_DEADLINE_MS:
            self._stop(partition, PartitionStopped("pinned", partition.number, str(wait)))

    def _advance(self, partition: OwnedPartition, picture: Picture | None) -> bool:
        ports = self.ports
        try:
            is_ready = advance(partition, picture, self.settings, ports)
        except Pinned as wait:
            self._wait_for_the_end(partition, wait)
            return False
        except Unreachable as gone:
            self._wait_for_the_log(gone)
            return False
        except (Lost, Unreadable) as fault:
            self._stop(partition, _stop_of(fault, partition.number))
            return False
        except PartitionStopped as stop:
            self._stop(partition, stop)
            return False
        if is_ready:
            self._absence.answered()
            elapsed_ms = ports.clock.monotonic_ms() - partition.assigned_at_ms
            partition.waits_for = ""
            ports.telemetry.emit(
                EventKind.PARTITION_READY, partition=partition.number, elapsed_ms=elapsed_ms
            )
        return True

    def _cut(self, records: Sequence[LogRecord]) -> Cut:
        return cut_batch(
            self._isolation.in_turn(records),
            self.partitions,
            self.ports.input,
            partitions_max=self._isolation.partitions_max,
        )

    def _decide(self, batch: dict[int, list[LogRecord]]) -> None:
        """Run one transaction and answer its errors (`design/transaction.md` §4)."""
        ports = self.ports
        try:
            run_transaction(batch, self.partitions, self.settings, ports)
            self._absence.end()
            self._isolation.count_success(batch, self.partitions)
        except TransactionAborted as abort:
            ports.telemetry.emit(EventKind.TRANSACTION_ABORTED, why=str(abort))
            self._abort()
            stopped = self._isolation.count_abort(batch, self.partitions, str(abort))
            if stopped is not None:
                self._stop(self.partitions[stopped.partition], stopped)
        except OutcomeUnknown as unknown:
            self._settle(unknown)
        except (Pinned, Pending):
            ports.clock.sleep_ms(WAIT_MS)
            self._doubt_all()
        except Unreachable as gone:
            self._abort()
            self._absence.is_writing = True
            self._wait_for_the_log(gone)
        except StoreDamaged:
            self._abort()
        except PartitionStopped as stop:
            self._abort()
            self._stop(self.partitions[stop.partition], stop)
        except Fenced:
            raise
        except BaseException:
            self._abort_quietly()
            raise
        finally:
            for number in batch:
                ports.judging.offsets[number] = -1

    def _abort(self) -> None:
        report_step(self.ports)
        try:
            self.ports.output.abort()
        except OutcomeUnknown as unknown:
            self._settle(unknown)
            return
        self._doubt_all()

    def _abort_quietly(self) -> None:
        """Leave no transaction open on the way out; the error under way is the one to be told."""
        try:
            self.ports.output.abort()
        except GateError as second:
            self.ports.telemetry.emit(
                EventKind.OUTCOME_UNKNOWN, cause=OUTCOME_UNKNOWN, why=str(second)
            )

    def _settle(self, unknown: OutcomeUnknown) -> None:
        """A new producer of the same id settles the old transaction; then everything is asked."""
        self.ports.telemetry.emit(EventKind.OUTCOME_UNKNOWN, cause=unknown.cause, why=str(unknown))
        self._renewal_cause = unknown.cause
        self._doubt_all()

    def _renew(self) -> None:
        """INVARIANT (no begin before a pending renewal): this comes before any other poll.

        INVARIANT (no duel): whose slot went to another process hears of it in the poll here, before
        it takes the transactional id back; the brokers' answer to a producer does not tell a
        successor from an expired transaction (`design/transaction.md` §4). All being paused, the
        poll takes no record.
        """
        if self._renewal_cause == OUTCOME_UNKNOWN:
            polled = self.ports.input.poll(records_max=1, timeout_ms=FENCE_POLL_MS)
            self._follow(polled)
        self.ports.output.renew()
        report_step(self.ports)
        cause, self._renewal_cause = self._renewal_cause, ""
        self.ports.telemetry.emit(EventKind.PRODUCER_RENEWED, cause=cause)

    def _look(self, watch: Watch) -> None:
        """Look around every 30 s, between batches."""
        now_ms = self.ports.clock.monotonic_ms()
        if not watch.is_due(now_ms):
            return
        try:
            watch.look(self.partitions.values(), now_ms)
        except PartitionStopped as stop:
            for partition in self.partitions.values():
                self._stop(partition, PartitionStopped(stop.cause, partition.number, stop.text))
        except (Pinned, Pending, StoreDamaged):
            self._doubt_all()
        except Unreachable as gone:
            self._wait_for_the_log(gone)

    def _read_again(self, fault: Lost | Unreadable) -> None:
        """Answer a poll that failed: it may have dropped records of any partition.

        The third equal error in a row stops the partition that can not be read on; the others
        read on from where they stand.
        """
        partition, offset, count = self._unreadable
        is_same = (partition, offset) == (fault.partition, fault.offset)
        self._unreadable = (fault.partition, fault.offset, count + 1 if is_same else 1)
        concerned = self.partitions.get(fault.partition)
        is_final = isinstance(fault, Lost) or self._unreadable[2] >= UNREADABLE_IN_A_ROW_MAX
        if concerned is not None and is_final:
            self._stop(concerned, _stop_of(fault, fault.partition))
        self._rewind()

    def _rewind(self) -> None:
        for partition in self.partitions.values():
            if partition.is_ready and partition.adopted is not None:
                self.ports.input.resume(partition.number, offset=partition.adopted.next_offset)

    def _wait_for_the_log(self, gone: Unreachable) -> None:
        """Wait for what may come back; past the deadline the process ends and says so."""
        self._absence.wait(gone)
        self._rewind()

    def _stop(self, partition: OwnedPartition, stop: PartitionStopped) -> None:
        """Stop one partition with its cause; the others go on. Tried again in 30 s."""
        partition.close()
        self.ports.input.pause(partition.number)
        if (partition.stop_cause, partition.stop_text) != (stop.cause, stop.text):
            self.ports.telemetry.emit(
                EventKind.PARTITION_STOPPED,
                partition=partition.number,
                cause=stop.cause,
                text=stop.text,
            )
        partition.phase, partition.recovery = Phase.STOPPED, None
        partition.stop_cause, partition.stop_text = stop.cause, stop.text
        partition.retry_at_ms = self.ports.clock.monotonic_ms() + CHECK_INTERVAL_MS

    def _doubt_all(self) -> None:
        for partition in self.partitions.values():
            if partition.phase is not Phase.STOPPED:
                self._doubt(partition)

    def _doubt(self, partition: OwnedPartition) -> None:
        """Back to the beginning of assignment; the store stays open and is compared."""
        self.ports.input.pause(partition.number)
        partition.phase, partition.recovery, partition.adopted = Phase.CHECKING, None, None
        partition.assigned_at_ms = self.ports.clock.monotonic_ms()
        partition.retry_at_ms = 0

    def _is_caught_up(self) -> bool:
        return not self._renewal_cause and is_caught_up(self.partitions, self.settings, self.ports)

    def _close(self) -> None:
        """Close everything, whatever fails on the way."""
        with ExitStack() as closing:
            count = len(self.partitions)
            closing.callback(self.ports.telemetry.emit, EventKind.GATE_STOPPED, partitions=count)
            closing.callback(self.ports.output.close)
            closing.callback(self.ports.input.close)
            for partition in self.partitions.values():
                closing.callback(partition.close)


def _stop_of(fault: Lost | Unreadable, number: int) -> PartitionStopped:
    cause = "lost" if isinstance(fault, Lost) else "unreadable"
    return PartitionStopped(cause, number, str(fault))
