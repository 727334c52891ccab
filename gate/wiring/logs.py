"""The log that a configuration names, embedded or Kafka, for whoever reads, publishes or begins."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gate.adapters.clock import SystemClock
from gate.adapters.embedded import EmbeddedAdmin, EmbeddedPublisher, EmbeddedReader
from gate.adapters.kafka import Connection, KafkaAdmin, KafkaPublisher, KafkaReader
from gate.config import Config
from gate.config.topic_table import topic_specs, topic_table
from gate.core.topics import TopicsWanted
from gate.errors import ConfigInvalid
from gate.ports import Admin, LogReader, Publisher
from gate.runtime.first_start import Beginning, FirstStart, init_lineage
from gate.wiring.connection_security import check_secure
from gate.wiring.identities import (
    checkpoint_signer,
    first_root,
    lineage_keys,
    runtime_line,
    topics,
)


def is_kafka(config: Config) -> bool:
    """Say whether the log is on Apache Kafka."""
    return config.log.kind == "kafka"


def log_file(config: Config) -> Path:
    """Return the file of an embedded log."""
    assert config.log.file is not None, "only an embedded log has a file"
    return config.log.file


def connection(config: Config) -> Connection:
    """Return how to enter the Kafka cluster. Raises `ConfigInvalid` for a refused property."""
    properties = dict(config.kafka)
    servers = properties.pop("bootstrap.servers")
    if not config.insecure_dev:
        check_secure(properties)
    return Connection(bootstrap_servers=servers, properties=properties)


@contextmanager
def open_reader(config: Config) -> Iterator[LogReader]:
    """Open the log for reading, also beside a running gate. Raises `ConfigInvalid`."""
    made = KafkaReader(connection(config)) if is_kafka(config) else EmbeddedReader(log_file(config))
    with closing(made) as opened:
        yield opened


@contextmanager
def open_publisher(config: Config) -> Iterator[Publisher]:
    """Open the log for publishing, also beside a running gate. Raises `ConfigInvalid`."""
    made = (
        KafkaPublisher(connection(config))
        if is_kafka(config)
        else EmbeddedPublisher(log_file(config), SystemClock())
    )
    with closing(made) as opened:
        yield opened


def open_admin(config: Config) -> Admin:
    """Return who makes topics and looks after them. Raises `ConfigInvalid`."""
    if not is_kafka(config):
        return EmbeddedAdmin(log_file(config))
    replicas = topic_table(insecure_dev=config.insecure_dev).replicas
    return KafkaAdmin(connection(config), replication_factor=replicas)


def wanted_topics(config: Config) -> TopicsWanted:
    """Return what the gate's topics must be; an embedded log has one replica of everything."""
    is_dev = config.insecure_dev or not is_kafka(config)
    table, internal = topic_table(insecure_dev=is_dev), topic_table(insecure_dev=False)
    return TopicsWanted(
        topics=topics(config),
        specs=topic_specs(topics(config), config.log.partitions, insecure_dev=is_dev),
        replicas=table.replicas,
        insecure_dev=is_dev,
        internal_replicas=internal.replicas,
        internal_settings=internal.durable,
    )


def create_topics(config: Config) -> None:
    """Make the gate's topics where they are missing. Raises `ConfigInvalid`, `Unreachable`."""
    open_admin(config).create_topics(wanted_topics(config).specs)


def begin_lineage(config: Config, beginning: Beginning) -> int:
    """Write Genesis and trust root to every partition; return the partition count.

    An embedded log's topics are made here; those on Kafka must be there already. Raises
    `ConfigInvalid` when this is no first start, or something configured is wrong.
    """
    keys, first = lineage_keys(config), first_root(config)
    checkpoint = checkpoint_signer(config)
    _check_no_state(config)
    if not is_kafka(config):
        create_topics(config)
    with open_reader(config) as log, open_publisher(config) as publisher:
        return init_lineage(
            FirstStart(
                domain=config.domain,
                gate=config.gate,
                topics=topics(config),
                keys=keys,
                root=first.root,
                root_envelope=first.envelope,
                runtime_line=runtime_line(),
                beginning=beginning,
            ),
            reader=log,
            publisher=publisher,
            signer=checkpoint,
            clock=SystemClock(),
        )


def _check_no_state(config: Config) -> None:
    """A state folder in use remembers approvals of a lineage: a new one would forget them."""
    folder = config.state.folder
    stores = "*/*" if is_kafka(config) else "*"
    if folder.is_dir() and any(entry.name.isdigit() for entry in folder.glob(stores)):
        raise ConfigInvalid(
            f"state folder `{folder}` remembers the approvals of a lineage: restore its log from "
            "a copy; for a new gate name an empty folder"
        )
