"""Others read what a gate wrote to a real broker, take it apart, and accept its proofs.

Records come from the client library's own consumer and from Kafka's console consumer, fields from
fastavro and `schemas/*.avsc`, verdicts from Go and OpenSSL (`tests/independent`); the gate only
wrote them.
"""

import re
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition

from gate.ports import TopicPartition as GatePartition
from tests.independent.others import ACCEPTED, GoJudge, go_judge, openssl
from tests.independent.published import (
    Published,
    consistency_cases,
    inclusion_cases,
    input_digest,
    read_object,
    take_apart,
)
from tests.independent.suite import PUBLIC, AcceptedByOthers
from tests.independent.traffic import decide_requests
from tests.kafka.local import LocalKafka, stock_tool
from tests.kafka.world import KafkaWorld
from tests.worlds import TOPICS

__all__ = ["go_judge", "openssl"]

PARTITIONS, REQUESTS = 3, 90
CONSOLE = "org.apache.kafka.tools.consumer.ConsoleConsumer"
BYTES = "org.apache.kafka.common.serialization.BytesDeserializer"


class Raw(NamedTuple):
    """A record as the client library gave it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@pytest.fixture(scope="module")
def world(kafka: LocalKafka) -> Iterator[KafkaWorld]:
    made = KafkaWorld(kafka.bootstrap, partitions=PARTITIONS)
    made.init()
    at_ms = time.time_ns() // 1_000_000
    decide_requests(made, REQUESTS, at_ms=at_ms, batch_records_max=9)
    yield made
    made.close()


@pytest.fixture(scope="module")
def raw(world: KafkaWorld) -> dict[str, list[Raw]]:
    servers = world.connection.bootstrap_servers
    topics = (TOPICS.requests, TOPICS.lineage, TOPICS.approved, TOPICS.denied)
    return {topic: consumed(servers, topic) for topic in topics}


@pytest.fixture(scope="module")
def partitions(raw: dict[str, list[Raw]]) -> list[Published]:
    return [
        take_apart(
            values(raw[TOPICS.lineage], number),
            values(raw[TOPICS.approved] + raw[TOPICS.denied], number),
        )
        for number in range(PARTITIONS)
    ]


def consumed(servers: str, topic: str) -> list[Raw]:
    """Read a topic from its first offset to its end, with a consumer that knows no gate."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "somebody-else",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    found: list[Raw] = []
    open_ends = set(range(PARTITIONS))
    deadline = time.monotonic() + 20
    while open_ends:
        assert time.monotonic() < deadline, f"partitions {open_ends} did not end"
        for message in consumer.consume(1_000, 0.2):
            if message.error() is None:
                found.append(
                    Raw(message.partition(), message.offset(), message.key(), message.value())
                )
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                open_ends.discard(message.partition())
    consumer.close()
    return found


def values(records: list[Raw], partition: int) -> list[bytes]:
    return [record.value or b"" for record in records if record.partition == partition]


def printed(servers: str, topic: str, partition: int, count: int) -> list[bytes]:
    """Read values with Kafka's console consumer; this deserializer makes them lines of ASCII."""
    done = stock_tool(
        CONSOLE,
        *("--bootstrap-server", servers, "--topic", topic, "--partition", str(partition)),
        *("--offset", "earliest", "--max-messages", str(count), "--timeout-ms", "20000"),
        *("--isolation-level", "read_committed"),
        *("--formatter-property", "value.deserializer=" + BYTES),
    )
    assert done.returncode == 0, done.stderr
    return [unescaped(line) for line in done.stdout.splitlines()]


def unescaped(line: str) -> bytes:
    """Undo Kafka's `Bytes.toString`, which writes the backslash and all but ASCII as `\\xNN`."""
    return re.sub(
        rb"\\x([0-9A-F]{2})", lambda match: bytes.fromhex(match[1].decode()), line.encode("ascii")
    )


class TestOnARealBroker(AcceptedByOthers):
    decisions = REQUESTS + 2 * PARTITIONS


def test_the_decisions_are_on_the_records_of_the_requests_topic(
    partitions: list[Published], raw: dict[str, list[Raw]]
) -> None:
    """Every record that is no control record is in one decision, by offset and digest."""
    entries = [
        read_object(decision["entry"], "Decision")
        for published in partitions
        for decision in published.decisions
    ]
    decided = [
        (entry["input_partition"], entry["input_offset"], entry["input_sha256"])
        for entry in entries
    ]
    assert sorted(decided) == sorted(
        (record.partition, record.offset, input_digest(record.key, record.value))
        for record in raw[TOPICS.requests]
        if record.offset > 0  # there the activation is
    )


def test_the_gates_reader_gives_the_same_records(
    world: KafkaWorld, raw: dict[str, list[Raw]]
) -> None:
    for topic, found in raw.items():
        read = [Raw(r.partition, r.offset, r.key, r.value) for r in world.records(topic)]
        assert read == sorted(found, key=lambda record: record[:2])
    for number in range(PARTITIONS):
        last = world.reader().last(GatePartition(TOPICS.lineage, number))
        assert last is not None
        assert last.value == values(raw[TOPICS.lineage], number)[-1]


def test_kafkas_console_consumer_prints_what_go_accepts(
    world: KafkaWorld, raw: dict[str, list[Raw]], go_judge: GoJudge
) -> None:
    servers = world.connection.bootstrap_servers
    topics = (TOPICS.lineage, TOPICS.denied)
    sent = [values(raw[topic], 0) for topic in topics]
    read = [
        printed(servers, topic, 0, len(expected))
        for topic, expected in zip(topics, sent, strict=True)
    ]
    published = take_apart(*read)
    cases = inclusion_cases(published, PUBLIC) + consistency_cases(published, PUBLIC)

    assert read == sent
    assert len(published.decisions) > 5
    assert set(go_judge.verdicts(cases)) == {ACCEPTED}
