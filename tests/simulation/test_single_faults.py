"""Each boundary fails once, in each way: the entries are those of a gate that never failed."""

import pytest

from tests.simulation.gate_world import SimulatedGate
from tests.simulation.world import Boundary, Fault, Way, ways_of

SINGLES = [
    Fault(boundary, visit, way)
    for boundary in Boundary
    for way in ways_of(boundary)
    for visit in (1, 2, 3, 5)
]


def _story(seed: int, faults: list[Fault], *, marker_delay_ms_max: int = 0) -> SimulatedGate:
    gate = SimulatedGate(seed, faults, marker_delay_ms_max=marker_delay_ms_max)
    gate.submit_some(4)
    gate.activate()
    gate.submit_some(16)
    gate.live()
    gate.submit_some(8)
    gate.live()
    gate.world.clock.advance(60_000)  # whatever was late has arrived
    gate.live()
    gate.audit()
    return gate


@pytest.mark.parametrize(
    "fault", SINGLES, ids=lambda f: f"{f.boundary.name}-{f.visit}-{f.way.name}"
)
def test_one_fault_changes_no_entry(fault: Fault) -> None:
    _story(1, [fault])


def test_every_way_of_failing_was_met() -> None:
    """A plan that is never reached proves nothing: at the first visit every fault fires."""
    missed = []
    for boundary in Boundary:
        for way in ways_of(boundary):
            gate = _story(2, [Fault(boundary, 1, way)])
            if not gate.world.fired:
                missed.append((boundary.name, way.name))
    assert {name for name, _ in missed} <= {"RENEW", "FLUSH", "ABORT"}


def test_the_same_seed_gives_the_same_run() -> None:
    faults = [Fault(Boundary.COMMIT, 2, Way.CRASH_AFTER)]
    first, second = _story(3, faults), _story(3, faults)
    assert first.endings == second.endings
    assert first.decisions() == second.decisions()


@pytest.mark.parametrize("seed", range(40))
def test_markers_that_arrive_late_change_no_entry(seed: int) -> None:
    _story(seed, [], marker_delay_ms_max=400)
