"""Whether a cluster is ready to be used, asked the way its clients ask.

Ready means: every live node answers, names every live node, leads the partitions it may lead and
follows the rest, and a transactional producer was initialised. Uses confluent-kafka.
"""

# ruff: noqa: INP001 - a script's module, in the script's folder

import secrets
from collections.abc import Mapping
from typing import Any

from kafka_jars import Missing

try:
    from confluent_kafka import KafkaException, Producer
    from confluent_kafka.admin import AdminClient
except ImportError as error:
    raise Missing(
        "expected the Python library confluent-kafka: run `make setup`, then `.venv/bin/python`"
    ) from error

_QUICK: dict[str, str | int | float | bool] = {
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 100,
    "log_level": 0,
}


def is_ready(cluster: str, addresses: Mapping[int, str]) -> bool:
    """Return whether the cluster of this identity and these live nodes is ready.

    Waits up to about 10 s. The identity keeps another cluster, which took a port, from answering.
    """
    try:
        for address in addresses.values():
            one = AdminClient({"bootstrap.servers": address, **_QUICK})
            metadata = one.list_topics(timeout=2)
            if metadata.cluster_id != cluster or not _settled(metadata, set(addresses)):
                return False
        everywhere = {"bootstrap.servers": ",".join(addresses.values()), **_QUICK}
        probe = {"transactional.id": f"local-kafka-{secrets.token_hex(4)}"}
        Producer({**everywhere, **probe}).init_transactions(10)
    except KafkaException:
        return False
    return True


def _settled(metadata: Any, alive: set[int]) -> bool:
    """Return whether every live node is registered, leads what it may and follows the rest.

    A restarted node is without its partitions for a moment, in which Kafka 4.3.1 drops markers
    of transactions as if their topics were deleted.
    """
    if set(metadata.brokers) != alive:
        return False
    for topic in metadata.topics.values():
        for partition in topic.partitions.values():
            here = alive & set(partition.replicas)
            if here and (partition.leader not in alive or not here <= set(partition.isrs)):
                return False
    return True
