"""A topic, a group and a transactional id of one test, on the run's broker."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from gate.adapters.kafka import (
    Connection,
    KafkaAdmin,
    KafkaInput,
    KafkaOutput,
    KafkaPublisher,
    KafkaReader,
)
from gate.errors import Pending, Unreachable
from gate.ports import (
    Ends,
    LogRecord,
    OffsetCommit,
    OutputRecord,
    TopicPartition,
    TopicSpec,
)
from tests.kafka.local import LocalKafka
from tests.kafka.world import connection_to

PARTITIONS = 2


class Place:
    """A topic, a group and a transactional id of this test alone."""

    def __init__(self, bootstrap: str) -> None:
        self.name = "claim-" + os.urandom(6).hex()
        self.connection: Connection = connection_to(bootstrap)
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
        self.reader = KafkaReader(self.connection)
        self.publisher = KafkaPublisher(self.connection)
        self.parts: list[KafkaInput | KafkaOutput] = []
        self.make()

    def make(self, name: str = "", **settings: str) -> str:
        named = {key.replace("_", "."): value for key, value in settings.items()}
        spec = TopicSpec(
            name=self.name + name,
            partition_count=PARTITIONS,
            settings=named or {"message.timestamp.type": "LogAppendTime"},
        )
        KafkaAdmin(self.connection, replication_factor=1).create_topics([spec])
        return spec.name

    def record(self, value: bytes = b"v", partition: int = 0) -> OutputRecord:
        return OutputRecord(self.name, partition, b"k", value)

    def output(self, **connection: int) -> KafkaOutput:
        made = KafkaOutput(
            replace(self.connection, **connection),
            transactional_id=self.name,
            input_topic=self.name,
        )
        self.parts.append(made)
        made.open()
        return made

    def member(self) -> KafkaInput:
        made = KafkaInput(self.connection, group_id=self.name, slot="s", topic=self.name)
        self.parts.append(made)
        wait_for(lambda: made.poll(records_max=1, timeout_ms=20).assigned)
        return made

    def ends(self) -> Ends:
        where = TopicPartition(self.name, 0)
        return self.reader.ends([where])[where]

    def settle(self) -> None:
        """Wait for the markers, which come after the acknowledgement."""
        wait_for(lambda: self.ends().last_stable == self.ends().high_watermark)

    def committed(self) -> OffsetCommit | None:
        return self.reader.committed(self.name, self.name, [0])[0]

    def values(self) -> list[bytes | None]:
        self.settle()
        ends = self.ends()
        part = self.reader.read(TopicPartition(self.name, 0), offset=ends.first, records_max=10_000)
        return [record.value for record in part.records]

    def raw(self, **properties: object) -> Producer:
        """Return a producer of somebody else, with properties named by underscores."""
        named = {key.replace("_", "."): value for key, value in properties.items()}
        servers = self.connection.bootstrap_servers
        return Producer({"bootstrap.servers": servers, "log_level": 0, **named})

    def remove_below(self, first: int) -> None:
        for future in self.admin.delete_records([ClientPartition(self.name, 0, first)]).values():
            future.result(10)

    def delete(self) -> None:
        self.admin.delete_topics([self.name])[self.name].result(10)
        wait_for(lambda: self.reader.topic(self.name) is None)

    def make_again(self) -> None:
        """Delete the topic and make it anew; return when its leaders are known again."""
        self.delete()
        self.make()
        wait_for(self._answers)

    def _answers(self) -> bool:
        try:
            return self.ends().first == 0
        except Unreachable:
            return False

    def close(self) -> None:
        for part in self.parts:
            part.close()
        self.reader.close()
        self.publisher.close()


@pytest.fixture
def place(kafka: LocalKafka) -> Iterator[Place]:
    made = Place(kafka.bootstrap)
    yield made
    made.close()


def wait_for(is_so: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.002)


def is_pending(place: Place) -> bool:
    try:
        place.committed()
    except Pending:
        return True
    return False


def take(member: KafkaInput, count: int) -> list[LogRecord]:
    found: list[LogRecord] = []
    wait_for(
        lambda: (
            found.extend(member.poll(records_max=500, timeout_ms=5).records) or len(found) >= count
        )
    )
    return found
