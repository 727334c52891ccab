"""A broker that is killed may forget the marker of a transaction that it has acknowledged.

Claim 11, `real-kafka.md` §2.1: a coordinator that has to write a marker to a partition without a
leader takes its topic for deleted and drops the marker for ever. The records stay hidden, the last
stable offset stays behind, and the next transaction of the same id there would decide their fate.
So nothing is written to such a partition; the others go on.

On three nodes with one replica the leader of one partition is killed between the last record and
the commit: for certain. On one node the broker is killed right after the acknowledgement. So that
no marker is written by then, topics refuse them from the last record on, and until a restart has
dropped one: which restart does is a matter of luck. Where the marker of the offsets is lost too,
nothing of the slot goes on.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from gate.adapters.kafka import KafkaAdmin, KafkaInput, KafkaOutput
from gate.config.topic_table import topic_specs
from gate.core.topics import transactional_id
from gate.errors import Pending, Unreachable
from gate.ports import EventKind
from tests.builders import GATE
from tests.kafka.hostile import HostileWorld, Running, check_lines_before_a_tear
from tests.kafka.local import LocalKafka
from tests.kafka.place import wait_for
from tests.kafka.requests import activate
from tests.lines import check_lines
from tests.worlds import TOPICS

PARTITIONS = 3
OFFSETS = "__consumer_offsets"
SIZE_LIMIT = "1048588"
TRANSACTION_PARTITIONS = 4
RESTARTS_MAX = 4
AWAY_MS = 180_000
BACK_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often and wait briefly for markers, but for as long as it takes for brokers."""
    monkeypatch.setattr("gate.runtime.loop.PIN_DEADLINE_MS", 3_000)
    monkeypatch.setattr("gate.runtime.loop.CHECK_INTERVAL_MS", 1_000)
    monkeypatch.setattr("gate.runtime.watch.CHECK_INTERVAL_MS", 1_000)
    monkeypatch.setattr("gate.runtime.absence.PIN_DEADLINE_MS", AWAY_MS)


class KillingOutput(KafkaOutput):
    """Lets its world do harm around one commit, once everything before it is sent."""

    world: "KillingWorld"

    def commit(self) -> None:
        is_armed, self.world.is_armed = self.world.is_armed, False
        if is_armed:
            assert self._producer is not None
            assert self._producer.flush(20) == 0
            self.world.harm_before_commit()
        super().commit()
        if is_armed:
            self.world.harm_after_commit()


class KillingWorld(HostileWorld):
    """Its gate's session outlasts all harm.

    Once a session is over, the client sends heartbeats without a member's name until it is polled,
    and a broker that is back fences it for them (librdkafka issue 3437).
    """

    is_armed = False

    def __init__(self, cluster: LocalKafka) -> None:
        self.cluster = cluster
        super().__init__(cluster.bootstrap, partitions=PARTITIONS)

    def harm_before_commit(self) -> None:
        """Do nothing, if not told otherwise."""

    def harm_after_commit(self) -> None:
        """Do nothing, if not told otherwise."""

    def make_input(self) -> KafkaInput:
        lasting = replace(self.connection, session_timeout_ms=AWAY_MS)
        return KafkaInput(lasting, group_id=GATE, slot="gate-0", topic=TOPICS.requests)

    def make_output(self, slot: str) -> KillingOutput:
        made = KillingOutput(
            self.connection,
            transactional_id=transactional_id(GATE, slot),
            input_topic=TOPICS.requests,
        )
        made.world = self
        return made

    def begin(self) -> None:
        """Have something decided everywhere."""
        self.init()
        activate(self)
        for number in range(PARTITIONS):
            self.submit_to(number, f"before-{number}")
        self.run()
        check_lines(self)

    def have_one_acknowledged(self) -> None:
        """Have partition 0 decide once more; return when that was acknowledged and harm is done."""
        committed = len(self.telemetry.of(EventKind.TRANSACTION_COMMITTED))
        self.is_armed = True
        self.submit_to(0, "torn")
        wait_for(
            lambda: len(self.telemetry.of(EventKind.TRANSACTION_COMMITTED)) > committed,
            seconds=BACK_S,
        )

    def is_back(self) -> bool:
        """Ask by a new client: one that saw its only broker start may know of none for minutes."""
        known = self._readers.pop(threading.get_ident(), None)
        if known is not None:
            known.close()
        try:
            self.behind()
        except Unreachable:
            return False
        return True

    def behind(self) -> set[int]:
        """Partitions with an output whose last stable offset stays below its end."""
        return {
            number
            for number in range(self.partitions)
            if any(end.last_stable != end.high_watermark for end in self.outputs_of(number))
        }

    def pinned(self) -> set[int]:
        return {number for number, cause in self.stops() if cause == "pinned"}


def check_that_nothing_is_written(world: KillingWorld, gate: Running, held: set[int]) -> None:
    """Let the gate meet the lost marker; then give every partition more to decide.

    What is not held may have been pinned for a moment while the brokers came back: it goes on.
    """
    wait_for(lambda: held <= world.pinned() or gate.has_ended, seconds=BACK_S)
    before = {number: world.outputs_of(number) for number in held}
    for number in range(PARTITIONS):
        world.submit_to(number, f"after-{number}")
    free = [f"after-{number}" for number in range(PARTITIONS) if number not in held]
    world.wait_until_decided(*free, seconds=BACK_S)
    time.sleep(3)

    assert not gate.has_ended, gate.error
    assert held <= world.pinned()
    assert {cause for _, cause in world.stops()} == {"pinned"}
    assert {number: world.outputs_of(number) for number in held} == before
    assert world.behind() == {0}
    assert world.decided() == sorted([*(f"before-{number}" for number in range(PARTITIONS)), *free])
    decided = {number: 2 if number in held else 3 for number in range(PARTITIONS)}
    assert check_lines_before_a_tear(world, world.inputs()) == decided


