"""A gate on the embedded log, as the load test runs it: real log, real RocksDB, real keys."""

import hashlib
from collections import Counter
from pathlib import Path

from gate.adapters.embedded.admin import EmbeddedAdmin
from gate.adapters.embedded.input import EmbeddedInput
from gate.adapters.embedded.output import EmbeddedOutput
from gate.adapters.embedded.publisher import EmbeddedPublisher
from gate.adapters.embedded.reader import EmbeddedReader
from gate.adapters.embedded.seat import Seat
from gate.adapters.judging import JudgingFile
from gate.adapters.rocksdb import RocksStateStore
from gate.authoring.pack import build_activation, pack
from gate.config.topic_table import topic_specs
from gate.core import dsse
from gate.core.policy.bundle import parse_bundle
from gate.core.policy.compiled import Policy, compile_policy
from gate.core.state import derive_keys
from gate.core.topics import control_transactional_id, topics_of, transactional_id
from gate.core.trust import TrustRoot, verify_first
from gate.core.values import ControlRecord
from gate.core.wire.control_record import encode_control_record
from gate.core.wire.record import read_lineage_record
from gate.ports import Clock, EventKind, OutputRecord, TopicPartition
from gate.runtime.first_start import Beginning, FirstStart, init_lineage
from gate.runtime.loop import Gate
from gate.runtime.settings import BATCH_RECORDS_MAX, GateSettings, Ports
from loadtest.trust import DAY_MS, envelope, root_envelope
from loadtest.workload import Kind, Person, person, policy_source

RUNTIME_LINE = "runtime governance-gate/loadtest sha256:" + "00" * 32


class _Counted:
    """Telemetry that keeps the sums of committed transactions."""

    def __init__(self) -> None:
        self.transactions = 0
        self.outcomes: Counter[str] = Counter()

    def emit(self, kind: EventKind, **fields: object) -> None:
        if kind is EventKind.TRANSACTION_COMMITTED:
            self.transactions += 1
            self.outcomes.update(fields["reasons"])


class _Signer:
    def __init__(self, key: Person) -> None:
        self._key = key

    def public_key(self) -> bytes:
        return self._key.public

    def sign(self, message: bytes) -> bytes:
        return self._key.private.sign(message)


class LoadGate:
    """Topics, lineage and policy are there once it is made; `publish`, then `run`."""

    domain, name = "test.example", "load"
    batch_records_max = BATCH_RECORDS_MAX

    def __init__(self, folder: Path, kind: Kind, partitions: int, clock: Clock) -> None:
        self.audience = f"{self.domain}/{self.name}"
        self.topics = topics_of(self.name)
        self.partitions = partitions
        self.keys = derive_keys(hashlib.sha256(b"lineage secret of the load test").digest())
        self.root_envelope = root_envelope(self.domain, self.audience, clock.now_ms())
        self.trust: TrustRoot = verify_first(self.root_envelope)
        self.telemetry = _Counted()
        self.stores = RocksStateStore(folder / "state")
        self._path, self._clock = folder / "log.sqlite", clock
        self._signer = _Signer(person("checkpoint"))
        EmbeddedAdmin(self._path).create_topics(topic_specs(self.topics, partitions))
        self.reader = EmbeddedReader(self._path)
        self._publisher = EmbeddedPublisher(self._path, clock)
        init_lineage(
            FirstStart(
                domain=self.domain,
                gate=self.name,
                topics=self.topics,
                keys=self.keys,
                root=self.trust,
                root_envelope=self.root_envelope,
                runtime_line=RUNTIME_LINE,
                beginning=Beginning.BEGINNING,
            ),
            reader=self.reader,
            publisher=self._publisher,
            signer=self._signer,
            clock=clock,
        )
        self.bundle = pack(
            policy_source(kind),
            "load.policy.yaml",
            domain=self.domain,
            previous=None,
            tests_sha256=None,
        )
        self._activate()

    def policy(self) -> Policy:
        """Return the policy compiled, for measuring its parts."""
        return compile_policy(parse_bundle(self.bundle), hashlib.sha256(self.bundle).digest())

    def publish(self, made: list[tuple[int, bytes, bytes]]) -> None:
        topic = self.topics.requests
        self._publisher.publish([OutputRecord(topic, *record) for record in made])

    def run(self) -> None:
        seat = Seat(self._path, self._clock)
        ports = Ports(
            input=EmbeddedInput(
                self._path,
                seat=seat,
                group_id=self.name,
                topic=self.topics.requests,
                clock=self._clock,
            ),
            output=EmbeddedOutput(
                self._path,
                seat=seat,
                transactional_id=transactional_id(self.name, "gate-0"),
                input_topic=self.topics.requests,
                clock=self._clock,
            ),
            reader=self.reader,
            stores=self.stores,
            signer=self._signer,
            judging=JudgingFile(self._path.parent / "state", self.partitions),
            clock=self._clock,
            telemetry=self.telemetry,
        )
        settings = GateSettings(
            domain=self.domain,
            gate=self.name,
            topics=self.topics,
            keys=self.keys,
            runtime_line=RUNTIME_LINE,
        )
        Gate(settings=settings, ports=ports).run(should_stop=lambda: False, until_caught_up=True)

    def entries(self) -> int:
        """Count the leaves of all partitions, from their last lineage record."""
        total = 0
        for number in range(self.partitions):
            last = self.reader.last(TopicPartition(self.topics.lineage, number))
            assert last is not None
            total += read_lineage_record(last.value or b"").tree_size
        return total

    def outcomes(self) -> dict[str, int]:
        return dict(sorted(self.telemetry.outcomes.items()))

    def transactions(self) -> int:
        return self.telemetry.transactions

    def _activate(self) -> None:
        identity = self.reader.topic(self.topics.requests)
        assert identity is not None
        payload = build_activation(
            envelope(dsse.POLICY, self.bundle, "author"),
            mode="enforce",
            audience=self.audience,
            topic_id=identity.topic_id,
            previous=None,
            activation_sequence=1,
            not_after_ms=self._clock.now_ms() + DAY_MS,
        )
        signed = envelope(dsse.ACTIVATION, payload, "activator-1", "activator-2")
        value = encode_control_record(ControlRecord(2, signed))
        self._publisher.publish(
            [
                OutputRecord(self.topics.requests, number, None, value)
                for number in range(self.partitions)
            ],
            transactional_id=control_transactional_id(self.name),
        )
