"""The loop: polls, batches, and answers every doubt with assignment.

One thread owns consumer and producer. Rebalances happen only in the poll, which never runs while
a transaction is open. `design/transaction.md` §1–4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gate.core.lineage import is_control
from gate.errors import (
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
from gate.ports import EventKind, LogRecord, Polled, TopicPartition
from gate.runtime.assignment import advance, store_identity
from gate.runtime.partition import OwnedPartition, Phase
from gate.runtime.settings import (
    ABORTS_IN_A_ROW_MAX,
    BATCH_BYTES_MAX,
    BATCH_PARTITIONS_MAX,
    CHECK_INTERVAL_MS,
    FLUSH_INTERVAL_MS,
    PIN_DEADLINE_MS,
    UNREADABLE_IN_A_ROW_MAX,
    GateSettings,
    Ports,
)
from gate.runtime.transaction import run_transaction

_WAIT_MS = 10


@dataclass(slots=True, kw_only=True)
class Gate:
    """One slot's gate. `run()` returns when asked to stop; the stores are closed then."""

    settings: GateSettings
    ports: Ports
    partitions: dict[int, OwnedPartition] = field(default_factory=dict)
    _aborts_in_a_row: int = 0
    _unreachable_since_ms: int = -1
    _checked_at_ms: int = 0
    _flushed_at_ms: int = 0

    def run(self, *, should_stop: Callable[[], bool], until_caught_up: bool = False) -> None:
        """Decide until `should_stop()`, or, if asked, until every record is decided.

        Raises `Fenced` when another process holds the slot, `PartitionStopped` when no partition
        can go on, `StoreFailed` when a store can not be written.
        """
        ports = self.ports
        ports.telemetry.emit(EventKind.GATE_STARTED, runtime=self.settings.runtime_line)
        self._checked_at_ms = self._flushed_at_ms = ports.clock.monotonic_ms()
        try:
            ports.output.open()
            while not should_stop():
                if not self._turn() and until_caught_up and self._is_caught_up():
                    self._raise_if_stopped()
                    break
        finally:
            self._close()

    def _turn(self) -> bool:
        """Poll once and work off what came; return whether anything was decided or restored."""
        try:
            polled = self.ports.input.poll(
                records_max=self.settings.batch_records_max, timeout_ms=self._poll_timeout_ms()
            )
        except Unreachable as gone:
            self._wait_for_the_log(gone)
            return True
        except (Lost, Unreadable):
            self._find_unreadable()
            return True
        self._follow(polled)
        restored = self._advance_all()
        batch = self._batch(polled.records)
        if batch:
            self._decide(batch)
        else:
            self._check_while_idle()
        return bool(batch) or restored

    def _poll_timeout_ms(self) -> int:
        waiting = any(
            p.phase in {Phase.CHECKING, Phase.REPLAYING} for p in self.partitions.values()
        )
        return 0 if waiting else self.settings.poll_timeout_ms

    def _follow(self, polled: Polled) -> None:
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
        for partition in self.partitions.values():
            if partition.is_ready or now_ms < partition.retry_at_ms:
                continue
            moved = self._advance(partition) or moved
        if self.partitions and all(p.phase is Phase.STOPPED for p in self.partitions.values()):
            self._raise_if_stopped()
        return moved

    def _raise_if_stopped(self) -> None:
        for number in sorted(self.partitions):
            partition = self.partitions[number]
            if partition.phase is Phase.STOPPED:
                raise PartitionStopped(partition.stop_cause, number, partition.stop_text)

    def _advance(self, partition: OwnedPartition) -> bool:
        ports = self.ports
        try:
            is_ready = advance(partition, self.settings, ports)
        except (Pending, Pinned) as wait:
            waited_ms = ports.clock.monotonic_ms() - partition.assigned_at_ms
            partition.retry_at_ms = ports.clock.monotonic_ms() + _WAIT_MS
            if waited_ms > PIN_DEADLINE_MS:
                self._stop(partition, PartitionStopped("pinned", partition.number, str(wait)))
            return False
        except Unreachable as gone:
            self._wait_for_the_log(gone)
            return False
        except (Lost, Unreadable) as fault:
            cause = "lost" if isinstance(fault, Lost) else "unreadable"
            self._stop(partition, PartitionStopped(cause, partition.number, str(fault)))
            return False
        except PartitionStopped as stop:
            self._stop(partition, stop)
            return False
        if is_ready:
            self._unreachable_since_ms = -1
            ports.telemetry.emit(EventKind.PARTITION_READY, partition=partition.number)
        return True

    def _find_unreadable(self) -> None:
        """Stop what can not be read on: after three equal errors, or at once what is lost."""
        for partition in list(self.partitions.values()):
            if partition.adopted is None:
                continue
            where = TopicPartition(self.settings.topics.requests, partition.number)
            offset = partition.adopted.next_offset
            try:
                self.ports.reader.read(where, offset=offset, records_max=1)
                partition.unreadable_in_a_row = 0
            except Unreadable as fault:
                partition.unreadable_in_a_row += 1
                if partition.unreadable_in_a_row >= UNREADABLE_IN_A_ROW_MAX:
                    stop = PartitionStopped("unreadable", partition.number, str(fault))
                    self._stop(partition, stop)
            except Lost as fault:
                self._stop(partition, PartitionStopped("lost", partition.number, str(fault)))
            except Unreachable as gone:
                self._wait_for_the_log(gone)

    def _wait_for_the_log(self, gone: Unreachable) -> None:
        """Wait for what may come back; past the deadline the process ends and says so."""
        now_ms = self.ports.clock.monotonic_ms()
        if self._unreachable_since_ms < 0:
            self._unreachable_since_ms = now_ms
            self.ports.telemetry.emit(EventKind.LOG_UNREACHABLE, why=str(gone))
        elif now_ms - self._unreachable_since_ms > PIN_DEADLINE_MS:
            raise gone
        self.ports.clock.sleep_ms(_WAIT_MS)

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

    def _batch(self, records: Sequence[LogRecord]) -> dict[int, list[LogRecord]]:
        """Sort out what may be decided now; the rest is read again from where it was cut."""
        batch: dict[int, list[LogRecord]] = {}
        cut: set[int] = set()
        size = 0
        for record in records:
            number = record.partition
            partition = self.partitions.get(number)
            if partition is None or not partition.is_ready or number in cut:
                continue
            taken = batch.get(number)
            is_full = size >= BATCH_BYTES_MAX
            if is_full or (taken is None and len(batch) >= BATCH_PARTITIONS_MAX):
                cut.add(number)
                self.ports.input.resume(number, offset=record.offset)
                continue
            if not self._continues(partition, record, taken):
                cut.add(number)
                continue
            batch.setdefault(number, []).append(record)
            size += len(record.value or b"")
            if is_control(record):
                cut.add(number)
                self.ports.input.resume(number, offset=record.offset + 1)
        return batch

    def _continues(
        self, partition: OwnedPartition, record: LogRecord, taken: Sequence[LogRecord] | None
    ) -> bool:
        """Holes are normal, going back is not; a time that the broker did not set stops."""
        assert partition.adopted is not None
        expected = taken[-1].offset + 1 if taken else partition.adopted.next_offset
        if record.offset < expected:
            self._doubt(partition)
            return False
        if not record.is_append_time:
            if not taken:
                self._stop(partition, _append_time_off(record))
            else:
                self.ports.input.resume(partition.number, offset=record.offset)
            return False
        return True

    def _decide(self, batch: dict[int, list[LogRecord]]) -> None:
        """Run one transaction and answer its errors (`design/transaction.md` §4)."""
        ports = self.ports
        try:
            run_transaction(batch, self.partitions, self.settings, ports)
            self._aborts_in_a_row, self._unreachable_since_ms = 0, -1
        except TransactionAborted as abort:
            ports.telemetry.emit(EventKind.TRANSACTION_ABORTED, why=str(abort))
            self._count_abort(sorted(batch), str(abort))
            self._abort()
        except OutcomeUnknown as unknown:
            self._settle(str(unknown))
        except (Pinned, Pending):
            ports.clock.sleep_ms(_WAIT_MS)
            self._doubt_all()
        except Unreachable as gone:
            self._wait_for_the_log(gone)
            self._doubt_all()
        except (StoreDamaged, PartitionStopped) as fault:
            self._abort()
            if isinstance(fault, PartitionStopped) and fault.partition in self.partitions:
                self._stop(self.partitions[fault.partition], fault)
        except Fenced:
            raise
        except BaseException:
            self._abort_quietly()
            raise

    def _count_abort(self, numbers: Sequence[int], why: str) -> None:
        self._aborts_in_a_row += 1
        if self._aborts_in_a_row >= ABORTS_IN_A_ROW_MAX:
            self._abort_quietly()
            raise PartitionStopped(
                "transaction_failing",
                numbers[0],
                f"{self._aborts_in_a_row} transactions in a row were aborted: {why}",
            )

    def _abort(self) -> None:
        try:
            self.ports.output.abort()
        except OutcomeUnknown as unknown:
            self._settle(str(unknown))
            return
        self._doubt_all()

    def _abort_quietly(self) -> None:
        """Leave no transaction open on the way out; the error under way is the one to be told."""
        try:
            self.ports.output.abort()
        except GateError as second:
            self.ports.telemetry.emit(EventKind.OUTCOME_UNKNOWN, why=str(second))

    def _settle(self, why: str) -> None:
        """A new producer of the same id settles the old transaction; then everything is asked."""
        self.ports.telemetry.emit(EventKind.OUTCOME_UNKNOWN, why=why)
        self.ports.output.renew()
        self.ports.telemetry.emit(EventKind.PRODUCER_RENEWED, cause="outcome_unknown")
        self._doubt_all()

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

    def _check_while_idle(self) -> None:
        """Every 30 s: topic identity, and a fresh lower bound for replay; flush now and then."""
        now_ms = self.ports.clock.monotonic_ms()
        if now_ms - self._checked_at_ms < CHECK_INTERVAL_MS:
            return
        self._checked_at_ms = now_ms
        is_flush_due = now_ms - self._flushed_at_ms >= FLUSH_INTERVAL_MS
        if is_flush_due:
            self._flushed_at_ms = now_ms
        for partition in list(self.partitions.values()):
            if partition.is_ready:
                self._check(partition, is_flush_due=is_flush_due)

    def _check(self, partition: OwnedPartition, *, is_flush_due: bool) -> None:
        assert partition.adopted is not None
        assert partition.store is not None
        try:
            found = store_identity(partition.number, self.settings, self.ports)
            if found != partition.identity:
                raise PartitionStopped(
                    "topic_changed",
                    partition.number,
                    f"expected {partition.identity}, found {found}",
                )
        except PartitionStopped as stop:
            self._stop(partition, stop)
            return
        changelog = TopicPartition(self.settings.topics.changelog, partition.number)
        partition.adopted.replay_from = self.ports.reader.ends([changelog])[changelog].last_stable
        if is_flush_due:
            partition.store.flush()

    def _is_caught_up(self) -> bool:
        """Say whether no partition is on its way and no committed input is left undecided."""
        topic = self.settings.topics.requests
        for partition in self.partitions.values():
            if partition.phase is Phase.STOPPED:
                continue
            if not partition.is_ready:
                return False
            assert partition.adopted is not None
            part = self.ports.reader.read(
                TopicPartition(topic, partition.number),
                offset=partition.adopted.next_offset,
                records_max=1,
            )
            if part.records:
                return False
        return bool(self.partitions)

    def _close(self) -> None:
        for partition in self.partitions.values():
            partition.close()
        self.ports.input.close()
        self.ports.output.close()
        self.ports.telemetry.emit(EventKind.GATE_STOPPED, partitions=len(self.partitions))


def _append_time_off(record: LogRecord) -> PartitionStopped:
    return PartitionStopped(
        "append_time_off",
        record.partition,
        f"offset {record.offset}: expected append time set by the broker, found the producer's; "
        "set `message.timestamp.type=LogAppendTime` on the requests topic",
    )
