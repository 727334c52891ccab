"""A broker that is killed may forget the marker of a transaction that it has acknowledged.

Claim 11, `real-kafka.md` §2.1: a coordinator that has to write a marker to a partition without a
leader takes its topic for deleted and drops the marker for ever. The records stay hidden, the last
stable offset stays behind, and the next transaction of the same id there would decide their fate.
So nothing is written to such a partition; the others go on.

Shown for certain on three nodes with one replica, where the leader of one partition is killed
between the last record and the commit; and, as it was found, on one node that is killed right
after an acknowledgement, as often as it takes within a bound: there it is a matter of luck.
"""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from gate.adapters.kafka import KafkaOutput
from gate.core.topics import transactional_id
from gate.errors import PartitionStopped, Pending, Unreachable
from gate.ports import Ends, EventKind
from gate.runtime.first_start import topic_specs
from tests.builders import GATE
from tests.kafka.hostile import HostileWorld, Running, check_lines_before_a_tear
from tests.kafka.local import LocalKafka, Missing
from tests.kafka.place import wait_for
from tests.kafka.requests import activate
from tests.lines import check_lines
from tests.worlds import TOPICS, RecordedTelemetry

KILLS_MAX = 5

pytestmark = pytest.mark.torture


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalKafka]:
    made = LocalKafka(tmp_path / "cluster")
    try:
        made.start(request.param)
    except Missing as missing:
        pytest.skip(str(missing))
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gate.runtime.loop.PIN_DEADLINE_MS", 3_000)
    monkeypatch.setattr("gate.runtime.loop.CHECK_INTERVAL_MS", 1_000)


def behind(world: HostileWorld) -> set[int]:
    """Partitions with an output whose last stable offset stays below its end."""
    return {
        number
        for number in range(world.partitions)
        if any(end.last_stable != end.high_watermark for end in world.outputs_of(number))
    }


def answers(world: HostileWorld) -> bool:
    try:
        behind(world)
    except Unreachable:
        return False
    return True


def high_watermarks(ends: list[Ends]) -> list[int]:
    return [end.high_watermark for end in ends]


# --- three nodes, one replica: for certain


class KillingOutput(KafkaOutput):
    """Kills the leader of partition 0 once everything is sent, right before the commit."""

    world: "ThreeNodes"

    def commit(self) -> None:
        if self.world.is_armed:
            self.world.is_armed = False
            assert self._producer is not None
            assert self._producer.flush(20) == 0
            self.world.cluster.kill(1)
            wait_for(self.world.is_leaderless, seconds=20)
        super().commit()


class ThreeNodes(HostileWorld):
    """Partition n of every topic has one replica, on node n + 1."""

    is_armed = False

    def __init__(self, cluster: LocalKafka) -> None:
        self.cluster = cluster
        super().__init__(cluster.bootstrap, partitions=3)

    def make_output(self, slot: str) -> KillingOutput:
        made = KillingOutput(
            self.connection,
            transactional_id=transactional_id(GATE, slot),
            input_topic=TOPICS.requests,
        )
        made.world = self
        return made

    def is_leaderless(self) -> bool:
        topics = self.admin.list_topics(timeout=10).topics
        return all(topics[name].partitions[0].leader == -1 for name in TOPICS)