def check_that_everything_is_decided(world: KillingWorld) -> None:
    for number in range(PARTITIONS):
        world.submit_to(number, f"after-{number}")
    world.wait_until_decided("torn", *(f"after-{n}" for n in range(PARTITIONS)), seconds=BACK_S)
    check_lines(world)


# --- three nodes, one replica


class ThreeNodes(KillingWorld):
    """Partition n of every topic has one replica, on node n + 1."""

    def harm_before_commit(self) -> None:
        self.cluster.kill(1)
        wait_for(self._is_leaderless, seconds=20)

    def _is_leaderless(self) -> bool:
        topics = self.admin.list_topics(timeout=10).topics
        return all(topics[name].partitions[0].leader == -1 for name in TOPICS)


def place_topics(cluster: LocalKafka) -> None:
    client = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 3})
    asked = client.create_topics(
        [
            NewTopic(
                spec.name,
                num_partitions=PARTITIONS,
                replica_assignment=[[1], [2], [3]],
                config={**spec.settings, "min.insync.replicas": "1"},
            )
            for spec in topic_specs(TOPICS, PARTITIONS)
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
    world.begin()
    with world.running() as gate:
        world.have_one_acknowledged()
        with pytest.raises(Unreachable, match="LEADER_NOT_AVAILABLE|_NOENT|NOT_LEADER"):
            world.ends(TOPICS.approved, 0)
        cluster.restart(1)
        wait_for(world.is_back, seconds=BACK_S)
        check_that_nothing_is_written(world, gate, held={0})
    assert gate.error is None
    world.close()


# --- one node


class OneNode(KillingWorld):
    """Topics of `refusing` refuse the markers, as larger than they take, until one is lost."""

    def __init__(self, cluster: LocalKafka, *, refusing: Sequence[str]) -> None:
        super().__init__(cluster)
        self._admin = KafkaAdmin(self.connection, replication_factor=1)
        self._refusing = refusing
        self._read = 0

    def harm_before_commit(self) -> None:
        self._take_batches_up_to("1")

    def harm_after_commit(self) -> None:
        if OFFSETS not in self._refusing:
            wait_for(self._has_stable_offsets, seconds=20)
        self.cluster.kill(1)

    def lose_the_marker(self) -> bool:
        """Restart the node until it has dropped the marker; the last time, let it be written."""
        for left in reversed(range(RESTARTS_MAX)):
            self.cluster.restart(1)
            wait_for(self.is_back, seconds=BACK_S)
            if self._is_dropped():
                self._take_batches_up_to(SIZE_LIMIT)
                return True
            if left == 1:
                self._take_batches_up_to(SIZE_LIMIT)
            if left:
                self.cluster.kill(1)
        return False

    def _has_stable_offsets(self) -> bool:
        try:
            self.reader().committed(GATE, TOPICS.requests, range(PARTITIONS))
        except Pending:
            return False
        return True

    def _has_loaded(self) -> bool:
        _, _, since = self._log()[self._read :].rpartition("handleBrokerUnfenced")
        return since.count("Completed loading transaction metadata") >= TRANSACTION_PARTITIONS

    def _log(self) -> str:
        return self.cluster.log(1).read_text(encoding="utf-8", errors="replace")

    def _take_batches_up_to(self, limit: str) -> None:
        for name in self._refusing:
            self._admin.alter_topic(name, {"max.message.bytes": limit})

    def _is_dropped(self) -> bool:
        """Say whether the coordinator drops the markers and sends none when it has loaded again.

        Whether it has noted that they are done when it loses its own partition is a matter of luck.
        """
        wait_for(self._has_loaded, seconds=BACK_S)
        time.sleep(0.5)
        log = self._log()
        self._read, news = len(log), log[self._read :]
        mine = [line for line in news.splitlines() if transactional_id(GATE, "gate-0") in line]
        dropped = [number for number, line in enumerate(mine) if "find leader endpoint" in line]
        sent = [number for number, line in enumerate(mine) if "Sending txn markers" in line]
        return bool(dropped) and dropped[-1] > max(sent, default=-1)


@pytest.mark.parametrize(
    ("refusing", "held"),
    [
        pytest.param(TOPICS.outputs, {0}, id="outputs"),
        pytest.param((*TOPICS.outputs, OFFSETS), {0, 1, 2}, id="outputs-and-offsets"),
    ],
)
@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_one_node_killed_right_after_an_acknowledgement_costs_nothing_or_pins(
    cluster: LocalKafka, refusing: Sequence[str], held: set[int]
) -> None:
    world = OneNode(cluster, refusing=refusing)
    world.begin()
    with world.running() as gate:
        world.have_one_acknowledged()
        if world.lose_the_marker():
            check_that_nothing_is_written(world, gate, held)
        else:
            check_that_everything_is_decided(world)
    assert gate.error is None
    world.close()
