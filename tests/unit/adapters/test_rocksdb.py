"""RocksDB beyond the port: options that take, refusals, and what a crash leaves."""

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from gate.adapters.rocksdb import RocksStateStore, check_options, encode_meta, read_meta
from gate.errors import StoreDamaged, StoreFailed
from gate.ports import STORE_FORMAT, StateChange
from tests.conformance.test_store_conformance import IDENTITY, POSITION, admission

ROOT = Path(__file__).parents[3]


def filled(folder: Path) -> RocksStateStore:
    stores = RocksStateStore(folder)
    store = stores.open(3)
    store.apply([admission(number) for number in range(100)], POSITION, IDENTITY)
    store.close()
    return stores


def raw_open(folder: Path) -> Rdict:
    return Rdict(str(folder), options=Options(raw_mode=True))


def test_the_bloom_filter_survives_a_reopen(tmp_path: Path) -> None:
    stores = filled(tmp_path)
    store = stores.open(3)
    properties = store._database.property_value("rocksdb.aggregated-table-properties")
    store.close()

    sizes = dict(part.strip().split("=") for part in properties.split(";") if "=" in part)
    assert int(sizes["filter block size"]) > 100
    check_options(tmp_path / "3")


def test_lost_options_are_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    raw_open(tmp_path / "3").close()  # the trap: options not given for the column family

    with pytest.raises(StoreFailed, match="runs without its options: expected `filter_policy"):
        check_options(tmp_path / "3")


def test_meta_reads_back_what_was_written(tmp_path: Path) -> None:
    assert read_meta(encode_meta(POSITION, IDENTITY), tmp_path) == (POSITION, IDENTITY)


def test_each_flipped_bit_of_the_meta_record_is_seen(tmp_path: Path) -> None:
    encoded = encode_meta(POSITION, IDENTITY)
    for at in range(8 * 2, 8 * len(encoded)):
        damaged = bytearray(encoded)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(StoreDamaged):
            read_meta(bytes(damaged), tmp_path)


def test_each_truncation_of_the_meta_record_is_seen(tmp_path: Path) -> None:
    encoded = encode_meta(POSITION, IDENTITY)
    for size in range(len(encoded)):
        with pytest.raises(StoreDamaged):
            read_meta(encoded[:size], tmp_path)


def test_a_newer_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    stores = filled(tmp_path)
    newer = dataclasses.replace(IDENTITY, format=STORE_FORMAT + 1)
    database = raw_open(tmp_path / "3")
    database[b"m"] = encode_meta(POSITION, newer)
    database.close()

    with pytest.raises(StoreFailed, match=f"expected format {STORE_FORMAT}, got 2"):
        stores.open(3)


def test_keys_without_a_position_are_damage(tmp_path: Path) -> None:
    stores = filled(tmp_path)
    database = raw_open(tmp_path / "3")
    del database[b"m"]
    database.close()

    with pytest.raises(StoreDamaged, match="it has keys but no position"):
        stores.open(3)


def test_a_store_in_use_is_refused(tmp_path: Path) -> None:
    stores = RocksStateStore(tmp_path)
    store = stores.open(3)

    with pytest.raises(StoreFailed, match=r"is in use: stop the other gate of this slot"):
        stores.open(3)
    store.close()
    stores.open(3).close()


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "slot").write_bytes(b"a file")

    with pytest.raises(StoreFailed, match="can not be made: check disk and permissions"):
        RocksStateStore(tmp_path / "slot").open(0)


def test_moving_aside_what_is_not_there_fails(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="can not be moved"):
        RocksStateStore(tmp_path).move_aside(0)


WRITER = """
import dataclasses, sys
from pathlib import Path
from gate.adapters.rocksdb import RocksStateStore
from tests.conformance.test_store_conformance import IDENTITY, POSITION, admission
store = RocksStateStore(Path(sys.argv[1]), write_buffer_bytes=1 << 20).open(3)
number = 0
while True:
    batch = [admission(number + i) for i in range(50)]
    number += 50
    store.apply(batch, dataclasses.replace(POSITION, sequence=number), IDENTITY)
    if number % 20_000 == 0:
        print(number, flush=True)
"""


def test_a_killed_process_leaves_an_exact_prefix(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    for _ in range(3):
        writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()

    store = RocksStateStore(tmp_path).open(3)
    sequence = store.position().sequence
    found = store.get_many([admission(number).key for number in range(sequence + 5_000)])
    store.close()
    assert sequence > 0
    expected: list[bytes | None] = [admission(number).value for number in range(sequence)]
    assert list(found) == expected + [None] * 5_000


@pytest.mark.slow
def test_a_miss_costs_under_two_microseconds(tmp_path: Path) -> None:
    stores = RocksStateStore(tmp_path)
    store = stores.open(3)
    for number in range(0, 200_000, 1_000):
        store.apply([admission(number + i) for i in range(1_000)], POSITION, IDENTITY)
    store.flush()
    keys = [StateChange(b"miss %11d" % number, b"", False).key for number in range(1_000)]
    costs = []
    for _ in range(20):
        started = time.perf_counter()
        assert set(store.get_many(keys)) == {None}
        costs.append(time.perf_counter() - started)
    store.close()

    assert min(costs) / len(keys) < 2e-6


def test_a_full_disk_fails_and_leaves_an_older_store(tmp_path: Path) -> None:
    stores = RocksStateStore(tmp_path)
    store = stores.open(3)
    first = dataclasses.replace(POSITION, sequence=1)
    store.apply([admission(1)], first, IDENTITY)
    store.flush()
    store.apply([admission(2)], POSITION, IDENTITY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StoreFailed, match="check disk space and permissions"):
            store.flush()
        with pytest.raises(StoreFailed):
            store.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.close()

    again = stores.open(3)
    assert again.position() == first
    assert list(again.get_many([admission(1).key, admission(2).key])) == [b"admission 1", None]
    again.close()
