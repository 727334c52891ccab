"""The table of topics, `deploy/topics.toml`, which lies in the package too.

Promises settings as Kafka names and spells them, for each of the gate's topics. Leaves to others:
making topics of it, and comparing (`gate.client.topic_findings`).
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

from gate.core.topics import Topics, TopicSpec


class TopicTable(NamedTuple):
    """The replicas each partition must have, and each topic's settings by its short name.

    `durable`: those settings without which a broker lost is decisions lost, in every topic alike.
    """

    replicas: int
    settings: Mapping[str, Mapping[str, str]]
    durable: Mapping[str, str]


def topic_table(*, insecure_dev: bool) -> TopicTable:
    """Read the table; `insecure_dev` asks for one replica only, and is part of the settings."""
    read = tomllib.loads((resources.files("gate") / "topics.toml").read_text("utf-8"))
    replication = dict(read["replication_insecure_dev" if insecure_dev else "replication"])
    replicas = int(replication.pop("replicas"))
    durable = {**replication, **read["replication_every"]}
    every = {**durable, **read["every"]}
    settings = {name: {**every, **read[name]} for name in Topics._fields}
    return TopicTable(replicas, settings, durable)


def topic_specs(
    topics: Topics, partition_count: int, *, insecure_dev: bool = True
) -> tuple[TopicSpec, ...]:
    """Return the topics of a gate as the table has them; `insecure_dev`: for one broker."""
    settings = topic_table(insecure_dev=insecure_dev).settings
    return tuple(
        TopicSpec(name=name, partition_count=partition_count, settings=settings[kind])
        for kind, name in topics._asdict().items()
    )
