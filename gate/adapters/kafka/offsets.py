"""Committed offsets of a group, with their metadata, as the brokers have made them stable.

Asked by a consumer that lends the group's name and never joins. The admin client could ask too,
and must not: whatever it asks of a group's coordinator may end the whole process by an assertion
of its own when the coordinator's connection breaks (librdkafka issues 4605 and 5040).
"""

import time
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as ClientPartition

from gate.adapters.kafka.clients import is_on_its_way
from gate.adapters.kafka.errors import Reasons, denied, error_of, is_denied, told
from gate.adapters.kafka.settings import (
    REQUEST_TIMEOUT_S,
    Connection,
    client_of,
    unjoined_properties,
)
from gate.errors import GateError, Pending
from gate.ports import OffsetCommit

_FIRST_S: Final = 2.0
_PENDING_S: Final = 0.1
_ASK_AGAIN_S: Final = 0.05


class GroupOffsets:
    """The offsets of one group."""

    def __init__(self, connection: Connection, group_id: str) -> None:
        self._group_id = group_id
        self._servers = connection.bootstrap_servers
        self._reasons = Reasons()
        self._consumer = client_of(
            Consumer, unjoined_properties(connection, group_id, self._reasons)
        )
        self._patience_s = _FIRST_S
        """How long to wait for an answer; less once the coordinator has been found."""
        self._refusal: KafkaError | None = None
        """A missing right that the client told, once, while it looked for the coordinator."""

    def committed(self, topic: str, partitions: Sequence[int]) -> dict[int, OffsetCommit | None]:
        """Return the stable offsets; the client asks again by itself while one is not stable.

        Raises `Pending` when that takes longer than a marker does, `Unreachable`.
        """
        asked_for = [ClientPartition(topic, partition) for partition in partitions]
        found: dict[int, OffsetCommit | None] = dict.fromkeys(partitions)
        answers = self._ask(asked_for)
        self._refusal = None
        for item in answers:
            if item.error is not None:
                raise self._failed(item.error, f" of partition {item.partition}")
            if item.offset >= 0:
                commit = OffsetCommit(item.partition, item.offset, item.metadata or "")
                found[item.partition] = commit
        self._patience_s = _PENDING_S
        return found

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _ask(self, asked_for: list[ClientPartition]) -> Sequence[Any]:
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while True:
            self._reasons.clear()
            try:
                return self._consumer.committed(asked_for, timeout=self._patience_s)
            except KafkaException as raised:
                error = error_of(raised)
                self._look_for_a_refusal()
                if self._refusal or not is_on_its_way(error) or time.monotonic() > deadline:
                    raise self._failed(error, "") from raised
            time.sleep(_ASK_AGAIN_S)

    def _failed(self, error: KafkaError, where: str) -> GateError:
        doing = f"committed offsets{where} of group `{self._group_id}`"
        if is_denied(error):
            return denied(error, doing)
        if self._refusal is not None:
            return denied(self._refusal, doing)
        if error.code() == KafkaError.UNSTABLE_OFFSET_COMMIT:
            return Pending(f"{doing}: {told(error)}")
        is_late = error.code() == KafkaError._TIMED_OUT  # noqa: SLF001
        if is_late and not self._reasons.has_line_error:
            return Pending(f"{doing}: an unfinished transaction holds one")
        return self._reasons.unreachable(doing, told(error), self._servers)

    def _look_for_a_refusal(self) -> None:
        """Take what the client queued beside a question that it lets time out.

        Polling also lets the error callback tell what happened meanwhile.
        """
        while (queued := self._consumer.poll(0)) is not None:
            error = queued.error()
            if error is not None and is_denied(error):
                self._refusal = error
