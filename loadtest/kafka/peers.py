"""What the gate is compared with in the same run: a pass-through, and Quix Streams.

Each reads a topic that is filled once, from the beginning and in a group of its own. Outputs are
counted like the gate's: every request one decision, no key approved twice.
"""

import io
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

from gate import wiring
from gate.adapters.kafka import Connection, KafkaPublisher
from gate.adapters.kafka.settings import reader_properties
from gate.ports import OutputRecord
from loadtest.kafka.broker import ROOT
from loadtest.kafka.gates import DOMAIN, PARTITIONS, REPEATED_PART, Bench
from loadtest.kafka.process import Failed, Watched, module, watched
from loadtest.kafka.progress import say
from loadtest.kafka.quix_decision import DECISION, HEADER_BYTES
from loadtest.workload import requests

QUIX_VERSION = "3.28.1"
_VENV = ROOT / "build" / "quix" / ".venv"
_JOB = Path(__file__).with_name("quix_job.py")
_COPIES = 6
_COUNT_TIMEOUT_S = 120


def quix_python() -> Path:
    """Return the interpreter that has Quix Streams, making its environment at first use.

    It pulls an older client of Kafka than the gate's, so it can not share an environment.
    """
    python = _VENV / "bin" / "python"
    marker = _VENV / f"quixstreams-{QUIX_VERSION}"
    if not marker.exists():
        say(f"making the environment of Quix Streams {QUIX_VERSION}, once")
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
        wanted = (f"quixstreams=={QUIX_VERSION}", "fastavro", "cryptography")
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([str(python), "-m", "pip", "install", *quiet, *wanted], check=True)
        marker.touch()
    return python


class Peers:
    """Two inputs, filled when it is made: requests for Quix, and copies of them to pass through."""

    def __init__(self, bench: Bench, count: int) -> None:
        self._broker, self._folder = bench.broker, bench.folder
        self._batch = str(bench.batch_records_max)
        made = requests(
            "open",
            count,
            audience=f"{DOMAIN}/peers",
            domain=DOMAIN,
            partitions=PARTITIONS,
            now_ms=wiring.clock().now_ms(),
            seed=1,
        )
        draw = random.Random(1)
        made += [draw.choice(made) for _ in range(int(count * REPEATED_PART))]
        self.requests_count = len(made)
        self.copies_count = len(made) * _COPIES
        self._broker.create_topics(["peers.requests", "peers.copies"], PARTITIONS)
        publisher = KafkaPublisher(Connection(bootstrap_servers=self._broker.bootstrap))
        publisher.publish([OutputRecord("peers.requests", *record) for record in made])
        for _ in range(_COPIES):
            publisher.publish([OutputRecord("peers.copies", *record) for record in made])
        publisher.close()

    def pass_through(self, name: str) -> Watched:
        """Copy the whole input, and count the copies. Raises `Failed`."""
        sink = f"{name}.out"
        self._broker.create_topics([sink], PARTITIONS)
        line = (
            self._broker.bootstrap,
            "peers.copies",
            sink,
            name,
            str(self.copies_count),
            self._batch,
        )
        with watched(module("loadtest.kafka.pass_through", *line)) as process:
            process.finish()
        copied = sum(1 for _ in self._values([sink]))
        if copied != self.copies_count:
            raise process.failure(f"expected {self.copies_count} copies, found {copied}")
        self._broker.remove_topics(name)
        return process

    def quix(self, name: str, *, is_signed: bool) -> Watched:
        """Decide the whole input with Quix Streams, and count its decisions. Raises `Failed`."""
        python = quix_python()
        self._broker.create_topics([f"{name}.approved", f"{name}.denied"], PARTITIONS)
        line = [
            str(python),
            str(_JOB),
            self._broker.bootstrap,
            "peers.requests",
            name,
            str(self.requests_count),
            self._batch,
            str(self._folder / name),
            str(ROOT / "schemas" / "action-request.avsc"),
            *(["sign"] if is_signed else []),
        ]
        with watched(line) as process:
            process.finish()
        self._count(name)
        self._broker.remove_topics(name)
        return process

    def _count(self, name: str) -> None:
        schema = fastavro.parse_schema(DECISION)
        decided, approved, keys = 0, 0, set()
        for value in self._values([f"{name}.approved", f"{name}.denied"]):
            read = fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), schema)
            decided += 1
            if read["outcome"] == "APPROVED":
                approved += 1
                keys.add(read["admission_key"])
        if decided != self.requests_count or approved != len(keys) or not approved:
            raise Failed(
                f"`{name}`: expected {self.requests_count} decisions and no key approved twice,"
                f" found {decided}, {approved} approvals of {len(keys)} keys"
            )

    def _values(self, topics: list[str]) -> Iterator[bytes]:
        """Yield every committed value of the topics."""
        connection = Connection(bootstrap_servers=self._broker.bootstrap)
        consumer = Consumer(reader_properties(connection, lambda _error: None))
        places = [TopicPartition(name, n, 0) for name in topics for n in range(PARTITIONS)]
        consumer.assign(places)
        left = {(place.topic, place.partition) for place in places}
        deadline = time.monotonic() + _COUNT_TIMEOUT_S
        while left:
            if time.monotonic() > deadline:
                raise Failed(f"{topics} could not be read within {_COUNT_TIMEOUT_S} s")
            for message in consumer.consume(5_000, 0.2):
                error = message.error()
                if error is None:
                    yield message.value()
                elif error.code() == KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
                else:
                    raise Failed(f"{topics} could not be read: {error}")
        consumer.close()
