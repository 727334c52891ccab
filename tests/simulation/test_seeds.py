"""The whole gate from a seed: several faults, late markers, damaged and old stores, deaths."""

import os
import random
from collections import Counter

import pytest

from gate.ports import EventKind
from tests.simulation.gate_world import SimulatedGate
from tests.simulation.world import Boundary, Fault, ways_of

SEEDS_FAST = 2_000
SEEDS_SLOW = int(os.environ.get("GATE_SEEDS", "20000"))
CHUNKS = 8
CHUNKS_SLOW = 4


def story(seed: int) -> SimulatedGate:
    """One life story of a gate; everything in it follows from the seed."""
    draw = random.Random(seed)
    faults = [_fault(draw) for _ in range(draw.randrange(5))]
    delay_ms = draw.choice((0, 0, 30, 300))
    gate = SimulatedGate(
        seed, faults, partitions=draw.choice((1, 1, 2, 3)), marker_delay_ms_max=delay_ms
    )
    gate.submit_some(draw.randrange(4))
    gate.activate()
    for _ in range(draw.randrange(1, 4)):
        gate.submit_some(draw.randrange(1, 8))
        gate.live()
        _accident(gate, draw)
    gate.world.clock.advance(60_000)  # whatever was late has arrived
    gate.live()
    gate.audit()
    return gate


def _fault(draw: random.Random) -> Fault:
    boundary = draw.choice(list(Boundary))
    return Fault(boundary, draw.randrange(1, 12), draw.choice(ways_of(boundary)))


def _accident(gate: SimulatedGate, draw: random.Random) -> None:
    """What happens to a store between two lives."""
    number = draw.randrange(gate.partitions)
    store = gate.stores.partitions.get(number)
    if store is None:
        return
    match draw.randrange(6):
        case 0:
            gate.stores.damage(number)
        case 1:
            gate.stores.crash()
        case 2:
            gate.stores.restore_old(number, draw.randint(0, store.batch_count()))
        case 3:
            gate.world.clock.shift_wall(draw.choice((-3_600_000, 3_600_000)))


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_gate_that_fails_decides_as_one_that_does_not(chunk: int) -> None:
    for seed in range(chunk, SEEDS_FAST, CHUNKS):
        _run(seed)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS_SLOW))
def test_many_more_seeds(chunk: int) -> None:
    visited: Counter[EventKind] = Counter()
    for seed in range(SEEDS_FAST + chunk, SEEDS_FAST + SEEDS_SLOW, CHUNKS_SLOW):
        visited.update(kind for kind, _ in _run(seed).telemetry.events)
    expected = {
        EventKind.RESTORE_PROGRESSED,
        EventKind.OUTCOME_UNKNOWN,
        EventKind.PRODUCER_RENEWED,
        EventKind.TRANSACTION_ABORTED,
        EventKind.STORE_MOVED_ASIDE,
        EventKind.LOG_UNREACHABLE,
    }
    assert expected - visited.keys() == set(), "a named state was never reached"


def _run(seed: int) -> SimulatedGate:
    try:
        return story(seed)
    except BaseException as failure:
        failure.add_note(f"seed {seed}: tests.simulation.test_seeds.story({seed})")
        raise
