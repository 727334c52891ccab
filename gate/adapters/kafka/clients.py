"""Bounded questions to a cluster, shared by reader, publisher and the maker of topics.

Promises that every answer comes within the request timeout or raises `Unreachable` with the
reasons that the client told meanwhile.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from gate.adapters.kafka.errors import Reasons, denied, error_of, is_denied, told
from gate.adapters.kafka.settings import REQUEST_TIMEOUT_S, Connection, admin_properties, client_of
from gate.errors import TransactionAborted, Unreachable
from gate.ports import OutputRecord

Answer = TypeVar("Answer")

_ASK_AGAIN_S: Final = 0.05
_ASK_LEADERS_S: Final = 2.0
_PATIENCE_S: Final = 2.0
_ON_ITS_WAY: Final = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError._NOENT,  # noqa: SLF001 - no leader is known at all
    }
)
_ABOUT_THE_THING: Final = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.GROUP_ID_NOT_FOUND,
        KafkaError.TOPIC_ALREADY_EXISTS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_CONFIG,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.POLICY_VIOLATION,
    }
)


class Cluster:
    """An admin client with bounded waits."""

    def __init__(self, connection: Connection) -> None:
        self.reasons = Reasons()
        self._servers = connection.bootstrap_servers
        self.client = client_of(AdminClient, admin_properties(connection, self.reasons))
        self._counts: dict[str, int] = {}
        self.patience_s = _PATIENCE_S
        """How long the question under way may take before leaders are looked up."""

    def ask(self, doing: str, question: Callable[[], Answer], *, right: str = "") -> Answer:
        """Return the question's answer, asking again while a coordinator or leader is on its way.

        The question gives each answer `patience_s`: a client waits for a broker that is dead.
        `right`: what must be granted for it, where that is not what reading and writing need.
        Raises `Unreachable`. An error about the thing asked for (`_ABOUT_THE_THING`) is the
        caller's: it stays as it is.
        """
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        self.patience_s = _PATIENCE_S
        while True:
            try:
                found = question()
            except FutureTimeout as late:
                if time.monotonic() > deadline:
                    raise self._gone(doing, "no answer in time") from late
            except KafkaException as raised:
                error = error_of(raised)
                if error.code() in _ABOUT_THE_THING:
                    raise
                if is_denied(error):
                    raise denied(error, doing, right) from raised
                is_late = error.code() == KafkaError._TIMED_OUT  # noqa: SLF001
                if not (is_late or is_on_its_way(error)) or time.monotonic() > deadline:
                    raise self._gone(doing, told(error)) from raised
                time.sleep(_ASK_AGAIN_S)
            else:
                self.reasons.clear()
                return found
            self._look_up_leaders()
            left = deadline - time.monotonic()
            self.patience_s = max(min(2 * self.patience_s, left), _PATIENCE_S)

    def _look_up_leaders(self) -> None:
        """Have the client learn who leads, and since when: an admin client hardly asks anew.

        It waits for a broker that is dead, as leader or as who answers for the cluster, while the
        others run; and it names the leader's epoch that it knows, which a broker refuses once a
        leader has been elected, even the same one.
        """
        with suppress(KafkaException):
            self.client.list_topics(timeout=_ASK_LEADERS_S)

    def _gone(self, doing: str, why: str) -> Unreachable:
        self.client.poll(0)  # lets the error callback tell what happened meanwhile
        return self.reasons.unreachable(doing, why, self._servers)

    def describe(self, names: Iterable[str]) -> Mapping[str, Any]:
        """Return the descriptions of topics, `None` for one that does not exist."""
        wanted = sorted(set(names))

        def question() -> Mapping[str, Any]:
            asked = self.client.describe_topics(
                TopicCollection(wanted), request_timeout=self.patience_s
            )
            return {name: _described(future) for name, future in asked.items()}

        return self.ask(f"describing topics {', '.join(wanted)}", question)

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

        def question() -> bool:
            asked = self.client.describe_consumer_groups(
                [group_id], request_timeout=REQUEST_TIMEOUT_S
            )
            return bool(result(asked[group_id]).members)

        try:
            return self.ask(f"describing group `{group_id}`", question)
        except KafkaException as error:
            if error_of(error).code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            return False


def is_on_its_way(error: KafkaError) -> bool:
    """Say whether a coordinator or a leader is about to be there: ask again."""
    return error.code() in _ON_ITS_WAY


def result(future: "Future[Answer]") -> Answer:
    """Return a future's result, or raise within the request timeout and a second."""
    return future.result(timeout=REQUEST_TIMEOUT_S + 1)


def _described(future: "Future[Any]") -> Any:
    try:
        return result(future)
    except KafkaException as error:
        if error_of(error).code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise
        return None
