"""Damage to each kind of RocksDB file: it is seen, or what is read is right.

Right means an exact prefix of what was applied, with that prefix's position: RocksDB may fall back
to an older one, and the restore tops it up. Never a wrong value, a missing key or a position that
belongs to other keys.
"""

import dataclasses
import random
import shutil
from pathlib import Path

import pytest
from rocksdict import Rdict

from gate.adapters import rocksdb
from gate.adapters.rocksdb import RocksStateStore
from gate.errors import StoreDamaged, StoreFailed
from gate.ports import EMPTY_POSITION, StateChange
from tests.conformance.test_store_conformance import IDENTITY, POSITION, admission, control
from tests.planted import planted

BATCHES = 40
BATCH_SIZE = 100
KINDS = (
    "*.sst",
    "MANIFEST-*",
    "CURRENT",
    "OPTIONS-*",
    "IDENTITY",
    "rocksdict-config.json",
    "*.log",
)
DAMAGES = ("flip", "flip", "flip", "truncate", "cut tail", "delete")


def batch(number: int) -> list[StateChange]:
    start = number * BATCH_SIZE
    changes = [admission(start + index) for index in range(BATCH_SIZE)]
    return [*changes, control(f"root/{number:03}", b"root %d" % number)]


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undamaged")
    stores = RocksStateStore(folder)
    store = stores.open(3)
    for number in range(BATCHES):
        position = dataclasses.replace(POSITION, sequence=number + 1)
        store.apply(batch(number), position, IDENTITY)
        if number % 10 == 0:
            store.flush()
    store.close()
    return folder


def do_damage(path: Path, damage: str, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if damage == "delete":
        path.unlink()
    elif damage == "flip" and content:
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
    elif damage == "truncate":
        path.write_bytes(content[: chance.randrange(len(content) + 1)])
    elif damage == "cut tail":
        path.write_bytes(content[:-1])


def check(folder: Path) -> str:
    """Read everything; return what was seen, fail when it is silently wrong."""
    try:
        store = RocksStateStore(folder).open(3)
    except (StoreDamaged, StoreFailed) as error:
        return type(error).__name__
    try:
        applied = store.position().sequence if store.position() != EMPTY_POSITION else 0
        keys = [admission(number).key for number in range(BATCHES * BATCH_SIZE)]
        found = list(store.get_many(keys))
        items = store.control_items()
    except (StoreDamaged, StoreFailed) as error:
        return type(error).__name__
    finally:
        store._database.close()
    present = applied * BATCH_SIZE
    expected: list[bytes | None] = [admission(number).value for number in range(present)]
    assert found == expected + [None] * (len(keys) - present)
    assert items == [(b"root/%03d" % n, b"root %d" % n) for n in range(applied)]
    return "right" if applied == BATCHES else "older"


CASES = [(kind, damage, seed) for kind in KINDS for seed, damage in enumerate(DAMAGES)]


@pytest.mark.parametrize(("kind", "damage", "seed"), CASES)
def test_damage_is_seen_or_harmless(
    undamaged: Path, tmp_path: Path, kind: str, damage: str, seed: int
) -> None:
    shutil.copytree(undamaged / "3", tmp_path / "3")
    chance = random.Random(f"{kind} {damage} {seed}")
    files = sorted((tmp_path / "3").glob(kind))
    do_damage(chance.choice(files), damage, chance)

    seen = check(tmp_path)
    if kind == "*.sst" and damage != "flip":
        assert seen == "StoreDamaged"
    assert seen in {"right", "older", "StoreDamaged", "StoreFailed"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(160))
def test_any_damage_is_seen_or_harmless(undamaged: Path, tmp_path: Path, seed: int) -> None:
    shutil.copytree(undamaged / "3", tmp_path / "3")
    chance = random.Random(seed)
    files = sorted(path for path in (tmp_path / "3").iterdir() if path.name != "LOCK")
    for path in chance.sample(files, chance.randint(1, 2)):
        do_damage(path, chance.choice(DAMAGES), chance)

    assert check(tmp_path) in {"right", "older", "StoreDamaged", "StoreFailed"}


def test_the_undamaged_store_is_right(undamaged: Path, tmp_path: Path) -> None:
    shutil.copytree(undamaged / "3", tmp_path / "3")

    assert check(tmp_path) == "right"


def test_an_iteration_over_damage_does_not_end_silently(tmp_path: Path) -> None:
    stores = RocksStateStore(tmp_path)
    store = stores.open(3)
    chance = random.Random(0)
    parts = [control(f"root/{number:05}", chance.randbytes(100)) for number in range(2_000)]
    store.apply(parts, POSITION, IDENTITY)
    store.close()
    (path,) = (tmp_path / "3").glob("*.sst")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    store = stores.open(3)
    assert 0 < len(list(store._database.keys())) < len(parts), "the library ends silently"
    with pytest.raises(StoreDamaged):
        store.control_items()
    store._database.close()


class Unclosable:
    """A database that is refused its end, as RocksDB does after its background work met damage.

    Real damage brings that about by the library's own timing: once in some dozens of runs of
    `tests/kafka/test_stores.py`.
    """

    def __init__(self, *arguments: object, **named: object) -> None:
        self._real = Rdict(*arguments, **named)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def close(self) -> None:
        self._real.close()
        raise Exception("Corruption: block checksum mismatch")  # noqa: TRY002 - the library's own


@pytest.fixture
def unclosable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RocksStateStore:
    stores = RocksStateStore(tmp_path)
    store = stores.open(3)
    store.apply([admission(1)], POSITION, IDENTITY)
    store.close()
    (path,) = (tmp_path / "3").glob("*.sst")
    content = bytearray(path.read_bytes())
    content[20] ^= 1  # in the one data block: opening goes well, reading the position does not
    path.write_bytes(content)
    monkeypatch.setattr(rocksdb, "Rdict", Unclosable)
    return stores


def test_a_damaged_store_whose_end_is_refused_is_damaged(unclosable: RocksStateStore) -> None:
    with pytest.raises(StoreDamaged):
        unclosable.open(3)


def test_without_the_guard_the_refused_end_hides_the_damage(unclosable: RocksStateStore) -> None:
    with (
        planted("gate.adapters.rocksdb", "suppress(Exception)", "suppress()"),
        pytest.raises(Exception, match="block checksum mismatch") as raised,
    ):
        unclosable.open(3)
    assert type(raised.value) is Exception
