"""Builds each implementation of the log's ports for the conformance suite.

A new implementation joins by a class with these methods; what it can not show is left out there
and skipped here, with its reason.
"""

import sqlite3
from pathlib import Path

from gate.adapters.embedded import (
    EmbeddedAdmin,
    EmbeddedInput,
    EmbeddedOutput,
    EmbeddedPublisher,
    EmbeddedReader,
    Seat,
)
from gate.adapters.embedded.file import row_id
from gate.ports import (
    Admin,
    GroupIdentity,
    Input,
    LogReader,
    LogRecord,
    OffsetCommit,
    Output,
    OutputRecord,
    Publisher,
    TopicPartition,
    TopicSpec,
)
from tests.simulation.simulated_log import SimulatedLog
from tests.simulation.world import SimulatedClock, World

GROUP = "gate"
REQUESTS = "gate.requests.v1"
APPROVED = "gate.approved.v1"
CHANGELOG = "gate.changelog.v1"
PARTITION_COUNT = 3
SETTINGS = {"message.timestamp.type": "LogAppendTime"}


class Harness:
    """One log with three topics."""

    clock: SimulatedClock

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
