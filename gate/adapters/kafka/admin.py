"""Makes topics and waits until the brokers know them; reads how they stand; sets their settings."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from gate.adapters.kafka.clients import Cluster, result
from gate.adapters.kafka.errors import error_of, told
from gate.adapters.kafka.settings import REQUEST_TIMEOUT_S, Connection
from gate.adapters.kafka.standing import standing_of
from gate.core.topics import TopicSpec, TopicStanding
from gate.errors import ConfigInvalid, Unreachable

_KNOWN_S: Final = 15.0
_CREATING: Final = "CREATE, DESCRIBE and DESCRIBE_CONFIGS on the gate's topics"
_ALTERING: Final = "ALTER_CONFIGS and DESCRIBE_CONFIGS on the gate's topics"
_ASK_INTERVAL_S: Final = 0.02


class KafkaAdmin:
    """Implements `gate.ports.Admin`."""

    def __init__(self, connection: Connection, *, replication_factor: int) -> None:
        self._replication_factor = replication_factor
        self._cluster = Cluster(connection)

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Follow the port. Raises `ConfigInvalid` for what the brokers refuse, `Unreachable`."""
        if not specs:
            return
        topics = [
            NewTopic(
                spec.name,
                num_partitions=spec.partition_count,
                replication_factor=self._replication_factor,
                config=dict(spec.settings),
            )
            for spec in specs
        ]
        asked = self._cluster.client.create_topics(topics, request_timeout=REQUEST_TIMEOUT_S)
        for name, future in asked.items():
            try:
                self._cluster.ask(
                    f"making topic `{name}`", partial(result, future), right=_CREATING
                )
            except KafkaException as raised:
                error = error_of(raised)
                if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    text = f"topic `{name}` can not be made: {told(error)}{_cure(error)}"
                    raise ConfigInvalid(text) from raised
        self._wait_until_known([spec.name for spec in specs])

    def standing(self, names: Sequence[str]) -> Mapping[str, TopicStanding | None]:
        """Follow the port. Raises `Unreachable`."""
        return standing_of(self._cluster, names)

    def alter_topic(self, name: str, settings: Mapping[str, str]) -> None:
        """Follow the port; returns when they can be read.

        Raises `ConfigInvalid` for what the brokers refuse, `Unreachable`.
        """
        resource = ConfigResource(
            ConfigResource.Type.TOPIC,
            name,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in sorted(settings.items())
            ],
        )
        asked = self._cluster.client.incremental_alter_configs(
            [resource], request_timeout=REQUEST_TIMEOUT_S
        )
        try:
            self._cluster.ask(
                f"altering topic `{name}`", partial(result, asked[resource]), right=_ALTERING
            )
        except KafkaException as raised:
            error = error_of(raised)
            text = f"topic `{name}` can not be altered: {told(error)}{_cure(error)}"
            raise ConfigInvalid(text) from raised
        self._wait_until_set(name, settings)

    def _wait_until_known(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + _KNOWN_S
        while True:
            missing = sorted(
                name
                for name, found in self._cluster.describe(names).items()
                if found is None or any(part.leader is None for part in found.partitions)
            )
            if not missing:
                return
            if time.monotonic() > deadline:
                text = f"topics {', '.join(missing)} were made, but have no leader yet: try again"
                raise Unreachable(text)
            time.sleep(_ASK_INTERVAL_S)

    def _wait_until_set(self, name: str, settings: Mapping[str, str]) -> None:
        deadline = time.monotonic() + _KNOWN_S
        while True:
            found = self.standing([name])[name]
            if found is None or found.settings is None:
                return
            missing = [
                k
                for k, v in settings.items()
                if k not in found.settings or found.settings[k].value != v
            ]
            if not missing:
                return
            if time.monotonic() > deadline:
                text = f"topic `{name}` was altered, but does not show {missing[0]} yet: try again"
                raise Unreachable(text)
            time.sleep(_ASK_INTERVAL_S)


def _cure(error: KafkaError) -> str:
    """Return what to do about a refusal of the brokers, where it is known."""
    if error.code() != KafkaError.INVALID_REPLICATION_FACTOR:
        return ""
    return (
        ": start as many brokers as the table asks for replicas, or for development set "
        "`insecure_dev = true`"
    )
