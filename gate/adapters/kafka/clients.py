"""Bounded questions to a cluster, shared by reader, publisher and the maker of topics.

Promises that every answer comes within the request timeout or raises `Unreachable` with the
reasons that the client told meanwhile.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, TopicDescription

from gate.adapters.kafka.errors import Reasons, error_of, told
from gate.adapters.kafka.settings import REQUEST_TIMEOUT_S, Connection, admin_properties
from gate.errors import TransactionAborted
from gate.ports import OutputRecord

Answer = TypeVar("Answer")

_NO_TOPIC: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART})
_ABOUT_THE_THING: Final = frozenset(
    {
        *_NO_TOPIC,
        KafkaError.GROUP_ID_NOT_FOUND,
        KafkaError.TOPIC_ALREADY_EXISTS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_CONFIG,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)


class Cluster:
    """An admin client with bounded waits."""

    def __init__(self, connection: Connection) -> None:
        self.reasons = Reasons()
        self._servers = connection.bootstrap_servers
        self.client = AdminClient(admin_properties(connection, self.reasons))
        self._counts: dict[str, int] = {}

    def answer(self, future: "Future[Answer]", doing: str) -> Answer:
        """Return a future's result. Raises `Unreachable`.

        An error about the thing asked for (`_ABOUT_THE_THING`) is the caller's: it stays as it is.
        """
        try:
            found = future.result(timeout=REQUEST_TIMEOUT_S + 1)
        except FutureTimeout as error:
            raise self.reasons.unreachable(doing, "no answer in time", self._servers) from error
        except KafkaException as error:
            if error_of(error).code() in _ABOUT_THE_THING:
                raise
            why = told(error_of(error))
            raise self.reasons.unreachable(doing, why, self._servers) from error
        self.reasons.clear()
        return found

    def describe(self, names: Iterable[str]) -> Mapping[str, TopicDescription | None]:
        """Return the descriptions of topics, `None` for one that does not exist."""
        wanted = sorted(set(names))
        asked = self.client.describe_topics(
            TopicCollection(wanted), request_timeout=REQUEST_TIMEOUT_S
        )
        found: dict[str, TopicDescription | None] = {}
        for name, future in asked.items():
            try:
                found[name] = self.answer(future, f"describing topic `{name}`")
            except KafkaException as error:
                if error_of(error).code() not in _NO_TOPIC:
                    raise
                found[name] = None
        return found

    def check_place(self, record: OutputRecord) -> None:
        """Raise `TransactionAborted` unless the record's topic has its partition.

        A produce to an unknown topic would wait for the whole transaction timeout.
        """
        count = self._counts.get(record.topic)
        if count is None or record.partition >= count:
            found = self.describe([record.topic])[record.topic]
            count = 0 if found is None else len(found.partitions)
            if count:
                self._counts[record.topic] = count
        if not 0 <= record.partition < count:
            raise TransactionAborted(
                f"topic `{record.topic}`: expected a partition {record.partition}, found {count} "
                "partitions: make the gate's topics, or wait for the brokers to know them"
            )

    def has_members(self, group_id: str) -> bool:
        """Say whether a group has a member."""
        asked = self.client.describe_consumer_groups([group_id], request_timeout=REQUEST_TIMEOUT_S)
        try:
            found = self.answer(asked[group_id], f"describing group `{group_id}`")
        except KafkaException as error:
            if error_of(error).code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            return False
        return bool(found.members)
