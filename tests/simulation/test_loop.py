"""What one partition's trouble may not do to the others, and what the loop looks after."""

import json

import pytest

from gate.core import dsse, jcs
from gate.errors import PartitionStopped, Unreachable
from gate.ports import EventKind, OutputRecord, TopicPartition
from gate.runtime.restore import _changes
from tests.builders import (
    DOMAIN,
    GATE,
    a_bundle,
    a_control_record,
    a_request,
    an_envelope,
    digest_of,
    loan_partition,
)
from tests.planted import planted
from tests.simulation.gate_world import OPEN_POLICY, SimulatedGate
from tests.simulation.world import Boundary, Fault, Way
from tests.worlds import TOPICS


def _request(gate: SimulatedGate, loan: str, request_id: str) -> tuple[bytes, bytes]:
    now_ms = gate.clock.now_ms()
    value = a_request(
        loan_id=loan, score=None, signer=None, request_id=request_id, issued_at_ms=now_ms
    )
    return loan.encode(), value


def _loan_in(number: int, partitions: int) -> str:
    return next(f"L-{n}" for n in range(1_000) if loan_partition(f"L-{n}", partitions) == number)


def _unreadable_bundle(gate: SimulatedGate, **changes: object) -> bytes:
    """A properly signed activation whose bundle this build reads otherwise."""
    bundle = a_bundle(requester="open", source=OPEN_POLICY)
    changed = jcs.canonical({**json.loads(bundle), **changes})
    payload = jcs.canonical(
        {
            "format": "gate-activation/1",
            "audience": f"{DOMAIN}/{GATE}",
            "topic_id": gate.topic_id,
            "policy": "loans",
            "sequence": "1",
            "digest": digest_of(changed),
            "previous": None,
            "mode": "enforce",
            "activation_sequence": "1",
            "not_after_ms": str(gate.clock.now_ms() + 3_600_000),
            "bundle": json.loads(an_envelope(dsse.POLICY, changed, "author")),
        }
    )
    signed = an_envelope(dsse.ACTIVATION, payload, "activator-1", "activator-2")
    return a_control_record(2, signed)


def _decided(gate: SimulatedGate) -> list[str]:
    return sorted(decision.request_id for decision in gate.decisions())


def test_a_policy_for_another_engine_stops_its_partition_after_what_came_before() -> None:
    gate = SimulatedGate(1, partitions=2)
    stopped, running = _loan_in(0, 2), _loan_in(1, 2)
    gate.submit(_request(gate, stopped, "before"))
    record = _unreadable_bundle(gate, engine="gate-engine/9")
    gate.publisher().publish([OutputRecord(TOPICS.requests, 0, None, record)])
    gate.submit(_request(gate, stopped, "after"), _request(gate, running, "elsewhere"))
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert (stop.value.cause, stop.value.partition) == ("engine_unavailable", 0)
    assert _decided(gate) == ["before", "elsewhere"]


def test_a_record_damaged_in_the_middle_stops_its_partition_alone() -> None:
    """Everything before the damage is decided, everything elsewhere too, none is skipped."""
    gate = SimulatedGate(2, partitions=2)
    gate.activate()
    gate.live()
    for number in range(3):
        gate.submit(_request(gate, _loan_in(0, 2), f"zero-{number}"))
        gate.submit(_request(gate, _loan_in(1, 2), f"one-{number}"))
    where = TopicPartition(TOPICS.requests, 0)
    gate.log.damage(where, gate.log.partition(where).end - 2)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert (stop.value.cause, stop.value.partition) == ("unreadable", 0)
    assert _decided(gate) == ["one-0", "one-1", "one-2", "zero-0"]
    gate.log.partition(where).entries[gate.log.partition(where).end - 2].is_damaged = False
    gate.live()
    gate.audit()
    assert len(gate.decisions()) == 6


def test_a_topic_made_again_is_noticed_within_30_s_busy_or_not() -> None:
    gate = SimulatedGate(3, partitions=1)
    gate.activate()
    gate.live()
    running = gate.gate()
    turns = 0

    def should_stop() -> bool:
        nonlocal turns
        turns += 1
        gate.submit(_request(gate, "L-1", f"r-{turns}"))
        if turns == 5:
            gate.log.recreate(TOPICS.approved)
        gate.world.clock.advance(1_000)
        return turns > 60

    with pytest.raises(PartitionStopped) as stop:
        running.run(should_stop=should_stop)
    assert stop.value.cause in {"topic_changed", "output_torn"}
    assert turns < 40


