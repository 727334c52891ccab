"""A gate on Kafka for one run: its folder, its topics, its lineage, its policy, and its audit."""

import json
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gate import wiring
from gate.authoring.pack import build_activation, pack
from gate.client.control import POLICY_ACTIVATION, control_value
from gate.config import load_config
from gate.core import dsse
from gate.core.topics import control_transactional_id
from gate.ports import OutputRecord
from gate.runtime.first_start import Beginning
from loadtest.kafka.broker import Broker
from loadtest.kafka.process import Failed, Watched, environment, module, watched
from loadtest.trust import DAY_MS, envelope, root_envelope
from loadtest.workload import Kind, person, policy_source, requests

DOMAIN = "load.example"
PARTITIONS = 6
REPEATED_PART = 0.01
"""How many of the requests come a second time, and must be denied."""
_CHUNK_RECORDS = 50_000
_AUDIT_TIMEOUT_S = 900
_CONFIG = """\
domain = "{domain}"
gate = "{name}"
slot = "gate-0"
insecure_dev = true
[log]
kind = "kafka"
partitions = {partitions}
[kafka]
"bootstrap.servers" = "{bootstrap}"
[state]
folder = "state"
[keys]
checkpoint = "keys/checkpoint.key"
lineage_secret = "keys/lineage.secret"
[trust]
root = "trust-root.json"
[run]
batch_records_max = {batch_records_max}
"""

Made = list[tuple[int, bytes, bytes]]


class Bench(NamedTuple):
    """Where everything of a measurement runs, and how many records a transaction has at most."""

    broker: Broker
    folder: Path
    batch_records_max: int


class KafkaGate:
    """Topics, lineage and an activation that waits to be decided are there once it is made."""

    def __init__(self, bench: Bench, name: str, kind: Kind) -> None:
        self.folder, self.name, self.kind = bench.folder / name, name, kind
        self._bench = bench
        self.published = 0
        self._clock = wiring.clock()
        self._write_files()
        self.config = load_config(self.config_file).config
        self.topics = wiring.topics(self.config)
        wiring.create_topics(self.config)
        wiring.begin_lineage(self.config, Beginning.BEGINNING)
        self._activate()

    @property
    def config_file(self) -> Path:
        return self.folder / "gate.toml"

    def requests(self, count: int, seed: int) -> Made:
        """Make requests with distinct keys for this gate, in the order of their numbers."""
        return requests(
            self.kind,
            count,
            audience=self.config.audience,
            domain=DOMAIN,
            partitions=PARTITIONS,
            now_ms=self._clock.now_ms(),
            seed=seed,
        )

    def load(self, count: int, seed: int) -> int:
        """Publish requests, some of them twice; return how many records that made."""
        made = self.requests(count, seed)
        draw = random.Random(seed)
        made += [draw.choice(made) for _ in range(int(count * REPEATED_PART))]
        self.publish(made)
        return len(made)

    def fill(self, count: int, seed: int, go_on: Callable[[int], bool]) -> None:
        """Publish requests chunk by chunk, as long as `go_on(published)` says so."""
        for chunk in range(-(-count // _CHUNK_RECORDS)):
            size = min(_CHUNK_RECORDS, count - chunk * _CHUNK_RECORDS)
            self.publish(self.requests(size, seed + chunk))
            if not go_on(self.published):
                return

    def publish(self, made: Made) -> None:
        topic = self.topics.requests
        with wiring.open_publisher(self.config) as publisher:
            publisher.publish([OutputRecord(topic, *record) for record in made])
        self.published += len(made)

    @contextmanager
    def run(self, *options: str, variant: Sequence[str] = ("gate",)) -> Iterator[Watched]:
        """Start `gate run`, or the same line in a variant of the process."""
        name, *arguments = variant
        line = ("run", "--config", str(self.config_file), *options)
        with watched(module(name, *arguments, *line), cwd=self.folder) as process:
            yield process

    def check(self, process: Watched) -> None:
        """Count what the process told and audit the topics. Raises `Failed` on any difference."""
        expected = self.published + PARTITIONS  # the activation, once in every partition
        if process.committed_records() != expected:
            told = process.committed_records()
            raise process.failure(f"expected {expected} decided records, it told {told}")
        self.audit()

    def audit(self) -> dict[str, int]:
        """Let `gate audit` judge the topics; return its totals. Raises `Failed`."""
        line = module("gate", "audit", "--config", str(self.config_file), "--output", "json")
        done = subprocess.run(
            line,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_AUDIT_TIMEOUT_S,
        )
        if done.returncode not in {0, 1}:
            raise Failed(f"audit of `{self.name}`: exit code {done.returncode}: {done.stderr}")
        found = json.loads(done.stdout)
        totals: dict[str, int] = found["totals"]
        counted = (totals["approved"] + totals["denied"], totals["control"], totals["pending"])
        if not found["ok"] or counted != (self.published, PARTITIONS, 0):
            raise Failed(
                f"audit of `{self.name}`: expected {self.published} decisions and nothing found,"
                f" got {totals}, {found['findings']}"
            )
        return totals

    def remove(self) -> None:
        """Delete the topics."""
        self._bench.broker.remove_topics(f"{self.name}.")

    def _write_files(self) -> None:
        keys = self.folder / "keys"
        keys.mkdir(parents=True)
        private = person("checkpoint").private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        _secret_file(keys / "checkpoint.key", private)
        _secret_file(keys / "lineage.secret", b"5e" * 32 + b"\n")
        audience = f"{DOMAIN}/{self.name}"
        root = root_envelope(DOMAIN, audience, self._clock.now_ms())
        (self.folder / "trust-root.json").write_bytes(root)
        text = _CONFIG.format(
            domain=DOMAIN,
            name=self.name,
            partitions=PARTITIONS,
            bootstrap=self._bench.broker.bootstrap,
            batch_records_max=self._bench.batch_records_max,
        )
        self.config_file.write_text(text, encoding="utf-8")

    def _activate(self) -> None:
        bundle = pack(
            policy_source(self.kind),
            "load.policy.yaml",
            domain=DOMAIN,
            previous=None,
            tests_sha256=None,
        )
        with wiring.open_reader(self.config) as reader:
            identity = reader.topic(self.topics.requests)
        assert identity is not None, "the lineage has begun"
        payload = build_activation(
            envelope(dsse.POLICY, bundle, "author"),
            mode="enforce",
            audience=self.config.audience,
            topic_id=identity.topic_id,
            previous=None,
            activation_sequence=1,
            not_after_ms=self._clock.now_ms() + DAY_MS,
        )
        signed = envelope(dsse.ACTIVATION, payload, "activator-1", "activator-2")
        value = control_value(POLICY_ACTIVATION, signed)
        records = [
            OutputRecord(self.topics.requests, number, None, value) for number in range(PARTITIONS)
        ]
        with wiring.open_publisher(self.config) as publisher:
            publisher.publish(records, transactional_id=control_transactional_id(self.config.gate))


def _secret_file(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
