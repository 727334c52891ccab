"""Questions to a cluster that only a diagnosis asks: what it is, what it lets whom do, who is in.

Promises to write to no topic of the gate. What the right to ask is missing for is `None`, never
an empty answer. Leaves judging to `gate doctor`.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)

from gate.adapters.kafka.clients import Cluster, result
from gate.adapters.kafka.errors import Reasons, error_of, is_denied
from gate.adapters.kafka.settings import REQUEST_TIMEOUT_S, Connection, admin_properties, client_of

_API_VERSIONS: Final = re.compile(r"ApiKey (\w+) \(\d+\) Versions (\d+)\.\.(\d+)")
_ANSWERED: Final = re.compile(r"Broker API support")
_VERSIONS_S: Final = 2.0


class ClusterFound(NamedTuple):
    """A cluster: its id, the addresses of its brokers, and the asker's rights on the cluster."""

    cluster_id: str
    brokers: tuple[str, ...]
    rights: frozenset[str] | None


class Member(NamedTuple):
    """A member of a group. `slot`: its static name, `None` for a dynamic one."""

    member_id: str
    slot: str | None
    host: str
    partitions: tuple[int, ...]


class Acl(NamedTuple):
    """Who may do what with a topic, as one binding says; `is_deny`: may not."""

    principal: str
    operation: str
    pattern: str
    is_deny: bool


class KafkaProbe:
    """Asks. Every method raises `Unreachable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cluster = Cluster(connection)

    def cluster(self) -> ClusterFound:
        """Return what the cluster is."""

        def question() -> Any:
            return result(
                self._cluster.client.describe_cluster(
                    include_authorized_operations=True, request_timeout=REQUEST_TIMEOUT_S
                )
            )

        found = self._cluster.ask("describing the cluster", question)
        rights = found.authorized_operations
        return ClusterFound(
            str(found.cluster_id),
            tuple(f"{node.host}:{node.port}" for node in found.nodes),
            None if rights is None else frozenset(right.name for right in rights),
        )

    def api_versions(self) -> Mapping[str, tuple[int, int]]:
        """Return what a broker can do, by request; nothing when the client does not tell.

        The client tells it in its log only.
        """
        heard = _Heard()
        logger = logging.Logger("gate.probe")  # noqa: LOG001 - of this call alone, and unheard of
        logger.addHandler(heard)
        properties = admin_properties(self._connection, Reasons())
        client = client_of(
            AdminClient, {**properties, "debug": "feature", "log_level": 7}, logger=logger
        )
        client.describe_cluster(request_timeout=REQUEST_TIMEOUT_S)
        deadline = time.monotonic() + _VERSIONS_S
        while time.monotonic() < deadline and not heard.is_complete:
            client.poll(0.05)
        return heard.versions

    def broker_settings(self) -> Mapping[str, str | None] | None:
        """Return the settings of one broker; a secret one has no value."""
        asked_for = ConfigResource(ConfigResource.Type.BROKER, str(self._any_broker()))

        def question() -> Any:
            asked = self._cluster.client.describe_configs(
                [asked_for], request_timeout=REQUEST_TIMEOUT_S
            )
            return result(asked[asked_for])

        found = self._permitted("settings of a broker", question)
        return found and {entry.name: entry.value for entry in found.values()}

    def members(self, group_id: str) -> tuple[Member, ...] | None:
        """Return the members of a group."""

        def question() -> Any:
            asked = self._cluster.client.describe_consumer_groups(
                [group_id], request_timeout=REQUEST_TIMEOUT_S
            )
            return result(asked[group_id]).members

        try:
            found = self._permitted(f"describing group `{group_id}`", question)
        except KafkaException as error:
            if error_of(error).code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
            return ()
        if found is None:
            return None
        return tuple(
            Member(
                each.member_id,
                each.group_instance_id,
                each.host,
                tuple(
                    where.partition
                    for where in (each.assignment.topic_partitions if each.assignment else ())
                ),
            )
            for each in found
        )

    def acls(self, topics: Sequence[str]) -> Mapping[str, tuple[Acl, ...]]:
        """Return the bindings that concern each topic, prefixes and wildcards too.

        An empty answer means nothing: a broker gives it to who has no right to ask, and where
        there is no authorizer. `design/operations.md` §3.
        """
        return {topic: self._acls(topic) for topic in topics}

    def _acls(self, topic: str) -> tuple[Acl, ...]:
        asked_for = AclBindingFilter(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.MATCH,
            None,  # type: ignore[arg-type]  # any principal
            None,  # type: ignore[arg-type]  # any host
            AclOperation.ANY,
            AclPermissionType.ANY,
        )

        def question() -> Any:
            asked = self._cluster.client.describe_acls(asked_for, request_timeout=REQUEST_TIMEOUT_S)
            return result(asked)

        found = self._permitted(f"access to topic `{topic}`", question)
        return tuple(
            Acl(
                each.principal,
                each.operation.name,
                f"{each.resource_pattern_type.name.lower()} {each.name}",
                each.permission_type is AclPermissionType.DENY,
            )
            for each in found or ()
        )

    def _permitted(self, doing: str, question: Callable[[], Any]) -> Any:
        """Return the answer, `None` when the right to ask is missing."""

        def permitted() -> Any:
            try:
                return question()
            except KafkaException as error:
                if not is_denied(error_of(error)):
                    raise
                return None

        return self._cluster.ask(doing, permitted)

    def _any_broker(self) -> int:
        def question() -> Any:
            return result(self._cluster.client.describe_cluster(request_timeout=REQUEST_TIMEOUT_S))

        return min(int(node.id) for node in self._cluster.ask("describing", question).nodes)


class _Heard(logging.Handler):
    """Picks the versions out of the client's log."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, tuple[int, int]] = {}
        self._brokers = 0

    @property
    def is_complete(self) -> bool:
        """Whether one broker has told everything: a second one begins, or the last came."""
        return self._brokers > 1

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        line = record.getMessage()
        self._brokers += bool(_ANSWERED.search(line))
        found = _API_VERSIONS.search(line)
        if found:
            self.versions[found[1]] = (int(found[2]), int(found[3]))
