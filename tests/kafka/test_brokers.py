"""Brokers go away under a gate that decides: restarted, frozen during a commit, killed.

The gate waits and goes on by itself; nobody restarts it. These tests have brokers of their own.
`transaction.md` §2 step 8 and §4; `proof.md` §1(e): a broker lost on three nodes 60 s.
"""

import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from gate.adapters.kafka import KafkaInput
from gate.errors import Unreachable
from gate.ports import TopicPartition
from tests.builders import GATE
from tests.kafka.local import LocalKafka, Node
from tests.kafka.place import Place
from tests.kafka.processes import KafkaProcessWorld
from tests.kafka.under_load import (
    Load,
    Running,
    activate,
    await_that,
    check_end,
    ended_at_last,
    start_dying,
)
from tests.planted import planted
from tests.worlds import TOPICS

pytestmark = pytest.mark.slow
FREEZE_S = 15.0
PROGRESS_WITHIN_S = 60.0


class ThreeReplicas(KafkaProcessWorld):
    """Each partition has a replica on every node, and needs two of them."""

    replicas = 3


@pytest.fixture
def place(cluster: LocalKafka) -> Iterator[Place]:
    made = Place(cluster.bootstrap)
    yield made
    made.close()


@pytest.fixture
def world(cluster: LocalKafka, tmp_path: Path) -> Iterator[KafkaProcessWorld]:
    kind = KafkaProcessWorld if len(cluster.nodes()) == 1 else ThreeReplicas
    made = kind(cluster.bootstrap, tmp_path / "gate", batch_records_max=200)
    await_that(lambda: all(map(_knows_topics, cluster.nodes())), 30, lambda: "topics are not known")
    made.init()
    activate(made)
    yield made
    made.close()


def _knows_topics(node: Node) -> bool:
    """Each node learns of new topics in its own time."""
    client = AdminClient({"bootstrap.servers": f"127.0.0.1:{node.port}", "log_level": 3})
    return set(TOPICS) <= client.list_topics(timeout=10).topics.keys()


def _coordinator(cluster: LocalKafka) -> int:
    """Return the node that holds the group's offsets: the hardest to lose."""
    client = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 3})
    return int(client.describe_consumer_groups([GATE])[GATE].result(10).coordinator.id)


def _longest_pause(gate: Running, since_s: float) -> float:
    times = [since_s, *(at for at, _ in gate.of("transaction_committed", since_s=since_s))]
    return max(later - earlier for earlier, later in pairwise(times))


def _events(gate: Running, since_s: float) -> list[str]:
    told = [event["event"] for at, event in list(gate.events) if at > since_s]
    return sorted({name for name in told if name != "transaction_committed"})


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_gate_waits_for_a_broker_that_is_restarted(
    cluster: LocalKafka, world: KafkaProcessWorld
) -> None:
    with Load(world):
        gate = Running(world.start())
        with ended_at_last(gate):
            gate.first("transaction_committed")
            time.sleep(1)
            gone_s = gate.age_s
            cluster.restart(1)
            back_s = gate.age_s
            again_s = gate.first("transaction_committed", since_s=back_s, within_s=70)
            activate(world, sequence=2)
            gate.first("control_accepted", since_s=again_s)
            print(
                f"broker back after {back_s - gone_s:.1f} s, longest pause "
                f"{_longest_pause(gate, gone_s):.1f} s, {_events(gate, gone_s)}"
            )
            assert not gate.of("partition_stopped")
            assert gate.stop() == 0, gate.last_words()

    assert check_end(world) > 0


def _let_sessions_last(cluster: LocalKafka) -> None:
    """Keep a broker that freezes from being fenced: it would come back as a new one."""
    file = cluster.log(1).parent / "server.properties"
    text = file.read_text(encoding="utf-8")
    assert "broker.session.timeout.ms=1500" in text
    file.write_text(text.replace("timeout.ms=1500", "timeout.ms=60000"), encoding="utf-8")
    cluster.restart(1)


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_commit_that_times_out_is_asked_for_again_and_never_aborted(
    cluster: LocalKafka, world: KafkaProcessWorld
) -> None:
    """The gate is held right before its commit until the broker answers no more."""
    _let_sessions_last(cluster)
    (broker,) = cluster.nodes()
    with Load(world):
        gate = start_dying(world, "before commit", by=signal.SIGSTOP)
        with ended_at_last(gate):
            gate.first("transaction_committed")
            gate.arm()
            gate.await_stopped()
            os.kill(broker.pid, signal.SIGSTOP)
            frozen_s = gate.go_on()
            time.sleep(FREEZE_S)
            os.kill(broker.pid, signal.SIGCONT)
            gate.first("transaction_committed", since_s=frozen_s)
            gate.first("producer_renewed", since_s=frozen_s)
            activate(world, sequence=2)
            gate.first("transaction_committed", since_s=gate.age_s)
            slow = gate.of("transaction_committed", since_s=frozen_s)[0][1]
            renewed = gate.of("producer_renewed", since_s=frozen_s)[0][1]
            print(f"commit took {slow['elapsed_ms']} ms, renewed for {renewed['cause']}")
            assert not gate.of("transaction_aborted", since_s=frozen_s)
            assert gate.stop() == 0, gate.last_words()

    assert check_end(world) > 0


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_a_broker_killed_on_three_nodes_loses_and_doubles_nothing(
    cluster: LocalKafka, world: KafkaProcessWorld
) -> None:
    with Load(world, per_second=150):
        gate = Running(world.start())
        with ended_at_last(gate):
            gate.first("transaction_committed")
            time.sleep(1)
            gone_s = gate.age_s
            killed = _coordinator(cluster)
            cluster.kill(killed)
            progress_s = gate.first(
                "transaction_committed", since_s=gate.age_s, within_s=PROGRESS_WITHIN_S
            )
            world.renew_publisher()
            activate(world, sequence=2)
            cluster.restart(killed)
            back_s = gate.age_s
            gate.first("transaction_committed", since_s=back_s, within_s=PROGRESS_WITHIN_S)
            print(
                f"first commit {progress_s - gone_s:.1f} s after the kill, longest pause "
                f"{_longest_pause(gate, gone_s):.1f} s, {_events(gate, gone_s)}"
            )
            assert not gate.of("partition_stopped")
            assert gate.stop() == 0, gate.last_words()

    assert check_end(world) > 0


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_a_reader_learns_of_leaders_elected_anew(
    cluster: LocalKafka, world: KafkaProcessWorld
) -> None:
    where = TopicPartition(TOPICS.requests, 0)
    before = world.reader().ends([where])[where]
    cluster.restart(1)

    assert world.reader().ends([where])[where].high_watermark == before.high_watermark


def _is_told(member: KafkaInput, within_s: float) -> bool:
    """Poll for a while; say whether the input told that it can not reach its broker."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            member.poll(records_max=1, timeout_ms=50)
        except Unreachable:
            return True
    return False


@pytest.mark.parametrize("cluster", [1], indirect=True)
def test_an_input_that_hears_nothing_asks_whether_anybody_is_there(
    cluster: LocalKafka, place: Place
) -> None:
    """The client itself says nothing of a broker that freezes; without the guard nor does it."""
    _let_sessions_last(cluster)
    member = place.member()
    (broker,) = cluster.nodes()
    os.kill(broker.pid, signal.SIGSTOP)
    with planted("gate.adapters.kafka.input", " or time.monotonic() - self._heard_at", " or -1"):
        assert not _is_told(member, 10)
    assert _is_told(member, 10)
