"""The requests topic as one static member of the gate's group, read committed.

Rebalance callbacks only collect events: an exception in one would not stop the assignment. A
partition is paused from its assignment to its `resume`; what arrives for it meanwhile is dropped.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from gate.adapters.kafka.errors import (
    Kind,
    Reasons,
    denied,
    error_of,
    is_denied,
    kind_of,
    told,
)
from gate.adapters.kafka.membership import read_membership
from gate.adapters.kafka.records import record_of
from gate.adapters.kafka.settings import Connection, client_of, input_properties
from gate.errors import Fenced, GateError, Lost, Unreachable, Unreadable
from gate.ports import GroupIdentity, LogRecord, Polled

_PROBE_TIMEOUT_S: Final = 0.5
_SILENCE_S: Final = 5.0
_LINGER_S: Final = 0.005
"""How long more is waited for once something has come: fewer, larger transactions."""
_UNREADABLE: Final = frozenset(
    {
        KafkaError._BAD_MSG,  # noqa: SLF001
        KafkaError._BAD_COMPRESSION,  # noqa: SLF001
        KafkaError._NOT_IMPLEMENTED,  # noqa: SLF001
        KafkaError.INVALID_MSG,
    }
)


class KafkaInput:
    """Implements `gate.ports.Input`. Joins the group by the first polls."""

    def __init__(self, connection: Connection, *, group_id: str, slot: str, topic: str) -> None:
        self._group_id = group_id
        self._topic = topic
        self._servers = connection.bootstrap_servers
        self._reasons = Reasons()
        self._positions: dict[int, int] = {}
        """The next offset of each partition that is not paused."""
        self._unproven: dict[int, int] = {}
        """Partitions that have delivered nothing since `resume`, and a hole's end seen once."""
        self._fetched: set[int] = set()
        """What the client has assigned: every partition that was ever resumed, also if paused."""
        self._owned: set[int] = set()
        self._assigned: list[int] = []
        self._revoked: list[int] = []
        self._fault: Lost | Unreadable | None = None
        self._ended: Fenced | None = None
        """The client tells once that its membership is over, and is silent from then on."""
        self._denied: Unreachable | None = None
        """So it does of a right that is missing: remembered until something arrives."""
        self._must_assign = False
        """Whether a partition was resumed that the client does not fetch: done by the next poll."""
        self._asleep: set[int] = set()
        """Partitions resumed from a pause since the last poll."""
        self._heard_at = time.monotonic()
        self._is_closed = False
        properties = input_properties(
            connection, group_id=group_id, slot=slot, on_error=self._reasons
        )
        self._consumer = client_of(Consumer, properties)
        self._consumer.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def poll(self, *, records_max: int, timeout_ms: int) -> Polled:
        """Follow the port. Returns soon after the first record; without one, at the timeout.

        INVARIANT (events first): a poll that has seen a rebalance returns it, and fails only at the
        next call: else the runtime would go on with partitions that are not its own.
        """
        if self._ended is not None:
            raise Fenced(str(self._ended)) from self._ended
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        denied_before = self._denied
        self._begin_fetching()
        try:
            messages = self._consumer.consume(1, timeout_ms / 1000)
            if messages and records_max > 1:
                messages = [*messages, *self._consumer.consume(records_max - 1, _LINGER_S)]
        except KafkaException as error:
            failure = self._fatal(error_of(error))
            if isinstance(failure, Fenced) or not (self._assigned or self._revoked):
                raise failure from error
            messages = []
        records = self._records(messages)
        if messages:
            self._heard_at = time.monotonic()
        elif self._is_silent() and not (self._assigned or self._revoked):
            self._probe()
        polled = Polled(tuple(self._assigned), tuple(self._revoked), records)
        if polled == ((), (), []) and self._denied is not None:
            raise Unreachable(str(self._denied)) from self._denied
        if self._denied is denied_before:
            self._denied = None
        self._assigned, self._revoked = [], []
        if self._fault is not None and polled == ((), (), []):
            fault, self._fault = self._fault, None
            raise fault
        return polled

    def resume(self, partition: int, *, offset: int) -> None:
        """Follow the port."""
        assert partition in self._owned, f"partition {partition} is not assigned"
        if self._fault is not None and self._fault.partition == partition:
            self._fault = None
        where = ClientPartition(self._topic, partition, offset)
        is_paused = partition not in self._positions
        self._positions[partition] = offset
        self._unproven[partition] = -1
        if partition not in self._fetched:
            self._must_assign = True
        else:
            try:
                self._consumer.seek(where)
            except KafkaException:  # after an offset out of range the client fetches no more
                self._must_assign = True
        if is_paused:
            self._asleep.add(partition)

    def pause(self, partition: int) -> None:
        """Follow the port."""
        self._unproven.pop(partition, None)
        self._asleep.discard(partition)
        if self._positions.pop(partition, None) is not None and partition in self._fetched:
            self._consumer.pause([ClientPartition(self._topic, partition)])
        if self._fault is not None and self._fault.partition == partition:
            self._fault = None

    def group_identity(self) -> GroupIdentity:
        """Follow the port; before the first assignment the generation is -1."""
        return read_membership(self._consumer.consumer_group_metadata(), self._group_id)

    def close(self) -> None:
        """Close. A static member stays one until its session ends. A second call does nothing.

        The client waits for itself, for ever, when it closes with a revocation to be told: so it
        tells first. It does not leave its group: that would take everybody's partitions.
        """
        if not self._is_closed:
            self._is_closed = True
            with suppress(KafkaException):
                self._consumer.consume(1, 0)
            self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: Sequence[ClientPartition]) -> None:
        """Take the partitions; the client hears of each when `resume` says where to begin.

        An offset made up here would be out of range some day, and one that the client has to ask
        for may arrive after `resume` and carry it away.
        """
        numbers = [partition.partition for partition in partitions]
        self._assigned += numbers
        self._owned.update(numbers)
        self._fetched.clear()
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, partitions: Sequence[ClientPartition]) -> None:
        del consumer  # the client itself lets go of the assignment
        numbers = [partition.partition for partition in partitions]
        self._revoked += [number for number in numbers if number not in self._assigned]
        self._assigned = [number for number in self._assigned if number not in numbers]
        self._owned.difference_update(numbers)
        self._asleep.difference_update(numbers)
        self._fetched.clear()
        for number in numbers:
            self._positions.pop(number, None)
            self._unproven.pop(number, None)

    def _assign_anew(self) -> None:
        """Let the client fetch what runs, each partition from its position, and nothing else."""
        positions = self._positions
        self._fetched, self._must_assign = set(positions), False
        self._consumer.assign(
            [
                ClientPartition(self._topic, number, positions[number])
                for number in sorted(positions)
            ]
        )

    def _records(self, messages: Sequence[Any]) -> list[LogRecord]:
        """Keep the records of running partitions up to the first that can not be read."""
        records: list[LogRecord] = []
        positions, unproven = self._positions, self._unproven
        cut: set[int] = set()
        for message in messages:
            error = message.error()
            partition = message.partition()
            if error is not None:
                self._take_error(error, message, cut)
            elif partition in positions and partition not in cut:
                if partition in unproven and not self._is_proven(partition, message.offset()):
                    cut.add(partition)
                    continue
                records.append(record_of(message))
                positions[partition] = message.offset() + 1
        if unproven and any(number in cut for number in unproven):
            self._assign_anew()
        return records

    def _is_proven(self, partition: int, offset: int) -> bool:
        """INVARIANT (nothing skipped): a hole right after `resume` is believed when seen twice.

        A hole looks the same whether markers lie there or the client began at a wrong offset.
        """
        if offset in {self._positions[partition], self._unproven[partition]}:
            del self._unproven[partition]
            return True
        self._unproven[partition] = offset
        return False

    def _take_error(self, error: KafkaError, message: Any, cut: set[int]) -> None:
        partition = message.partition()
        if kind_of(error) in {Kind.FENCED, Kind.FATAL}:
            raise self._fatal(error)
        if is_denied(error):
            self._denied = denied(
                error, f"reading topic `{self._topic}` as a member of group `{self._group_id}`"
            )
            return
        if partition is None or partition not in self._positions:
            return  # of a paused partition, or for the error callback
        offset = message.offset()
        text = f"partition {partition} can not be read from offset {offset}: {told(error)}"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            fault: Lost | Unreadable = Lost(text, partition=partition, offset=offset)
        elif error.code() in _UNREADABLE:
            fault = Unreadable(text, partition=partition, offset=offset)
        else:
            return
        cut.add(partition)
        if self._fault is None or isinstance(fault, Lost):
            self._fault = fault

    def _begin_fetching(self) -> None:
        """Carry out what `resume` asked for, for all partitions at once.

        INVARIANT (no pause outlives `resume`): the client keeps a partition paused that it lost
        and has got again. Wakes its thread of each leader: with all paused it sleeps for up to a
        second.
        """
        if self._must_assign:
            self._assign_anew()
        if not self._asleep:
            return
        self._consumer.resume([ClientPartition(self._topic, n) for n in sorted(self._asleep)])
        with suppress(KafkaException):
            known = self._consumer.list_topics(self._topic, timeout=_PROBE_TIMEOUT_S)
            partitions = known.topics[self._topic].partitions
            woken = {partitions[n].leader: n for n in self._asleep if n in partitions}
            for number in woken.values():
                where = ClientPartition(self._topic, number)
                self._consumer.get_watermark_offsets(where, timeout=_PROBE_TIMEOUT_S, cached=False)
        self._asleep.clear()

    def _fatal(self, error: KafkaError) -> GateError:
        kind = kind_of(error)
        if kind in {Kind.FENCED, Kind.FATAL}:
            self._ended = Fenced(
                f"slot_in_use: another process runs this slot of group `{self._group_id}`: stop "
                "one of them, or name another slot with --slot (if none does, the brokers were "
                f"away for longer than the session: start again): {told(error)}"
            )
            return self._ended
        return self._reasons.unreachable("polling", told(error), self._servers)

    def _is_silent(self) -> bool:
        """Say whether nobody may be there: the client told so, or nothing has come for a while.

        A client may tell nothing: that of a broker which freezes, and one that was told of no
        broker at all, by a single one that had just come back, and knows none from then on.
        """
        return self._reasons.is_down or time.monotonic() - self._heard_at > _SILENCE_S

    def _probe(self) -> None:
        """Raise until a broker answers."""
        try:
            self._consumer.list_topics(self._topic, timeout=_PROBE_TIMEOUT_S)
        except KafkaException as error:
            why = told(error_of(error))
            raise self._reasons.unreachable("polling", why, self._servers) from error
        self._reasons.clear()
        self._heard_at = time.monotonic()
