"""Whether transactions of this cluster really isolate and fence, shown with a throw-away id.

Promises to write to no topic: the transaction holds an offset of a throw-away group only, and is
aborted. What is shown: an offset of an open transaction is not stable, one of an aborted
transaction is gone, and the older of two producers of one id can not commit.
"""

import logging
from contextlib import suppress
from typing import Any, Final, NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

from gate.adapters.kafka.clients import Cluster, result
from gate.adapters.kafka.errors import Kind, Reasons, error_of, kind_of, told
from gate.adapters.kafka.settings import (
    REQUEST_TIMEOUT_S,
    Connection,
    client_of,
    transactional_properties,
    unjoined_properties,
)

_TIMEOUT_MS: Final = 15_000
_SILENT: Final = logging.Logger("gate.probe")  # noqa: LOG001 - the fenced client shouts on stderr
_SILENT.addHandler(logging.NullHandler())


class Shown(NamedTuple):
    """What a cluster did, each `None` when it came not so far; `why` tells what was in the way."""

    hides_open: bool | None
    forgets_aborted: bool | None
    fences: bool | None
    why: str = ""


def show_transactions(connection: Connection, *, name: str, topic: str) -> Shown:
    """Try. `name` is both the transactional id and the group; `topic` must exist.

    Raises `Unreachable` when the cluster does not answer.
    """
    trial = _Trial(connection, name, topic)
    try:
        return trial.run()
    finally:
        trial.close()


class _Trial:
    def __init__(self, connection: Connection, name: str, topic: str) -> None:
        self._connection, self._name = connection, name
        self._topic = topic
        self._reasons = Reasons()
        self._cluster = Cluster(connection)
        self._consumer = client_of(Consumer, unjoined_properties(connection, name, self._reasons))

    def close(self) -> None:
        self._consumer.close()

    def run(self) -> Shown:
        hides = forgets = None
        try:
            first = self._producer()
            first.begin_transaction()
            first.send_offsets_to_transaction(
                [TopicPartition(self._topic, 0, 0)],
                self._consumer.consumer_group_metadata(),
                REQUEST_TIMEOUT_S,
            )
            hides = not self._is_stable()
            self._producer()  # aborts what the first left open
            forgets = self._is_stable() and not self._has_offset()
            return Shown(hides, forgets, _is_fenced(first))
        except KafkaException as raised:
            return Shown(hides, forgets, None, told(error_of(raised)))

    def _producer(self) -> Producer:
        made = client_of(
            Producer,
            {
                **transactional_properties(self._connection, self._name, self._reasons),
                "transaction.timeout.ms": _TIMEOUT_MS,
                "message.timeout.ms": _TIMEOUT_MS,
            },
            logger=_SILENT,
        )
        made.init_transactions(REQUEST_TIMEOUT_S)
        return made

    def _offset(self) -> Any:
        asked_for = ConsumerGroupTopicPartitions(self._name, [TopicPartition(self._topic, 0)])

        def question() -> Any:
            asked = self._cluster.client.list_consumer_group_offsets(
                [asked_for], require_stable=True, request_timeout=REQUEST_TIMEOUT_S
            )
            return result(asked[self._name]).topic_partitions[0]

        return self._cluster.ask(f"offsets of group `{self._name}`", question)

    def _is_stable(self) -> bool:
        found = self._offset()
        return found.error is None or found.error.code() != KafkaError.UNSTABLE_OFFSET_COMMIT

    def _has_offset(self) -> bool:
        return int(self._offset().offset) >= 0


def _is_fenced(first: Producer) -> bool:
    try:
        first.commit_transaction(REQUEST_TIMEOUT_S)
    except KafkaException as raised:
        fenced = kind_of(error_of(raised)) is Kind.FENCED
        if not fenced:
            with suppress(KafkaException):
                first.abort_transaction(REQUEST_TIMEOUT_S)
        return fenced
    return False
