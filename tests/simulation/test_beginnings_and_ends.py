"""A first start that was cut, and what does not end a gate."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gate.core.topics import init_transactional_id
from gate.errors import ConfigInvalid, PartitionStopped, StoreDamaged
from gate.ports import EventKind, Output, OutputRecord, Publisher, TopicPartition
from gate.runtime.partition import Phase
from gate.runtime.settings import LAG_INTERVAL_MS, MARKER_WAIT_MS
from gate.runtime.settled import is_held
from gate.views import Committed, GateView, PartitionView
from tests.builders import GATE
from tests.planted import planted
from tests.simulation.gate_world import SimulatedGate
from tests.simulation.simulated_store import SimulatedPartition
from tests.worlds import TOPICS


class CutAtFirst(SimulatedGate):
    """Its first start was tried before, and died in its transaction."""

    is_aborted = True

    def init(self) -> None:
        output = self.log.output(
            transactional_id=init_transactional_id(GATE), input_topic=TOPICS.requests
        )
        output.open()
        output.begin()
        output.produce(OutputRecord(TOPICS.lineage, 0, b"key", b"value"))
        if self.is_aborted:
            output.abort()
        super().init()


class OpenAtFirst(CutAtFirst):
    """Here the brokers have not ended the transaction of the dead process yet."""

    is_aborted = False


@pytest.mark.parametrize("world", [CutAtFirst, OpenAtFirst])
def test_a_first_start_that_died_in_its_transaction_is_repeated(
    world: type[SimulatedGate],
) -> None:
    gate = world(1)
    gate.activate()
    gate.submit_some(8)
    gate.live()
    gate.audit()


class Rival(SimulatedGate):
    """Somebody else begins the lineage between this one's first check and its transaction."""

    has_begun = False

    def publisher(self) -> Publisher:
        publisher = super().publisher()
        if self.has_begun:
            return publisher
        self.has_begun = True
        begin = publisher.publish_with_offsets

        def after_the_rival(*arguments: object, **named: object) -> None:
            self.init()
            begin(*arguments, **named)

        publisher.publish_with_offsets = after_the_rival
        return publisher


def test_of_two_first_starts_the_later_is_refused() -> None:
    with pytest.raises(ConfigInvalid, match="no committed offset"):
        Rival(5)


def test_without_the_second_check_there_are_two_beginnings() -> None:
    guard = "_wait_for_nothing(topics, gate, requests.partition_count, reader, clock)"
    with planted("gate.runtime.first_start", guard, "None"):
        gate = Rival(5)
    with pytest.raises(PartitionStopped):
        gate.live()