def place_topics(cluster: LocalKafka) -> None:
    client = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 3})
    asked = client.create_topics(
        [
            NewTopic(
                spec.name,
                num_partitions=3,
                replica_assignment=[[1], [2], [3]],
                config={**spec.settings, "min.insync.replicas": "1"},
            )
            for spec in topic_specs(TOPICS, 3)
        ]
    )
    for future in asked.values():
        future.result(10)


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_a_partition_whose_marker_was_dropped_is_pinned_and_the_others_go_on(
    cluster: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.kafka.world.remove_topics", lambda *_: place_topics(cluster))
    world = ThreeNodes(cluster)
    world.init()
    activate(world)
    for number in range(3):
        world.submit_to(number, f"before-{number}")
    world.run()
    check_lines(world)
    world.is_armed = True
    with world.running() as gate:
        world.submit_to(0, "torn")
        wait_for(lambda: not world.is_armed, seconds=20)
        committed = len(world.telemetry.of(EventKind.TRANSACTION_COMMITTED))
        wait_for(
            lambda: len(world.telemetry.of(EventKind.TRANSACTION_COMMITTED)) > committed,
            seconds=60,
        )
        with pytest.raises(Unreachable, match="LEADER_NOT_AVAILABLE|_NOENT|NOT_LEADER"):
            world.ends(TOPICS.approved, 0)
        cluster.restart(1)
        wait_for(lambda: answers(world), seconds=60)
        wait_for(lambda: (0, "pinned") in world.stops() or gate.has_ended, seconds=60)
        before = world.outputs_of(0)
        for number in range(3):
            world.submit_to(number, f"after-{number}")
        world.wait_until_decided("after-1", "after-2", seconds=60)
        time.sleep(3)
        after = world.outputs_of(0)
        decided = world.decided()

    assert gate.error is None
    assert behind(world) == {0}
    assert {number for number, cause in world.stops() if cause == "pinned"} == {0}
    assert after == before
    assert not {"torn", "after-0"} & set(decided)
    assert check_lines_before_a_tear(world, world.inputs()) == {0: 2, 1: 3, 2: 3}
    world.close()


# --- one node: as it was found


@dataclass
class KillingTelemetry(RecordedTelemetry):
    """Kills a process as soon as a transaction is told to have committed."""

    victim: int = 0

    def emit(self, kind: EventKind, **fields: object) -> None:
        if kind is EventKind.TRANSACTION_COMMITTED and self.victim:
            os.kill(self.victim, signal.SIGKILL)
            self.victim = 0
        super().emit(kind, **fields)


def is_torn(world: HostileWorld) -> bool:
    """Say whether something stays undecided for longer than markers take."""
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        try:
            numbers = list(range(world.partitions))
            world.reader().committed(GATE, TOPICS.requests, numbers)
            if not behind(world):
                return False
        except (Pending, Unreachable):
            pass
        time.sleep(0.2)
    return True


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_one_node_killed_right_after_an_acknowledgement_costs_nothing_or_pins(
    cluster: LocalKafka,
) -> None:
    world = HostileWorld(cluster.bootstrap, partitions=3)
    telemetry = world.telemetry = KillingTelemetry()
    world.init()
    activate(world)
    world.run()
    names: list[str] = []
    torn = False
    for kill in range(KILLS_MAX):
        with world.running() as gate:
            ready = len(telemetry.of(EventKind.PARTITION_READY))
            wait_for(
                lambda: len(telemetry.of(EventKind.PARTITION_READY)) >= ready + 3,  # noqa: B023
                seconds=20,
            )
            telemetry.victim = cluster.nodes()[0].pid
            world.submit_to(0, f"kill-{kill}")
            wait_for(lambda: telemetry.victim == 0, seconds=20)
            cluster.restart(1)
            wait_for(lambda: answers(world), seconds=60)
            torn = is_torn(world)
            if torn:
                _nothing_is_written_there_and_the_others_go_on(world, gate)
                break
            names.append(f"kill-{kill}")
            world.wait_until_decided(*names, seconds=60)
        assert gate.error is None
    if torn:
        decided = check_lines_before_a_tear(world, world.inputs())
        assert decided[0] >= 1 + len(names)
    else:
        check_lines(world)
    world.close()


def _nothing_is_written_there_and_the_others_go_on(world: HostileWorld, gate: Running) -> None:
    held = behind(world)
    before = {number: high_watermarks(world.outputs_of(number)) for number in held}
    for number in range(world.partitions):
        world.submit_to(number, f"after-{number}")
    free = [f"after-{number}" for number in range(world.partitions) if number not in held]
    try:
        world.reader().committed(GATE, TOPICS.requests, list(range(world.partitions)))
    except Pending:  # the marker of the offsets is lost too: the whole slot is pinned
        wait_for(lambda: gate.has_ended, seconds=90)
        assert isinstance(gate.error, PartitionStopped)
        assert gate.error.cause == "pinned"
    else:
        wait_for(lambda: held <= {n for n, cause in world.stops() if cause == "pinned"}, seconds=60)
        world.wait_until_decided(*free, seconds=60)
    assert {n: high_watermarks(world.outputs_of(n)) for n in held} == before
