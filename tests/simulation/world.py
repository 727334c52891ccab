"""The simulated world: time, chance and faults, all from one seed.

A *boundary* is a place where the gate touches the outside. Crossing it costs a millisecond, is
counted, and may fail by plan, in a *way*. Nothing here reads a clock or a random source of the
machine: the same seed and the same faults give the same run.

    world = World(seed=7, faults=[Fault(Boundary.COMMIT, 3, Way.HAPPENED_ANYWAY)])
    log = SimulatedLog(world)                 # tests/simulation/simulated_log.py
    store = SimulatedStateStore(world)        # tests/simulation/simulated_store.py
    ...
    world.visits[Boundary.COMMIT], world.fired

`Crash` is the death of the process: it is no `Exception`, so nothing of the gate survives it. The
simulation catches it, drops the gate's objects, calls `store.crash()` and starts a gate anew.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple

from gate.errors import (
    Fenced,
    GateError,
    OutcomeUnknown,
    StoreFailed,
    TransactionAborted,
    Unreachable,
)

CROSSING_MS = 1
SLOW_COMMIT_MS = 6_000


class Boundary(Enum):
    """Where the gate touches the outside."""

    POLL = "poll"
    OPEN = "open"
    RENEW = "renew"
    BEGIN = "begin"
    PRODUCE = "produce"
    SEND_OFFSETS = "send_offsets"
    COMMIT = "commit"
    ABORT = "abort"
    READ = "read"
    ENDS = "ends"
    COMMITTED = "committed"
    STORE_OPEN = "store_open"
    STORE_GET = "store_get"
    APPLY = "apply"
    FLUSH = "flush"


class Way(Enum):
    """How a crossing fails. The last three are for `COMMIT` alone."""

    DID_NOT_HAPPEN = "did not happen"
    HAPPENED_ANYWAY = "happened anyway"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    REFUSED = "refused"
    """The broker says no: `TransactionAborted`."""
    DELAYED = "delayed"
    """`OutcomeUnknown`, and the request arrives later, if the epoch is still the same."""
    DUPLICATED = "duplicated"
    """Slow success, and a copy of the request arrives later, if the epoch is still the same."""


COMMON_WAYS = (Way.DID_NOT_HAPPEN, Way.HAPPENED_ANYWAY, Way.CRASH_BEFORE, Way.CRASH_AFTER)


_WITHOUT_EFFECT = {
    Boundary.POLL,
    Boundary.READ,
    Boundary.ENDS,
    Boundary.COMMITTED,
    Boundary.STORE_OPEN,
    Boundary.STORE_GET,
}


def ways_of(boundary: Boundary) -> tuple[Way, ...]:
    """Return every way in which this boundary can fail; without effect, none happens anyway."""
    if boundary is Boundary.COMMIT:
        return tuple(Way)
    if boundary in _WITHOUT_EFFECT:
        return tuple(way for way in COMMON_WAYS if way is not Way.HAPPENED_ANYWAY)
    return COMMON_WAYS


_ERRORS: dict[Boundary, type[GateError]] = {
    Boundary.POLL: Unreachable,
    Boundary.OPEN: Unreachable,
    Boundary.RENEW: Unreachable,
    Boundary.BEGIN: Fenced,
    Boundary.PRODUCE: TransactionAborted,
    Boundary.SEND_OFFSETS: TransactionAborted,
    Boundary.COMMIT: OutcomeUnknown,
    Boundary.ABORT: OutcomeUnknown,
    Boundary.READ: Unreachable,
    Boundary.ENDS: Unreachable,
    Boundary.COMMITTED: Unreachable,
    Boundary.STORE_OPEN: StoreFailed,
    Boundary.STORE_GET: StoreFailed,
    Boundary.APPLY: StoreFailed,
    Boundary.FLUSH: StoreFailed,
}


class Crash(BaseException):
    """The process died here."""


class Fault(NamedTuple):
    """The `visit`-th crossing of a boundary, counted from 1, fails in this way."""

    boundary: Boundary
    visit: int
    way: Way


class SimulatedClock:
    """Implements `gate.ports.Clock`; time passes only by `advance`, sleeping and crossings."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._start_ms = now_ms
        self._passed_ms = 0
        self._listeners: list[Callable[[], None]] = []

    def now_ms(self) -> int:
        return self._start_ms + self._passed_ms

    def monotonic_ms(self) -> int:
        return self._passed_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self.advance(max(duration_ms, 1))

    def advance(self, duration_ms: int) -> None:
        """Let time pass; whatever fell due in it happens now."""
        self._passed_ms += duration_ms
        for listener in self._listeners:
            listener()

    def shift_wall(self, by_ms: int) -> None:
        """Set the wall clock forward or back; monotonic time does not move."""
        self._start_ms += by_ms

    def on_advance(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)


class World:
    """Seed, clock, plan of faults and count of visits."""

    def __init__(self, seed: int = 0, faults: Sequence[Fault] = ()) -> None:
        self.random = random.Random(seed)
        self.clock = SimulatedClock()
        self.visits: Counter[Boundary] = Counter()
        self.fired: list[Fault] = []
        self._faults: dict[tuple[Boundary, int], Way] = {}
        self.plan(faults)

    def plan(self, faults: Sequence[Fault]) -> None:
        """Let these crossings fail; visits already made do not come again."""
        for boundary, visit, way in faults:
            assert way in ways_of(boundary), f"{boundary.value} can not fail so: {way.value}"
            self._faults[boundary, visit] = way

    def calm(self) -> None:
        """Let nothing fail any more: who audits must not meet what the gate never reached."""
        self._faults.clear()

    def fail_next(self, boundary: Boundary, way: Way) -> None:
        """Let the next crossing of this boundary fail."""
        assert way in ways_of(boundary), f"{boundary.value} can not fail so: {way.value}"
        self._faults[boundary, self.visits[boundary] + 1] = way

    @contextmanager
    def crossing(self, boundary: Boundary) -> Iterator[Way | None]:
        """Cross a boundary: the body is the effect; what fails before it has none.

        Yields the way only where the effect itself differs (`DELAYED`, `DUPLICATED`).
        """
        self.visits[boundary] += 1
        visit = self.visits[boundary]
        way = self._faults.pop((boundary, visit), None)
        self.clock.advance(CROSSING_MS)
        if way is None:
            yield None
            return
        self.fired.append(Fault(boundary, visit, way))
        said = f"simulated: {boundary.value} {visit}: {way.value}"
        if way is Way.CRASH_BEFORE:
            raise Crash(said)
        if way is Way.DID_NOT_HAPPEN:
            raise _ERRORS[boundary](said)
        if way is Way.REFUSED:
            raise TransactionAborted(said)
        yield way
        if way is Way.CRASH_AFTER:
            raise Crash(said)
        if way is not Way.DUPLICATED:
            raise _ERRORS[boundary](said)
