"""Gates that come back from the dead: stopped past their session, replaced, and let go on.

The place in the group is lost after 20 s of silence, which no configuration can shorten; so these
tests are slow. What a zombie signs may be as good as what its successor signed: it must not be
committed. `proof.md` §2 row 5, `transaction.md` §4.
"""

import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kafka.local import LocalKafka
from tests.kafka.processes import KafkaProcessWorld
from tests.kafka.under_load import (
    SESSION_S,
    TRANSACTION_S,
    Load,
    Running,
    activate,
    await_that,
    check_end,
    ended_at_last,
    start_dying,
)

pytestmark = pytest.mark.slow
MARGIN_S = 25.0
"""For a starved machine; the figures are printed."""


@pytest.fixture
def world(kafka: LocalKafka, tmp_path: Path) -> Iterator[KafkaProcessWorld]:
    made = KafkaProcessWorld(
        kafka.bootstrap, tmp_path / "gate", partitions=4, batch_records_max=200
    )
    made.init()
    activate(made)
    yield made
    made.close()


def _await_shares(*gates: Running) -> None:
    """Wait until every gate has partitions of its own, and decides."""
    for gate in gates:
        await_that(
            lambda gate=gate: len(_held(gate)) * len(gates) == 4,
            60,
            lambda gate=gate: f"holds {_held(gate)}: {gate.last_words()}",
        )
        gate.first("transaction_committed", since_s=gate.age_s)


def _held(gate: Running) -> set[int]:
    """Return the partitions that a gate has ready, by its own events."""
    held: set[int] = set()
    for _, event in list(gate.events):
        if event["event"] == "partition_ready":
            held.add(event["partition"])
        elif event["event"] in {"partition_revoked", "partition_stopped"}:
            held.discard(event["partition"])
    return held


def _await_takeover(gate: Running, within_s: float) -> None:
    """Wait until a gate holds every partition and has decided since."""
    since_s = gate.age_s
    await_that(
        lambda: len(_held(gate)) == 4,
        within_s,
        lambda: f"holds {_held(gate)}: {gate.last_words()}",
    )
    taken_s = gate.age_s
    gate.first("transaction_committed", since_s=taken_s)
    gaps = _gaps(gate, since_s)
    print(f"all partitions ready after {taken_s - since_s:.1f} s, longest pause {max(gaps):.1f} s")


def _gaps(gate: Running, since_s: float) -> list[float]:
    """Return the pauses between the commits of a gate."""
    times = [since_s, *(at for at, _ in gate.of("transaction_committed", since_s=since_s))]
    return [later - earlier for earlier, later in pairwise(times)]


def _commits_as_a_zombie(gate: Running, since_s: float) -> int:
    """Count the commits of a gate from `since_s` until it has partitions anew."""
    anew = [at for at, _ in gate.of("partition_assigned", since_s=since_s)]
    commits = [at for at, _ in gate.of("transaction_committed", since_s=since_s)]
    return sum(1 for at in commits if not anew or at < min(anew))


def test_the_partitions_of_a_dead_gate_are_taken_over(world: KafkaProcessWorld) -> None:
    """It dies with offsets pending: only the end of its transaction lets another go on."""
    with Load(world):
        dead = start_dying(world, "after send_offsets", "--slot", "gate-a")
        other = Running(world.start(slot="gate-b"))
        with ended_at_last(dead, other):
            _await_shares(dead, other)
            dead.arm()
            assert dead.ended() == -signal.SIGKILL
            _await_takeover(other, TRANSACTION_S + MARGIN_S)
            activate(world, sequence=2)
            other.kill()

    assert check_end(world) > 0


def test_a_gate_stopped_while_it_polls_commits_nothing_that_it_lost(
    world: KafkaProcessWorld,
) -> None:
    with Load(world):
        zombie = start_dying(world, "before a poll", "--slot", "gate-a", by=signal.SIGSTOP)
        other = Running(world.start(slot="gate-b"))
        with ended_at_last(zombie, other):
            _await_shares(zombie, other)
            zombie.arm()
            zombie.await_stopped()
            _await_takeover(other, SESSION_S + MARGIN_S)
            activate(world, sequence=2)
            woken_s = zombie.go_on()
            _await_shares(zombie, other)
            assert _commits_as_a_zombie(zombie, woken_s) == 0
            assert zombie.stop() == 0, zombie.last_words()
            assert other.stop() == 0, other.last_words()

    assert check_end(world) > 0


def test_a_gate_stopped_inside_a_transaction_has_its_offsets_refused(
    world: KafkaProcessWorld,
) -> None:
    with Load(world):
        zombie = start_dying(world, "after begin", "--slot", "gate-a", by=signal.SIGSTOP)
        other = Running(world.start(slot="gate-b"))
        with ended_at_last(zombie, other):
            _await_shares(zombie, other)
            zombie.arm()
            zombie.await_stopped()
            _await_takeover(other, SESSION_S + MARGIN_S)
            activate(world, sequence=2)
            woken_s = zombie.go_on()
            refused_s = zombie.first("transaction_aborted", since_s=woken_s)
            _await_shares(zombie, other)
            assert _commits_as_a_zombie(zombie, woken_s) == 0
            print(f"refused {refused_s - woken_s:.2f} s after it went on:", _why(zombie, woken_s))
            zombie.kill()
            other.kill()

    assert check_end(world) > 0


def _why(gate: Running, since_s: float) -> str:
    return str(gate.of("transaction_aborted", since_s=since_s)[0][1]["why"])


@pytest.mark.parametrize("point", ["before a poll", "mid-produce", "after send_offsets"])
def test_a_gate_whose_slot_was_started_elsewhere_ends_with_exit_5(
    world: KafkaProcessWorld, point: str
) -> None:
    with Load(world):
        zombie = start_dying(world, point, "--slot", "gate-a", by=signal.SIGSTOP)
        with ended_at_last(zombie):
            zombie.first("transaction_committed")
            zombie.arm()
            zombie.await_stopped()
            other = Running(world.start(slot="gate-a", state=world.folder / "elsewhere"))
            with ended_at_last(other):
                other.first("transaction_committed")
                activate(world, sequence=2)
                time.sleep(1)
                woken_s = zombie.go_on()
                assert zombie.ended() == 5, zombie.last_words()
                assert "slot_in_use" in zombie.last_words()
                assert not zombie.of("transaction_committed", since_s=woken_s)
                print(f"{point}: ended {zombie.age_s - woken_s:.1f} s after it went on")
                other.first("transaction_committed", since_s=other.age_s)
                assert other.stop() == 0, other.last_words()

    assert check_end(world) > 0
