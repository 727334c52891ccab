"""Builds each implementation of the log's ports for the conformance suite.

A new implementation joins by a class with these methods; what it can not show is left out there
and skipped here, with its reason.
"""

import sqlite3
import time
from pathlib import Path
from typing import ClassVar

import pytest
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from gate.adapters.clock import SystemClock
from gate.adapters.embedded import (
    EmbeddedAdmin,
    EmbeddedInput,
    EmbeddedOutput,
    EmbeddedPublisher,
    EmbeddedReader,
    Seat,
)
from gate.adapters.embedded.file import row_id
from gate.adapters.kafka import (
    KafkaAdmin,
    KafkaInput,
    KafkaOutput,
    KafkaPublisher,
    KafkaReader,
)
from gate.errors import Pending
from gate.ports import (
    Admin,
    GroupIdentity,
    Input,
    LogReader,
    LogRecord,
    OffsetCommit,
    Output,
    OutputRecord,
    Polled,
    Publisher,
    TopicPartition,
    TopicSpec,
)
from tests.kafka.world import connection_to, remove_topics
from tests.simulation.simulated_log import SimulatedLog
from tests.simulation.world import SimulatedClock, World

GROUP = "conformance"
REQUESTS = "conformance.requests.v1"
APPROVED = "conformance.approved.v1"
CHANGELOG = "conformance.changelog.v1"
PARTITION_COUNT = 3
SETTINGS = {"message.timestamp.type": "LogAppendTime"}


class Harness:
    """One log with three topics."""

    clock: SimulatedClock
    left_out: ClassVar[dict[str, str]] = {}
    """Tests that this log can not be held to, each with its reason."""

    def admin(self) -> Admin:
        raise NotImplementedError

    def input(self) -> Input:
        raise NotImplementedError

    def output(self, transactional_id: str = "gate.0") -> Output:
        raise NotImplementedError

    def reader(self) -> LogReader:
        raise NotImplementedError

    def publisher(self) -> Publisher:
        raise NotImplementedError

    def truncate(self, partition: TopicPartition, first: int) -> None:
        raise NotImplementedError

    def damage(self, partition: TopicPartition, offset: int) -> None:
        raise NotImplementedError

    def make_topics(self) -> None:
        self.admin().create_topics(
            [
                TopicSpec(name=name, partition_count=PARTITION_COUNT, settings=SETTINGS)
                for name in (REQUESTS, APPROVED, CHANGELOG)
            ]
        )

    def close(self) -> None:
        """Let go of what the test opened."""

    def joined(self) -> Input:
        """Return an input that has its partitions, all paused."""
        member = self.input()
        polled = member.poll(records_max=1, timeout_ms=0)
        assert polled == (tuple(range(PARTITION_COUNT)), (), [])
        return member

    def opened(self, transactional_id: str = "gate.0") -> Output:
        output = self.output(transactional_id)
        output.open()
        return output

    def commit(
        self,
        output: Output,
        records: list[OutputRecord],
        offsets: list[OffsetCommit] | None = None,
        identity: GroupIdentity | None = None,
    ) -> None:
        """Do one whole transaction."""
        output.begin()
        for record in records:
            output.produce(record)
        if identity is not None:
            output.send_offsets(offsets or [], identity)
        output.commit()

    def _shared_reader(self) -> LogReader:
        if not hasattr(self, "_reader"):
            self._reader = self.reader()
        return self._reader

    def everything(self, topic: str, partition: int) -> list[LogRecord]:
        """Read a partition to its end, in small slices."""
        reader = self._shared_reader()
        where = TopicPartition(topic, partition)
        ends = reader.ends([where])[where]
        offset, records = ends.first, []
        while offset < ends.last_stable:
            found = reader.read(where, offset=offset, records_max=2)
            assert found.next_offset > offset, "no progress"
            offset = found.next_offset
            records += found.records
        return records


class EmbeddedHarness(Harness):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate.log"
        self.clock = SimulatedClock()
        self.seat = Seat(self.path, self.clock)

    def admin(self) -> EmbeddedAdmin:
        return EmbeddedAdmin(self.path)

    def input(self) -> EmbeddedInput:
        return EmbeddedInput(
            self.path, seat=self.seat, group_id=GROUP, topic=REQUESTS, clock=self.clock
        )

    def output(self, transactional_id: str = "gate.0") -> EmbeddedOutput:
        return EmbeddedOutput(
            self.path,
            seat=self.seat,
            transactional_id=transactional_id,
            input_topic=REQUESTS,
            clock=self.clock,
        )

    def reader(self) -> EmbeddedReader:
        return EmbeddedReader(self.path)

    def publisher(self) -> EmbeddedPublisher:
        return EmbeddedPublisher(self.path, self.clock)

    def damage(self, partition: TopicPartition, offset: int) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            number = row_id(self._partition_id(connection, partition), offset)
            connection.execute("UPDATE record SET value = x'00' WHERE id = ?", (number,))
        connection.close()

    def _partition_id(self, connection: sqlite3.Connection, partition: TopicPartition) -> int:
        (partition_id,) = connection.execute(
            "SELECT partition.id FROM partition JOIN topic ON topic.id = topic"
            " WHERE name = ? AND number = ?",
            partition,
        ).fetchone()
        return partition_id

    def truncate(self, partition: TopicPartition, first: int) -> None:
        connection = sqlite3.connect(self.path)
        with connection:
            partition_id = self._partition_id(connection, partition)
            connection.execute(
                "UPDATE partition SET first_offset = ? WHERE id = ?", (first, partition_id)
            )
            connection.execute(
                "DELETE FROM record WHERE id >= ? AND id < ?",
                (row_id(partition_id, 0), row_id(partition_id, first)),
            )
        connection.close()