def test_a_partition_whose_transactions_fail_is_isolated_and_stops_alone() -> None:
    gate = SimulatedGate(4, partitions=2)
    gate.activate()
    gate.live()
    poison, healthy = _loan_in(0, 2), _loan_in(1, 2)
    refuse = gate.log.append

    def append(record: OutputRecord, owner: str | None) -> int:
        if record.topic == TOPICS.approved and record.partition == 0:
            raise Unreachable("simulated: this partition has no leader")
        return refuse(record, owner)

    gate.log.append = append
    gate.submit(*(_request(gate, poison, f"p-{n}") for n in range(2)))
    gate.submit(*(_request(gate, healthy, f"h-{n}") for n in range(4)))
    with pytest.raises(PartitionStopped) as stop:
        gate.run()
    assert (stop.value.cause, stop.value.partition) == ("transaction_failing", 0)
    assert [name for name in _decided(gate) if name.startswith("h-")] == [
        f"h-{n}" for n in range(4)
    ]


@pytest.mark.parametrize("boundary", [Boundary.RENEW, Boundary.ENDS, Boundary.READ])
def test_a_log_that_is_away_for_a_moment_is_waited_for(boundary: Boundary) -> None:
    gate = SimulatedGate(5, [Fault(Boundary.COMMIT, 1, Way.DID_NOT_HAPPEN)], partitions=1)
    gate.world.plan([Fault(boundary, visit, Way.DID_NOT_HAPPEN) for visit in range(1, 6)])
    gate.activate()
    gate.submit_some(6)
    gate.live()
    gate.audit()
    assert gate.endings == ["caught up"]
    assert gate.telemetry.of(EventKind.LOG_UNREACHABLE)


TRIES_OF_70_S_MAX = 250
NOT_ENDED = pytest.raises(pytest.fail.Exception, match="DID NOT RAISE")


def test_a_log_that_stays_away_is_tried_ever_less_often_and_ends_the_process() -> None:
    away = [Fault(Boundary.POLL, visit, Way.DID_NOT_HAPPEN) for visit in range(TRIES_OF_70_S_MAX)]
    gate = SimulatedGate(6, away)
    with pytest.raises(Unreachable):
        gate.run()


def test_without_longer_waits_a_log_away_is_asked_a_hundred_times_a_second() -> None:
    with planted("gate.runtime.absence", "elapsed_ms // 8", "0"), NOT_ENDED:
        test_a_log_that_stays_away_is_tried_ever_less_often_and_ends_the_process()


def test_the_marker_of_a_dropped_batch_is_cleared() -> None:
    gate = SimulatedGate(7, [Fault(Boundary.COMMIT, 1, Way.REFUSED)], partitions=1)
    gate.submit_some(3)
    running = gate.gate()
    running.run(should_stop=lambda: False, until_caught_up=True)
    assert list(running.ports.judging.offsets) == [-1]


def test_a_changelog_sequence_that_repeats_stops_the_restore() -> None:
    gate = SimulatedGate(8, partitions=1)
    gate.activate()
    gate.submit_some(12, keys=40)
    gate.live()
    records = gate.records(TOPICS.changelog)
    assert len(records) > 6
    running = gate.gate()
    running._follow(running.ports.input.poll(records_max=1, timeout_ms=0))
    partition = running.partitions[0]
    target = _target(len(records))
    assert _changes(records, 0, target, partition)[1] == len(records)
    with pytest.raises(PartitionStopped):
        _changes([*records[:5], records[3], *records[5:]], 0, target, partition)
    behind = _changes(records, 3, target, partition)
    assert len(behind[0]) == len(records) - 3


def _target(sequence: int):
    from gate.core.state import RecoveryTarget

    return RecoveryTarget("t", "c", sequence, 0, 0, bytes(32), -1, bytes(32), -1, -1, -1)


def test_short_absences_of_an_idle_gate_are_each_waited_for_anew() -> None:
    gate = SimulatedGate(9, [Fault(Boundary.POLL, 60, Way.DID_NOT_HAPPEN)], partitions=1)
    gate.world.plan([Fault(Boundary.POLL, 90, Way.DID_NOT_HAPPEN)])
    turns = 0

    def should_stop() -> bool:
        nonlocal turns
        turns += 1
        gate.world.clock.advance(5_000)
        return turns > 120

    gate.gate().run(should_stop=should_stop)
    assert len(gate.telemetry.of(EventKind.LOG_UNREACHABLE)) == 2


def test_without_asking_again_the_second_absence_ends_it() -> None:
    with (
        planted("gate.runtime.loop", "            self._absence.ask()\n", "            pass\n"),
        pytest.raises(Unreachable),
    ):
        test_short_absences_of_an_idle_gate_are_each_waited_for_anew()
