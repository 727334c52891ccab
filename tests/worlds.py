"""A whole gate in one process for tests: the embedded log, a store, and people around it."""

from dataclasses import dataclass, field
from pathlib import Path

from gate.adapters.embedded.admin import EmbeddedAdmin
from gate.adapters.embedded.input import EmbeddedInput
from gate.adapters.embedded.output import EmbeddedOutput
from gate.adapters.embedded.publisher import EmbeddedPublisher
from gate.adapters.embedded.reader import EmbeddedReader
from gate.adapters.embedded.seat import Seat
from gate.adapters.memory import MemoryStateStore
from gate.config.topic_table import topic_specs
from gate.core.state import derive_keys
from gate.core.topics import control_transactional_id, topics_of, transactional_id
from gate.core.trust import verify_first
from gate.core.values import Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.record import read_decision_record
from gate.ports import (
    Admin,
    EventKind,
    Input,
    Judging,
    LogReader,
    LogRecord,
    Output,
    OutputRecord,
    Publisher,
    StateStore,
    TopicPartition,
)
from gate.runtime.first_start import Beginning, FirstStart, init_lineage
from gate.runtime.loop import Gate
from gate.runtime.settings import GateSettings, Ports
from tests.builders import (
    DOMAIN,
    GATE,
    NOW_MS,
    RUNTIME_LINE,
    KeySigner,
    a_key,
    a_root_envelope,
    loan_partition,
)

SECRET = bytes(range(32))
TOPICS = topics_of(GATE)


@dataclass
class StillClock:
    """A clock that moves only when told, or by sleeping."""

    wall_ms: int = NOW_MS
    elapsed_ms: int = 0

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic_ms(self) -> int:
        self.elapsed_ms += 1
        return self.elapsed_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self.elapsed_ms += duration_ms


@dataclass
class RecordedTelemetry:
    """Keeps every event."""

    events: list[tuple[EventKind, dict[str, object]]] = field(default_factory=list)

    def emit(self, kind: EventKind, **fields: object) -> None:
        self.events.append((kind, fields))

    def of(self, kind: EventKind) -> list[dict[str, object]]:
        return [fields for found, fields in self.events if found is kind]


class NoSuspects:
    """The Judging port for a process that never dies by a signal."""

    def __init__(self, partitions: int) -> None:
        self.offsets = [-1] * partitions

    def suspect(self, partition: int) -> int | None:
        return None


class World:
    """The people around a gate: whoever makes topics, publishes, and reads."""

    def __init__(
        self,
        *,
        admin: Admin,
        partitions: int,
        clock: StillClock,
        keys_secret: bytes = SECRET,
    ) -> None:
        self.clock = clock
        self.partitions = partitions
        self.keys = derive_keys(keys_secret)
        self.telemetry = RecordedTelemetry()
        self.stores: StateStore = MemoryStateStore()
        self.signer = KeySigner(a_key("checkpoint"))
        admin.create_topics(topic_specs(TOPICS, partitions))

    def reader(self) -> LogReader:
        raise NotImplementedError

    def publisher(self) -> Publisher:
        raise NotImplementedError

    def make_input(self) -> Input:
        raise NotImplementedError

    def make_output(self, slot: str) -> Output:
        raise NotImplementedError

    def init(self, beginning: Beginning = Beginning.BEGINNING) -> None:
        envelope = a_root_envelope()
        init_lineage(
            FirstStart(
                domain=DOMAIN,
                gate=GATE,
                topics=TOPICS,
                keys=self.keys,
                root=verify_first(envelope),
                root_envelope=envelope,
                runtime_line=RUNTIME_LINE,
                beginning=beginning,
            ),
            reader=self.reader(),
            publisher=self.publisher(),
            signer=self.signer,
            clock=self.clock,
        )

    @property
    def topic_id(self) -> str:
        identity = self.reader().topic(TOPICS.requests)
        assert identity is not None
        return identity.topic_id

    def submit(self, *values: tuple[bytes | None, bytes | None], partition: int | None = None):
        """Publish (key, value) pairs where their key belongs, or to the partition named."""
        records = [
            OutputRecord(
                TOPICS.requests,
                loan_partition((key or b"").decode("latin-1"), self.partitions)
                if partition is None
                else partition,
                key,
                value,
            )
            for key, value in values
        ]
        return self.publisher().publish(records)

    def control(self, value: bytes) -> None:
        """Publish a control record to every partition."""
        records = [
            OutputRecord(TOPICS.requests, number, None, value) for number in range(self.partitions)
        ]
        self.publisher().publish(records, transactional_id=control_transactional_id(GATE))

    def settings(self, **changes: object) -> GateSettings:
        return GateSettings(
            **{
                "domain": DOMAIN,
                "gate": GATE,
                "topics": TOPICS,
                "keys": self.keys,
                "runtime_line": RUNTIME_LINE,
                **changes,
            }
        )

    def gate(
        self, slot: str = "gate-0", *, judging: Judging | None = None, **changes: object
    ) -> Gate:
        ports = Ports(
            input=self.make_input(),
            output=self.make_output(slot),
            reader=self.reader(),
            stores=self.stores,
            signer=self.signer,
            judging=judging or NoSuspects(self.partitions),
            clock=self.clock,
            telemetry=self.telemetry,
        )
        return Gate(settings=self.settings(**changes), ports=ports)

    def run(self, **changes: object) -> None:
        """Run a gate until it has decided everything."""
        self.gate(**changes).run(should_stop=lambda: False, until_caught_up=True)

    def settle(self) -> None:
        """Wait until what was committed is visible, where that takes a moment."""

    def records(self, topic: str) -> list[LogRecord]:
        reader = self.reader()
        found: list[LogRecord] = []
        for number in range(self.partitions):
            where = TopicPartition(topic, number)
            offset, end = 0, reader.ends([where])[where].last_stable
            while offset < end:
                part = reader.read(where, offset=offset, records_max=1_000)
                found += part.records
                if part.next_offset <= offset:
                    break
                offset = part.next_offset
        return found

    def decisions(self) -> list[Decision]:
        """Every committed decision, by partition and leaf index."""
        found = [
            read_decision_record(record.value or b"")
            for topic in (TOPICS.approved, TOPICS.denied)
            for record in self.records(topic)
        ]
        entries = [(record.log, record.leaf_index, read_entry(record.entry)) for record in found]
        return [entry for _, _, entry in sorted(entries, key=lambda item: item[:2])]


class EmbeddedWorld(World):
    """On the embedded log, in one file."""

    def __init__(self, folder: Path, *, partitions: int = 1, clock: StillClock | None = None):
        self.path = folder / "log.sqlite"
        super().__init__(
            admin=EmbeddedAdmin(self.path), partitions=partitions, clock=clock or StillClock()
        )
        self._seat = Seat(self.path, self.clock)

    def reader(self) -> LogReader:
        return EmbeddedReader(self.path)

    def publisher(self) -> Publisher:
        return EmbeddedPublisher(self.path, self.clock)

    def make_input(self) -> Input:
        return EmbeddedInput(
            self.path, seat=self._seat, group_id=GATE, topic=TOPICS.requests, clock=self.clock
        )

    def make_output(self, slot: str) -> Output:
        return EmbeddedOutput(
            self.path,
            seat=self._seat,
            transactional_id=transactional_id(GATE, slot),
            input_topic=TOPICS.requests,
            clock=self.clock,
        )


def outcomes(decisions: list[Decision]) -> list[tuple[str, str]]:
    """Request id and first reason of each decision."""
    return [(d.request_id, d.reasons[0].code.name.lower()) for d in decisions]