class SimulatedHarness(Harness):
    def __init__(self) -> None:
        self.log = SimulatedLog(World(seed=1))
        self.clock = self.log.world.clock

    def admin(self) -> Admin:
        return self.log.admin()

    def input(self) -> Input:
        return self.log.input(slot="0", group_id=GROUP, topic=REQUESTS)

    def output(self, transactional_id: str = "gate.0") -> Output:
        return self.log.output(transactional_id=transactional_id, input_topic=REQUESTS)

    def reader(self) -> LogReader:
        return self.log.reader()

    def publisher(self) -> Publisher:
        return self.log.publisher()

    def damage(self, partition: TopicPartition, offset: int) -> None:
        self.log.damage(partition, offset)

    def truncate(self, partition: TopicPartition, first: int) -> None:
        self.log.truncate(partition, first)


_ARRIVAL_S = 0.6
_QUIET_MS = 40
_MARKER_S = 0.5
_FENCING_S = 5.0


class _BrokerClock(SystemClock):
    def advance(self, duration_ms: int) -> None:
        pytest.xfail("a broker takes its time from the machine's clock")


class _PatientInput(KafkaInput):
    """Waits where a poll without a timeout means "what is there": a fetch takes its time."""

    patience_s = _ARRIVAL_S

    def poll(self, *, records_max: int, timeout_ms: int) -> Polled:
        if timeout_ms:
            return super().poll(records_max=records_max, timeout_ms=timeout_ms)
        deadline = time.monotonic() + self.patience_s
        assigned: tuple[int, ...] = ()
        records: list[LogRecord] = []
        while time.monotonic() < deadline and len(records) < records_max:
            found = super().poll(records_max=records_max - len(records), timeout_ms=_QUIET_MS)
            assigned += found.assigned
            records += found.records
            if assigned or (records and not found.records):
                break
        return Polled(assigned, (), records)


class _PatientReader(KafkaReader):
    """A commit is visible some milliseconds after it has returned; a dead member a session."""

    def ends(self, partitions):
        deadline = time.monotonic() + _MARKER_S
        while True:
            found = super().ends(partitions)
            if all(e.last_stable == e.high_watermark for e in found.values()):
                return found
            if time.monotonic() > deadline:
                return found
            time.sleep(0.005)

    def committed(self, group_id, topic, partitions):
        deadline = time.monotonic() + _MARKER_S
        while True:
            try:
                return super().committed(group_id, topic, partitions)
            except Pending:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)

    def group_is_empty(self, group_id: str) -> bool:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            if super().group_is_empty(group_id):
                return True
            time.sleep(0.05)
        return False


class _PatientPublisher(KafkaPublisher):
    """Waits for the markers of a transaction, so that offsets after it are known."""

    def publish(self, records, *, transactional_id=None):
        offsets = super().publish(records, transactional_id=transactional_id)
        if transactional_id is not None:
            reader = _PatientReader(self._connection)
            reader.ends([TopicPartition(r.topic, r.partition) for r in records])
            reader.close()
        return offsets


class KafkaHarness(Harness):
    """On a real broker that all tests share: each begins with new topics."""

    left_out: ClassVar[dict[str, str]] = {
        "test_a_busy_partition_does_not_starve_the_others": (
            "the client hands out one fetch response partition by partition, so another has its "
            "turn after at most one response; tests/kafka/test_claims.py bounds that"
        )
    }

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.connection = connection_to(bootstrap)
        self.clock = _BrokerClock()
        self.opened_parts: list = []
        self.members: list[_PatientInput] = []

    def _keep(self, part):
        self.opened_parts.append(part)
        return part

    def make_topics(self) -> None:
        if not self.opened_parts:
            remove_topics(self.bootstrap, (REQUESTS, APPROVED, CHANGELOG))
            self.opened_parts.append(self.admin())
        super().make_topics()

    def admin(self) -> KafkaAdmin:
        return KafkaAdmin(self.connection, replication_factor=1)

    def input(self) -> _PatientInput:
        for older in self.members:
            older.patience_s = _FENCING_S
        member = _PatientInput(self.connection, group_id=GROUP, slot="0", topic=REQUESTS)
        self.members.append(member)
        return self._keep(member)

    def joined(self) -> Input:
        member = self.input()
        polled = member.poll(records_max=1, timeout_ms=0)
        while not polled.assigned:
            polled = member.poll(records_max=1, timeout_ms=0)
        assert polled == (tuple(range(PARTITION_COUNT)), (), [])
        return member

    def output(self, transactional_id: str = "gate.0") -> KafkaOutput:
        return self._keep(
            KafkaOutput(self.connection, transactional_id=transactional_id, input_topic=REQUESTS)
        )

    def reader(self) -> KafkaReader:
        return self._keep(_PatientReader(self.connection))

    def publisher(self) -> KafkaPublisher:
        publisher = self._keep(_PatientPublisher(self.connection))
        while not self.members and publisher._cluster.has_members(GROUP):
            time.sleep(0.05)  # the session of an earlier test's member
        return publisher

    def damage(self, partition: TopicPartition, offset: int) -> None:
        pytest.xfail("nothing damages a stored record of a running broker from outside")

    def truncate(self, partition: TopicPartition, first: int) -> None:
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})
        where = ClientPartition(partition.topic, partition.partition, first)
        for future in client.delete_records([where]).values():
            future.result(10)

    def close(self) -> None:
        for part in reversed(self.opened_parts):
            if hasattr(part, "close"):
                part.close()
