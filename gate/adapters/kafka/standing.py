"""How topics stand on the brokers: partitions, replicas, settings, and the asker's own rights.

Promises that a missing right is told as what could not be seen, and never stops who asks.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from enum import Enum
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    ConfigResource,
    ConfigSource,
    TopicDescription,
)

from gate.adapters.kafka.clients import Cluster, result
from gate.adapters.kafka.errors import error_of
from gate.adapters.kafka.settings import REQUEST_TIMEOUT_S
from gate.core.topics import PartitionStanding, SettingFound, TopicStanding


class _Missing(Enum):
    TOPIC = "topic"
    RIGHT = "right"


_MISSING: Final = {
    KafkaError.UNKNOWN_TOPIC_OR_PART: _Missing.TOPIC,
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _Missing.RIGHT,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _Missing.RIGHT,
}


def standing_of(cluster: Cluster, names: Sequence[str]) -> Mapping[str, TopicStanding | None]:
    """Return how topics stand; a broker tells nothing of a topic that one may not describe.

    Raises `Unreachable`.
    """
    wanted = sorted(set(names))
    described = cluster.ask(
        f"describing topics {', '.join(wanted)}", lambda: _describe(cluster, wanted)
    )
    seen = [name for name, found in described.items() if isinstance(found, TopicDescription)]
    settings = cluster.ask("settings of topics", lambda: _settings(cluster, seen))
    return {name: _standing(described[name], settings.get(name)) for name in names}


def _describe(cluster: Cluster, names: Sequence[str]) -> Mapping[str, Any]:
    asked = cluster.client.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=REQUEST_TIMEOUT_S,
    )
    return {name: _answer(future) for name, future in asked.items()}


def _settings(cluster: Cluster, names: Sequence[str]) -> Mapping[str, Mapping[str, SettingFound]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    asked = cluster.client.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
    found = {each.name: _answer(future) for each, future in asked.items()}
    return {name: _read(answer) for name, answer in found.items() if isinstance(answer, dict)}


def _read(entries: Mapping[str, Any]) -> Mapping[str, SettingFound]:
    own = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    return {
        entry.name: SettingFound(entry.value, entry.source == own)
        for entry in sorted(entries.values(), key=lambda entry: entry.name)
        if entry.value is not None
    }


def _standing(described: Any, settings: Mapping[str, SettingFound] | None) -> TopicStanding | None:
    if described is _Missing.TOPIC:
        return None
    if described is _Missing.RIGHT:
        return TopicStanding(topic_id="", partitions=None, settings=None)
    rights = described.authorized_operations
    return TopicStanding(
        topic_id=str(described.topic_id),
        partitions=tuple(
            PartitionStanding(part.id, len(part.replicas), len(part.isr), part.leader is not None)
            for part in sorted(described.partitions, key=lambda part: part.id)
        ),
        settings=settings,
        rights=None if rights is None else frozenset(right.name for right in rights),
    )


def _answer(future: "Future[Any]") -> Any:
    """Return a future's result, or what was missing for it."""
    try:
        return result(future)
    except KafkaException as error:
        missing = _MISSING.get(error_of(error).code())
        if missing is None:
            raise
        return missing