def ready_events(marker_wait_ms: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Count how often two partitions became ready while markers came up to 40 ms late."""
    monkeypatch.setattr("gate.runtime.settled.MARKER_WAIT_MS", marker_wait_ms)
    gate = SimulatedGate(6, partitions=2, marker_delay_ms_max=40)
    gate.activate()
    gate.submit_some(60)
    gate.run(batch_records_max=5)
    gate.audit()
    return len(gate.telemetry.of(EventKind.PARTITION_READY))


def test_late_markers_are_waited_for_and_doubt_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready_events(MARKER_WAIT_MS, monkeypatch) == 2


def test_without_the_wait_late_markers_send_all_through_assignment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ready_events(0, monkeypatch) > 2


def is_visible_at_the_end() -> bool:
    """Run a gate to its end while markers come up to 40 ms late; look at its outputs at once."""
    gate = SimulatedGate(6, partitions=2, marker_delay_ms_max=40)
    gate.activate()
    gate.submit_some(20)
    gate.run()
    outputs = [TopicPartition(topic, number) for topic in TOPICS.outputs for number in range(2)]
    return not any(map(is_held, gate.reader().ends(outputs).values()))


def test_what_was_decided_is_visible_once_a_gate_has_caught_up() -> None:
    assert is_visible_at_the_end()


def test_without_the_last_look_a_gate_ends_before_its_decisions_are_visible() -> None:
    guard = " and _is_visible(owned, settings, ports)"
    with planted("gate.runtime.ending", guard, ""):
        assert not is_visible_at_the_end()


def gate_beside_somebody() -> tuple[SimulatedGate, Output]:
    """Return a gate that decides, and a producer of somebody else's."""
    gate = SimulatedGate(7, partitions=1)
    gate.activate()
    gate.live()
    other = gate.log.output(transactional_id="somebody", input_topic=TOPICS.requests)
    other.open()
    return gate, other


def test_an_input_held_for_15_s_is_shown_with_the_lag_behind_it() -> None:
    gate, held = gate_beside_somebody()
    held.begin()
    held.produce(OutputRecord(TOPICS.requests, 0, b"key", b"value"))
    running, seen = gate.gate(), Views()
    object.__setattr__(running.ports, "monitor", seen)
    began_ms = gate.clock.monotonic_ms()

    def act(turn: int) -> None:
        gate.world.clock.advance(1_000)
        if turn == 10:
            gate.submit_some(4)
        if turn == 45:
            held.abort()
        seen.at_ms = gate.clock.monotonic_ms() - began_ms

    running.run(should_stop=turns(70, act))
    pinned = [at_ms for at_ms, view in seen.ready if view.is_input_pinned]
    assert 15_000 <= pinned[0] <= 15_000 + 3 * LAG_INTERVAL_MS
    assert max(view.input_lag for _, view in seen.ready) >= 5
    last = seen.ready[-1][1]  # an aborted record and its marker are offsets, too, and no records
    assert (last.is_input_pinned, last.input_lag) == (False, 0)
    (told,) = gate.telemetry.of(EventKind.INPUT_PINNED)
    assert told["partition"] == 0


def test_without_a_look_between_aborted_records_lag_for_ever() -> None:
    guard = "self._look_between(partitions)"
    with planted("gate.runtime.input_ends", guard, "pass"), pytest.raises(AssertionError):
        test_an_input_held_for_15_s_is_shown_with_the_lag_behind_it()


def test_an_input_held_twice_is_told_twice_also_without_a_monitor() -> None:
    gate, held = gate_beside_somebody()

    def act(turn: int) -> None:
        gate.world.clock.advance(1_000)
        if turn in {1, 50}:
            held.begin()
            held.produce(OutputRecord(TOPICS.requests, 0, b"key", b"value"))
        if turn in {40, 90}:
            held.abort()

    gate.gate().run(should_stop=turns(100, act))
    first, second = gate.telemetry.of(EventKind.INPUT_PINNED)
    assert first["last_stable"] < second["last_stable"]


class Views:
    """A monitor that keeps the views of the one partition while it is ready."""

    def __init__(self) -> None:
        self.at_ms = 0
        self.ready: list[tuple[int, PartitionView]] = []

    def turned(self, view: GateView) -> None:
        self.ready += [(self.at_ms, item) for item in view.partitions if item.phase == "ready"]

    def stepped(self) -> None:
        pass

    def committed(self, transaction: Committed) -> None:
        pass


def turns(count: int, act: Callable[[int], None] = lambda _: None) -> Callable[[], bool]:
    """Return a `should_stop` that acts before each turn and stops after so many."""
    turn = 0

    def should_stop() -> bool:
        nonlocal turn
        turn += 1
        act(turn)
        return turn > count

    return should_stop


def test_a_membership_lost_before_a_batch_costs_the_batch_not_the_gate() -> None:
    """A gate that was frozen hears of it at its next poll; perhaps nobody has its place."""
    gate = SimulatedGate(2, partitions=1)
    gate.activate()
    gate.submit_some(6)
    running = gate.gate()
    identity, asked = running.ports.input.group_identity, 0

    def lost_once():
        nonlocal asked
        asked += 1
        return replace(identity(), generation=-1, member_id="") if asked == 2 else identity()

    running.ports.input.group_identity = lost_once
    running.run(should_stop=turns(60), until_caught_up=True)
    assert asked > 2
    assert len(gate.telemetry.of(EventKind.TRANSACTION_ABORTED)) == 1
    gate.audit()


def run_with_damage(monkeypatch: pytest.MonkeyPatch) -> SimulatedGate:
    """Damage a store between batches. RocksDB then refuses `apply` and `close` alike."""
    close = SimulatedPartition.close

    def close_damaged(store: SimulatedPartition) -> None:
        if store.is_damaged:
            raise StoreDamaged("the store is damaged")
        close(store)

    monkeypatch.setattr(SimulatedPartition, "close", close_damaged)
    gate = SimulatedGate(3, partitions=1)
    gate.activate()
    gate.submit_some(10)
    gate.run()
    running = gate.gate()

    def harm(turn: int) -> None:
        if turn == 30:
            gate.submit_some(5)
            running.partitions[0].store.is_damaged = True

    running.run(should_stop=turns(400, harm))
    return gate


def test_a_store_whose_end_shows_its_damage_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = run_with_damage(monkeypatch)
    assert gate.telemetry.of(EventKind.STORE_MOVED_ASIDE)
    gate.live()
    gate.audit()


def test_without_the_guard_such_a_store_ends_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        planted("gate.runtime.partition", "suppress(StoreDamaged)", "suppress()"),
        pytest.raises(StoreDamaged),
    ):
        run_with_damage(monkeypatch)


def partly_owned() -> tuple[SimulatedGate, object]:
    """A gate that shares two partitions with another; its own can not be read on."""
    gate = SimulatedGate(4, partitions=2)
    gate.activate()
    gate.live()
    running = gate.gate()
    other = gate.log.input(slot="gate-1", group_id=GATE, topic=TOPICS.requests)

    def act(turn: int) -> None:
        other.poll(records_max=1, timeout_ms=0)
        if turn == 30:
            gate.submit_some(30)
            for number in range(2):
                where = TopicPartition(TOPICS.requests, number)
                gate.log.damage(where, gate.log.partition(where).end - 1)

    running.run(should_stop=turns(300, act))
    return gate, running


def test_a_gate_that_shares_the_topic_stays_with_a_stopped_partition() -> None:
    """With workers its end would be the end of the others, too."""
    _, running = partly_owned()
    (partition,) = running.partitions.values()
    assert (partition.phase, partition.stop_cause) == (Phase.STOPPED, "unreadable")


def test_without_the_guard_a_stopped_partition_ends_a_gate_that_shares_the_topic() -> None:
    with (
        planted("gate.runtime.ending", "len(owned) == partition_count", "owned"),
        pytest.raises(PartitionStopped),
    ):
        partly_owned()
