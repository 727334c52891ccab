"""What every implementation of the state store promises."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from gate.adapters.memory import MemoryStateStore
from gate.adapters.rocksdb import RocksStateStore
from gate.ports import (
    EMPTY_POSITION,
    STORE_FORMAT,
    AppliedPosition,
    StateChange,
    StateStore,
    StoreIdentity,
)
from tests.simulation.simulated_store import SimulatedStateStore
from tests.simulation.world import World

IDENTITY = StoreIdentity(
    format=STORE_FORMAT,
    requests_topic_id="requests id",
    changelog_topic_id="changelog id",
    partition=3,
    partition_count=6,
    lineage_secret_sha256=bytes(range(32)),
)
POSITION = AppliedPosition(
    sequence=17,
    fingerprint=2**128 - 1,
    replay_from=4,
    next_offset=2**40,
    tree_size=2**33,
    frontier=bytes(range(96)),
    control_sha256=bytes(range(100, 132)),
)

_MAKERS: dict[str, Callable[[Path], StateStore]] = {
    "rocksdb": RocksStateStore,
    "memory": lambda _: MemoryStateStore(),
    "simulated": lambda _: SimulatedStateStore(World()),
}


@pytest.fixture(params=list(_MAKERS))
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    return _MAKERS[request.param](tmp_path / "slot")


def admission(number: int) -> StateChange:
    return StateChange(number.to_bytes(16, "big"), b"admission %d" % number, False)


def control(name: str, value: bytes) -> StateChange:
    return StateChange(name.encode(), value, True)


def test_a_store_just_made_is_empty(stores: StateStore) -> None:
    store = stores.open(3)

    assert store.identity() is None
    assert store.position() == EMPTY_POSITION
    assert store.control_items() == []
    assert list(store.get_many([b"a", b"b"])) == [None, None]


def test_changes_position_and_identity_are_applied_together(stores: StateStore) -> None:
    store = stores.open(3)
    store.apply([admission(1), admission(2), control("genesis", b"g")], POSITION, IDENTITY)

    assert store.identity() == IDENTITY
    assert store.position() == POSITION
    assert store.control_items() == [(b"genesis", b"g")]
    keys = [admission(2).key, admission(9).key, admission(1).key, admission(2).key]
    assert list(store.get_many(keys)) == [
        b"admission 2",
        None,
        b"admission 1",
        b"admission 2",
    ]


def test_a_closed_store_opens_again_as_it_was(stores: StateStore) -> None:
    store = stores.open(3)
    store.apply([admission(1), control("genesis", b"g")], POSITION, IDENTITY)
    store.close()
    store.close()
    again = stores.open(3)

    assert again.identity() == IDENTITY
    assert again.position() == POSITION
    assert again.control_items() == [(b"genesis", b"g")]
    assert list(again.get_many([admission(1).key])) == [b"admission 1"]
    again.close()


def test_a_batch_without_changes_moves_the_position(stores: StateStore) -> None:
    store = stores.open(3)
    store.apply([admission(1)], POSITION, IDENTITY)
    moved = dataclasses.replace(POSITION, next_offset=9)
    store.apply([], moved, IDENTITY)

    assert store.position() == moved
    assert list(store.get_many([admission(1).key])) == [b"admission 1"]


def test_control_items_ascend_and_are_no_admissions(stores: StateStore) -> None:
    store = stores.open(3)
    names = ["root/2", "genesis", "policy/loan/1", "bundle/ff", "root/1"]
    store.apply([control(name, name.encode()) for name in names], POSITION, IDENTITY)
    store.apply([StateChange(b"genesis", b"an admission", False)], POSITION, IDENTITY)

    assert store.control_items() == [(name.encode(), name.encode()) for name in sorted(names)]
    assert list(store.get_many([b"genesis", b"root/1"])) == [b"an admission", None]


def test_a_later_change_replaces_an_earlier_one(stores: StateStore) -> None:
    store = stores.open(3)
    key = admission(1).key
    store.apply([StateChange(key, b"old", False)], POSITION, IDENTITY)
    store.apply(
        [StateChange(key, b"newer", False), StateChange(key, b"newest", False)], POSITION, IDENTITY
    )

    assert list(store.get_many([key])) == [b"newest"]


def test_getting_no_keys_gives_nothing(stores: StateStore) -> None:
    assert list(stores.open(3).get_many([])) == []


def test_partitions_do_not_see_each_other(stores: StateStore) -> None:
    first, second = stores.open(1), stores.open(2)
    first.apply([admission(1)], POSITION, IDENTITY)

    assert second.position() == EMPTY_POSITION
    assert list(second.get_many([admission(1).key])) == [None]


def test_a_store_moved_aside_is_replaced_by_an_empty_one(stores: StateStore) -> None:
    places = []
    for _ in range(2):
        store = stores.open(3)
        store.apply([admission(1)], POSITION, IDENTITY)
        store.close()
        places.append(Path(stores.move_aside(3)).name)

    assert places == ["3.damaged-1", "3.damaged-2"]
    store = stores.open(3)
    assert store.identity() is None
    assert list(store.get_many([admission(1).key])) == [None]


def test_flush_keeps_everything(stores: StateStore) -> None:
    store = stores.open(3)
    store.apply([admission(1)], POSITION, IDENTITY)
    store.flush()
    store.apply([admission(2)], POSITION, IDENTITY)

    assert list(store.get_many([admission(1).key, admission(2).key])) == [
        b"admission 1",
        b"admission 2",
    ]
