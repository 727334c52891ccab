"""Each state store against a model: the list of what was applied.

A store is at any time exactly some prefix of that list, with that prefix's position: all of it
while open and after a close, at least what was flushed after a crash.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gate.adapters.memory import MemoryStateStore
from gate.adapters.rocksdb import RocksStateStore
from gate.ports import EMPTY_POSITION, AppliedPosition, StateChange, StateStore, StoreIdentity
from tests.simulation.simulated_store import SimulatedStateStore
from tests.simulation.world import World

KEYS = [bytes([number]) * 16 for number in range(8)]
NAMES = [b"genesis", b"root/1", b"root/2"]
CHANGES = st.lists(
    st.builds(StateChange, st.sampled_from(KEYS), st.binary(max_size=20), st.just(False))
    | st.builds(StateChange, st.sampled_from(NAMES), st.binary(max_size=20), st.just(True)),
    max_size=6,
)
NUMBERS = st.integers(0, 2**63 - 1)
POSITIONS = st.builds(
    AppliedPosition,
    sequence=NUMBERS,
    fingerprint=st.integers(0, 2**128 - 1),
    replay_from=NUMBERS,
    next_offset=st.integers(-1, 2**63 - 1),
    tree_size=NUMBERS,
    frontier=st.binary(max_size=64),
    control_sha256=st.binary(min_size=32, max_size=32),
)
IDENTITIES = st.builds(
    StoreIdentity,
    format=st.just(1),
    requests_topic_id=st.text(max_size=5),
    changelog_topic_id=st.text(max_size=5),
    partition=st.integers(0, 99),
    partition_count=st.integers(1, 99),
    lineage_secret_sha256=st.binary(min_size=32, max_size=32),
)
Batch = tuple[list[StateChange], AppliedPosition, StoreIdentity]
State = tuple[dict[bytes, bytes], dict[bytes, bytes], AppliedPosition, StoreIdentity | None]


def state_after(batches: list[Batch]) -> State:
    admissions: dict[bytes, bytes] = {}
    control: dict[bytes, bytes] = {}
    position, identity = EMPTY_POSITION, None
    for changes, position, identity in batches:  # noqa: B007
        for key, value, is_control in changes:
            (control if is_control else admissions)[key] = value
    return admissions, control, position, identity


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stores = self.make()
        self.store = self.stores.open(5)
        self.batches: list[Batch] = []
        self.flushed = 0

    def make(self) -> StateStore:
        raise NotImplementedError

    @rule(changes=CHANGES, position=POSITIONS, identity=IDENTITIES)
    def apply(
        self, changes: list[StateChange], position: AppliedPosition, identity: StoreIdentity
    ) -> None:
        self.store.apply(changes, position, identity)
        self.batches.append((changes, position, identity))

    @rule()
    def flush(self) -> None:
        self.store.flush()
        self.flushed = len(self.batches)

    @rule()
    def close_and_open(self) -> None:
        self.store.close()
        self.store = self.stores.open(5)
        self.flushed = len(self.batches)

    @rule()
    def crash(self) -> None:
        self.die()
        self.store = self.stores.open(5)
        prefixes = range(self.flushed, len(self.batches) + 1)
        found = self.present()
        matching = [size for size in prefixes if state_after(self.batches[:size]) == found]
        assert matching, "the store is no prefix of what was applied"
        del self.batches[max(matching) :]

    def die(self) -> None:
        """Lose what is only in memory."""

    @rule()
    def move_aside(self) -> None:
        self.store.close()
        self.stores.move_aside(5)
        self.store = self.stores.open(5)
        self.batches, self.flushed = [], 0

    def present(self) -> State:
        found = self.store.get_many(KEYS)
        admissions = {
            key: value for key, value in zip(KEYS, found, strict=True) if value is not None
        }
        control = dict(self.store.control_items())
        return admissions, control, self.store.position(), self.store.identity()

    @invariant()
    def the_store_is_what_was_applied(self) -> None:
        assert self.present() == state_after(self.batches)


def copy_at_rest(source: Path, target: Path) -> None:
    """Copy the folder of an open store as it stands at one moment: no compaction in between."""

    def listing() -> list[tuple[str, int]]:
        return sorted((str(p), p.stat().st_size) for p in source.rglob("*") if p.is_file())

    for _ in range(100):
        try:
            before = listing()
            shutil.copytree(source, target)
            if listing() == before:
                return
        except (shutil.Error, FileNotFoundError):
            pass
        shutil.rmtree(target, ignore_errors=True)
        time.sleep(0.02)
    raise AssertionError("the store never came to rest")


class MemoryMachine(StoreMachine):
    def make(self) -> StateStore:
        return MemoryStateStore()


class SimulatedMachine(StoreMachine):
    def make(self) -> StateStore:
        self.simulated = SimulatedStateStore(World(seed=3))
        return self.simulated

    def die(self) -> None:
        self.simulated.crash()


class RocksMachine(StoreMachine):
    def make(self) -> StateStore:
        in_memory = "/dev/shm"  # else syncs are most of the time
        self.root = Path(tempfile.mkdtemp(dir=in_memory if Path(in_memory).is_dir() else None))
        self.lives = 0
        return RocksStateStore(self.root / "0", cache_bytes=1 << 20, write_buffer_bytes=1 << 20)

    def die(self) -> None:
        """Take the files as they are now; what the old process writes later is not among them."""
        self.lives += 1
        folder = self.root / str(self.lives)
        copy_at_rest(self.root / str(self.lives - 1), folder)
        self.store.close()
        self.stores = RocksStateStore(folder, cache_bytes=1 << 20, write_buffer_bytes=1 << 20)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.root)


@pytest.mark.parametrize(
    ("machine", "examples"), [(MemoryMachine, 40), (SimulatedMachine, 40), (RocksMachine, 12)]
)
def test_each_store_is_a_prefix_of_what_was_applied(
    machine: Callable[[], StoreMachine], examples: int
) -> None:
    run_state_machine_as_test(machine, settings=bounds(examples))


@pytest.mark.slow
@pytest.mark.parametrize("machine", [MemoryMachine, SimulatedMachine, RocksMachine])
def test_each_store_is_a_prefix_of_what_was_applied_for_long(
    machine: Callable[[], StoreMachine],
) -> None:
    run_state_machine_as_test(machine, settings=bounds(300))


def bounds(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
