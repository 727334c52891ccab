"""The requests topic as one static member of the gate's group, read committed.

Rebalance callbacks only collect events: an exception in one would not stop the assignment. A
partition is paused from its assignment to its `resume`; what arrives for it meanwhile is dropped.
"""

import time
from collections.abc import Sequence
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as ClientPartition

from gate.adapters.kafka.errors import Kind, Reasons, error_of, kind_of, told
from gate.adapters.kafka.membership import read_membership
from gate.adapters.kafka.records import record_of
from gate.adapters.kafka.settings import Connection, input_properties
from gate.errors import Fenced, GateError, Lost, Unreadable
from gate.ports import GroupIdentity, LogRecord, Polled

_PROBE_TIMEOUT_S: Final = 0.5
_SEEK_TIMEOUT_S: Final = 10.0
_SEEK_INTERVAL_S: Final = 0.005
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
        self._running: set[int] = set()
        self._owned: set[int] = set()
        self._assigned: list[int] = []
        self._revoked: list[int] = []
        self._fault: Lost | Unreadable | None = None
        self._is_closed = False
        properties = input_properties(
            connection, group_id=group_id, slot=slot, on_error=self._reasons
        )
        self._consumer = Consumer(properties)
        self._consumer.subscribe(
            [topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def poll(self, *, records_max: int, timeout_ms: int) -> Polled:
        """Follow the port. Waits for the whole timeout unless `records_max` records come."""
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        try:
            messages = self._consumer.consume(records_max, timeout_ms / 1000)
        except KafkaException as error:
            raise self._fatal(error_of(error)) from error
        records = self._records(messages)
        polled = Polled(tuple(self._assigned), tuple(self._revoked), records)
        self._assigned, self._revoked = [], []
        if not messages and self._reasons.is_down:
            self._probe()
        if self._fault is not None and polled == ((), (), []):
            fault, self._fault = self._fault, None
            raise fault
        return polled

    def resume(self, partition: int, *, offset: int) -> None:
        """Follow the port. Raises `Unreachable` when the client can not seek in time."""
        assert partition in self._owned, f"partition {partition} is not assigned"
        if self._fault is not None and self._fault.partition == partition:
            self._fault = None
        where = ClientPartition(self._topic, partition, offset)
        deadline = time.monotonic() + _SEEK_TIMEOUT_S
        while True:
            try:
                self._consumer.seek(where)
                break
            except KafkaException as error:  # the assignment is not taken up yet
                if time.monotonic() > deadline:
                    doing, why = f"seeking partition {partition}", told(error_of(error))
                    raise self._reasons.unreachable(doing, why, self._servers) from error
                time.sleep(_SEEK_INTERVAL_S)
        if partition not in self._running:
            self._consumer.resume([where])
            self._running.add(partition)

    def pause(self, partition: int) -> None:
        """Follow the port."""
        if partition in self._running:
            self._running.discard(partition)
            self._consumer.pause([ClientPartition(self._topic, partition)])
        if self._fault is not None and self._fault.partition == partition:
            self._fault = None

    def group_identity(self) -> GroupIdentity:
        """Follow the port; before the first assignment the generation is -1."""
        return read_membership(self._consumer.consumer_group_metadata(), self._group_id)

    def close(self) -> None:
        """Close. A static member stays one until its session ends. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: Sequence[ClientPartition]) -> None:
        """Take the partitions, paused; the offset is the one that `resume` names."""
        numbers = [partition.partition for partition in partitions]
        self._assigned += numbers
        self._owned.update(numbers)
        consumer.assign([ClientPartition(self._topic, number, 0) for number in numbers])
        consumer.pause([ClientPartition(self._topic, number) for number in numbers])

    def _on_revoke(self, consumer: Consumer, partitions: Sequence[ClientPartition]) -> None:
        del consumer  # the client itself lets go of the assignment
        numbers = [partition.partition for partition in partitions]
        self._revoked += [number for number in numbers if number not in self._assigned]
        self._assigned = [number for number in self._assigned if number not in numbers]
        self._owned.difference_update(numbers)
        self._running.difference_update(numbers)

    def _records(self, messages: Sequence[Message]) -> list[LogRecord]:
        """Keep the records of running partitions up to the first that can not be read."""
        records: list[LogRecord] = []
        running = self._running
        cut: set[int] = set()
        for message in messages:
            error = message.error()
            partition = message.partition()
            if error is not None:
                self._take_error(error, message, cut)
            elif partition in running and partition not in cut:
                records.append(record_of(message))
        return records

    def _take_error(self, error: KafkaError, message: Message, cut: set[int]) -> None:
        partition = message.partition()
        if kind_of(error) in {Kind.FENCED, Kind.FATAL}:
            raise self._fatal(error)
        if partition is None or partition not in self._running:
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

    def _fatal(self, error: KafkaError) -> GateError:
        kind = kind_of(error)
        if kind in {Kind.FENCED, Kind.FATAL}:
            return Fenced(f"slot_in_use: group `{self._group_id}`: {told(error)}")
        return self._reasons.unreachable("polling", told(error), self._servers)

    def _probe(self) -> None:
        """After "all brokers down": raise until one answers."""
        try:
            self._consumer.list_topics(self._topic, timeout=_PROBE_TIMEOUT_S)
        except KafkaException as error:
            why = told(error_of(error))
            raise self._reasons.unreachable("polling", why, self._servers) from error
        self._reasons.clear()
