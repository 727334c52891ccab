"""What the gate is compared with in the same run: a pass-through, and Quix Streams.

Each reads a topic that is filled once, from the beginning and in a group of its own. Outputs are
counted like the gate's: every request one decision, no key approved twice.
"""

import io
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

from gate import wiring
from gate.adapters.kafka import Connection, KafkaPublisher
from gate.adapters.kafka.settings import reader_properties
from gate.authoring.pack import pack
from gate.core.values import APPROVED, Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.record import read_decision_record
from gate.ports import OutputRecord
from loadtest.kafka.broker import ROOT
from loadtest.kafka.gates import DOMAIN, PARTITIONS, REPEATED_PART, Bench
from loadtest.kafka.process import Failed, Watched, module, watched
from loadtest.kafka.progress import say
from loadtest.kafka.quix import short_decision
from loadtest.workload import policy_source, requests

QUIX_VERSION = "3.28.1"
_VENV = ROOT / "build" / "quix" / ".venv"
_JOB = Path(__file__).parent / "quix" / "job.py"
_AUDIENCE = f"{DOMAIN}/peers"
_SHARED = ("fastavro", "cryptography", "cel-expr-python")
"""What the job uses beside Quix Streams, in the gate's own versions."""
_COPIES = 6
_COUNT_TIMEOUT_S = 120

QuixKind = Literal["same", "short"]


def quix_python() -> Path:
    """Return the interpreter that has Quix Streams, making its environment at first use.

    It pulls an older client of Kafka than the gate's, so it can not share an environment.
    """
    python = _VENV / "bin" / "python"
    marker = _VENV / f"quixstreams-{QUIX_VERSION}"
    if not marker.exists():
        say(f"making the environment of Quix Streams {QUIX_VERSION}, once")
        subprocess.run([sys.executable, "-m", "venv", str(_VENV)], check=True)
        wanted = [f"quixstreams=={QUIX_VERSION}"]
        wanted += [f"{name}=={version(name)}" for name in _SHARED]
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([str(python), "-m", "pip", "install", *quiet, *wanted], check=True)
        marker.touch()
    return python


class Peers:
    """Two inputs, filled when it is made: requests for Quix, and copies of them to pass through."""

    def __init__(self, bench: Bench, count: int) -> None:
        self._broker, self._folder = bench.broker, bench.folder
        self._batch = bench.batch_records_max
        self._bundle = pack(
            policy_source("open"),
            "load.policy.yaml",
            domain=DOMAIN,
            previous=None,
            tests_sha256=None,
        )
        self._approved_count = -1
        made = requests(
            "open",
            count,
            audience=_AUDIENCE,
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
            str(self._batch),
        )
        with watched(module("loadtest.kafka.pass_through", *line)) as process:
            process.finish()
        copied = sum(1 for _ in self._values([sink]))
        if copied != self.copies_count:
            raise process.failure(f"expected {self.copies_count} copies, found {copied}")
        self._broker.remove_topics(name)
        return process

    def quix(self, name: str, kind: QuixKind, *, is_signed: bool) -> Watched:
        """Decide the whole input with Quix Streams, and count its decisions. Raises `Failed`."""
        self._broker.create_topics([f"{name}.approved", f"{name}.denied"], PARTITIONS)
        given = {
            "bootstrap": self._broker.bootstrap,
            "source": "peers.requests",
            "prefix": name,
            "records": self.requests_count,
            "batch": self._batch,
            "state": str(self._folder / name),
            "schemas": str(ROOT / "schemas"),
            "bundle": self._bundle.decode(),
            "audience": _AUDIENCE,
            "kind": kind,
            "is_signed": is_signed,
        }
        with watched([str(quix_python()), str(_JOB), json.dumps(given)]) as process:
            process.finish()
        self._count(name, _APPROVED_KEY[kind])
        self._broker.remove_topics(name)
        return process

    def _count(self, name: str, approved_key: Callable[[bytes], bytes | None]) -> None:
        """Expect a decision for each request, no key approved twice, and all jobs to agree."""
        decided, approved = 0, Counter[bytes]()
        for value in self._values([f"{name}.approved", f"{name}.denied"]):
            decided += 1
            key = approved_key(value)
            if key is not None:
                approved[key] += 1
        if self._approved_count < 0:
            self._approved_count = len(approved)
        found = (decided, approved.total(), len(approved))
        expected = (self.requests_count, self._approved_count, self._approved_count)
        if found != expected:
            raise Failed(
                f"`{name}`: expected decisions, approvals, approved keys {expected}, found {found}"
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


def _approved_by_the_same_job(value: bytes) -> bytes | None:
    """Return the approved key. The gate's own strict readers accept the record, or raise."""
    entry = read_entry(read_decision_record(value).entry)
    assert isinstance(entry, Decision)
    return entry.admission_key if entry.outcome == APPROVED else None


def _approved_by_the_short_job(value: bytes) -> bytes | None:
    stream = io.BytesIO(value[short_decision.HEADER_BYTES :])
    read = fastavro.schemaless_reader(stream, _SHORT, None)
    assert isinstance(read, dict)
    key: str = read["admission_key"]
    return key.encode() if read["outcome"] == short_decision.APPROVED else None


_SHORT = fastavro.parse_schema(short_decision.DECISION)
_APPROVED_KEY: dict[QuixKind, Callable[[bytes], bytes | None]] = {
    "same": _approved_by_the_same_job,
    "short": _approved_by_the_short_job,
}
