"""Makes topics, and waits until the brokers know them."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

from gate.adapters.kafka.clients import Cluster, result
from gate.adapters.kafka.errors import error_of, told
from gate.adapters.kafka.settings import REQUEST_TIMEOUT_S, Connection
from gate.errors import ConfigInvalid, Unreachable
from gate.ports import TopicSpec

_KNOWN_S: Final = 15.0
_ASK_INTERVAL_S: Final = 0.02


class KafkaAdmin:
    """Implements `gate.ports.Admin`.

    With a replication factor of 3 or more a topic asks for two in-sync replicas, so that a write
    acknowledged by all of them survives the loss of one.
    """

    def __init__(self, connection: Connection, *, replication_factor: int) -> None:
        self._replication_factor = replication_factor
        self._cluster = Cluster(connection)

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Follow the port. Raises `ConfigInvalid` for what the brokers refuse, `Unreachable`."""
        if not specs:
            return
        durable = {"min.insync.replicas": "2"} if self._replication_factor >= 3 else {}
        topics = [
            NewTopic(
                spec.name,
                num_partitions=spec.partition_count,
                replication_factor=self._replication_factor,
                config={**durable, **spec.settings},
            )
            for spec in specs
        ]
        asked = self._cluster.client.create_topics(topics, request_timeout=REQUEST_TIMEOUT_S)
        for name, future in asked.items():
            try:
                self._cluster.ask(f"making topic `{name}`", partial(result, future))
            except KafkaException as raised:
                error = error_of(raised)
                if error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    text = f"topic `{name}` can not be made: {told(error)}"
                    raise ConfigInvalid(text) from raised
        self._wait_until_known([spec.name for spec in specs])

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
