"""The embedded log beyond the ports: its file, its seat, other processes, failing disks."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gate.adapters.clock import SystemClock
from gate.adapters.embedded import (
    EmbeddedAdmin,
    EmbeddedInput,
    EmbeddedOutput,
    EmbeddedPublisher,
    EmbeddedReader,
    Seat,
)
from gate.errors import (
    ConfigInvalid,
    Fenced,
    Lost,
    OutcomeUnknown,
    TransactionAborted,
    Unreachable,
    Unreadable,
)
from gate.ports import OffsetCommit, OutputRecord, TopicPartition, TopicSpec
from tests.conformance.harness import APPROVED, GROUP, REQUESTS, EmbeddedHarness

ROOT = Path(__file__).parents[3]


@pytest.fixture
def log(tmp_path: Path) -> EmbeddedHarness:
    made = EmbeddedHarness(tmp_path)
    made.make_topics()
    return made


def approval(value: bytes = b"value") -> OutputRecord:
    return OutputRecord(APPROVED, 0, b"key", value)


# --- the file


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"missing` does not exist: name the right file"):
        EmbeddedReader(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("content", [b"", b"some text " * 1000, b"SQLite format 3\x00" + bytes(99)])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(ConfigInvalid, match="name another file"):
        EmbeddedReader(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    connection.close()

    with pytest.raises(ConfigInvalid, match="is not an embedded log of a gate"):
        EmbeddedAdmin(path).create_topics([])
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    connection.close()


def test_a_newer_format_is_refused_with_both_numbers(log: EmbeddedHarness) -> None:
    connection = sqlite3.connect(log.path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()

    with pytest.raises(ConfigInvalid, match="expected 1, got 2: open it with the gate that wrote"):
        log.publisher()


def test_a_damaged_table_is_refused_when_opened(log: EmbeddedHarness) -> None:
    content = bytearray(log.path.read_bytes())
    content[8192:] = b"\x55" * (len(content) - 8192)
    log.path.write_bytes(content)

    with pytest.raises(ConfigInvalid, match="is damaged or another kind of file"):
        log.reader()


def test_a_flipped_bit_in_a_record_is_unreadable(log: EmbeddedHarness) -> None:
    log.publisher().publish([OutputRecord(REQUESTS, 0, None, b"find this value")])
    connection = sqlite3.connect(log.path)
    with connection:
        connection.execute("UPDATE record SET value = CAST('Find this value' AS BLOB)")
    connection.close()
    member = log.joined()
    member.resume(0, offset=0)

    with pytest.raises(Unreadable, match="record 0 of partition 0 is damaged"):
        log.reader().read(TopicPartition(REQUESTS, 0), offset=0, records_max=1)
    with pytest.raises(Unreadable):
        member.poll(records_max=1, timeout_ms=0)


@pytest.mark.parametrize("offset", [0, 2, 4])
def test_a_row_that_vanished_does_not_pass_for_a_marker(log: EmbeddedHarness, offset: int) -> None:
    publisher = log.publisher()
    publisher.publish([OutputRecord(REQUESTS, 0, None, b"%d" % n) for n in range(4)])
    publisher.publish([OutputRecord(REQUESTS, 0, None, b"last")], transactional_id="sender")
    connection = sqlite3.connect(log.path)
    with connection:
        connection.execute("DELETE FROM record WHERE id & 0xFF = ?", (offset,))
    connection.close()

    with pytest.raises(Unreadable, match=f"record {offset} of partition 0 is damaged or missing"):
        log.everything(REQUESTS, 0)


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = EmbeddedHarness(tmp_path_factory.mktemp("undamaged"))
    log.make_topics()
    publisher = log.publisher()
    for number in range(20):
        records = [OutputRecord(REQUESTS, n % 3, b"k%d" % n, b"%d " % n * 9) for n in range(30)]
        publisher.publish(records, transactional_id="sender" if number % 2 else None)
        log.clock.advance(7)
    publisher.close()
    return log.path


def _is_seen_or_harmless(undamaged: Path, folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(undamaged.read_bytes())
    for _ in range(chance.randint(1, 3)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    if seed % 10 == 0:
        del content[chance.randrange(len(content)) :]
    (folder / "gate.log").write_bytes(content)
    truth, damaged = EmbeddedHarness(undamaged.parent), EmbeddedHarness(folder)
    for partition in range(3):
        expected = truth.everything(REQUESTS, partition)
        try:
            found = damaged.everything(REQUESTS, partition)
        except (ConfigInvalid, Unreadable, Unreachable, Lost):
            continue
        assert found == expected[: len(found)], "silently wrong"


@pytest.mark.parametrize("seed", range(40))
def test_damage_is_seen_or_leaves_a_prefix(undamaged: Path, tmp_path: Path, seed: int) -> None:
    _is_seen_or_harmless(undamaged, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 440))
def test_any_damage_is_seen_or_leaves_a_prefix(undamaged: Path, tmp_path: Path, seed: int) -> None:
    _is_seen_or_harmless(undamaged, tmp_path, seed)


def test_ids_come_from_the_source_given(tmp_path: Path) -> None:
    ids = iter(["cluster", "first", "second", "unused"])
    admin = EmbeddedAdmin(tmp_path / "log", lambda: next(ids))
    names = ("a", "b")
    admin.create_topics([TopicSpec(name=name, partition_count=1, settings={}) for name in names])
    reader = EmbeddedReader(tmp_path / "log")

    assert reader.cluster_id() == "cluster"
    found = [reader.topic(name) for name in names]
    assert [topic.topic_id for topic in found if topic] == ["first", "second"]


def test_a_slice_ends_after_eight_mebibytes(log: EmbeddedHarness) -> None:
    value = bytes(1024 * 1024)
    log.publisher().publish([OutputRecord(REQUESTS, n % 2, None, value) for n in range(24)])
    member = log.joined()
    member.resume(0, offset=0)
    member.resume(1, offset=0)
    found = log.reader().read(TopicPartition(REQUESTS, 0), offset=0, records_max=100)
    sizes = []
    while records := member.poll(records_max=100, timeout_ms=0).records:
        sizes.append(len(records))

    assert (len(found.records), found.next_offset) == (9, 9)
    assert sum(sizes) == 24
    assert max(sizes) <= 18


# --- the seat


def test_a_second_gate_is_refused_and_does_not_disturb_the_first(log: EmbeddedHarness) -> None:
    member, output = log.joined(), log.opened()
    other = EmbeddedHarness(log.path.parent)

    with pytest.raises(Fenced, match=f"slot_in_use: process {os.getpid()} runs a gate"):
        other.opened()
    with pytest.raises(Fenced, match="slot_in_use"):
        other.input().poll(records_max=1, timeout_ms=0)
    log.commit(output, [approval()], [OffsetCommit(0, 1, "")], member.group_identity())
    member.close()
    output.close()
    other.joined()


def test_the_seat_is_free_only_when_all_parts_let_go(log: EmbeddedHarness) -> None:
    member, output = log.joined(), log.opened()
    output.close()
    output.close()
    with pytest.raises(Fenced):
        EmbeddedHarness(log.path.parent).opened()
    member.close()
    member.close()
    EmbeddedHarness(log.path.parent).opened()


GATE = """
import sys
from pathlib import Path
from tests.conformance.harness import GROUP, EmbeddedHarness, APPROVED, REQUESTS
from gate.ports import OffsetCommit, OutputRecord
log = EmbeddedHarness(Path(sys.argv[1]))
member, output = log.joined(), log.opened()
print("running", flush=True)
number = 0
while True:
    number += 1
    records = [OutputRecord(APPROVED, partition, b"k", b"%d" % number) for partition in range(3)]
    offsets = [OffsetCommit(partition, number, str(number)) for partition in range(3)]
    log.commit(output, records, offsets, member.group_identity())
"""


@contextmanager
def gate_process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", GATE, str(folder)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        yield process
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()


def test_readers_and_publishers_work_beside_a_running_gate(log: EmbeddedHarness) -> None:
    with gate_process(log.path.parent) as process:
        reader, publisher = log.reader(), EmbeddedPublisher(log.path, SystemClock())
        for number in range(50):
            assert list(publisher.publish([OutputRecord(REQUESTS, 0, None, b"r")])) == [number]
            committed = reader.committed(GROUP, REQUESTS, [0])[0]
            last = reader.last(TopicPartition(APPROVED, 0))
            if committed is not None:
                assert last is not None
                assert int(last.value or b"") >= int(committed.metadata)
        with pytest.raises(Fenced, match=f"process {process.pid} runs a gate"):
            log.opened()
        assert not reader.group_is_empty(GROUP)


def test_a_killed_gate_leaves_whole_transactions_and_a_free_seat(log: EmbeddedHarness) -> None:
    for _ in range(3):
        with gate_process(log.path.parent):
            time.sleep(0.05)
        committed = log.reader().committed(GROUP, REQUESTS, [0, 1, 2])
        numbers = {offset.metadata for offset in committed.values() if offset}
        last = [log.reader().last(TopicPartition(APPROVED, partition)) for partition in range(3)]
        assert numbers == {(record.value or b"").decode() for record in last if record}
        assert len(numbers) == 1
        assert log.reader().group_is_empty(GROUP)
    log.opened()


def test_a_reader_needs_no_gate_and_writes_nothing(log: EmbeddedHarness) -> None:
    log.publisher().publish([OutputRecord(REQUESTS, 0, None, b"r")])
    before = log.path.read_bytes()
    reader = log.reader()

    assert [record.value for record in log.everything(REQUESTS, 0)] == [b"r"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM record")
    assert log.path.read_bytes() == before


def test_poll_wakes_for_a_record_that_comes_while_it_waits(log: EmbeddedHarness) -> None:
    publisher = log.publisher()
    member = log.joined()
    member.resume(0, offset=0)
    waited_ms = []

    def publish_once() -> None:
        waited_ms.append(log.clock.monotonic_ms())
        if len(waited_ms) == 3:
            publisher.publish([OutputRecord(REQUESTS, 0, None, b"late")])

    log.clock.on_advance(publish_once)
    found = member.poll(records_max=10, timeout_ms=1_000).records

    assert [record.value for record in found] == [b"late"]
    assert waited_ms == [5, 10, 15]


# --- failing disks


def test_a_full_disk_aborts_and_says_what_to_do(log: EmbeddedHarness) -> None:
    output = log.opened()
    (pages,) = output._connection.execute("PRAGMA page_count").fetchone()
    output._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    output.begin()
    output.produce(approval(bytes(100_000)))

    with pytest.raises(TransactionAborted, match="disk full: nothing was written; free some space"):
        output.commit()
    output.abort()
    assert log.everything(APPROVED, 0) == []
    output._connection.execute("PRAGMA max_page_count = 1000000")
    log.commit(output, [approval(bytes(100_000))])
    assert [len(record.value or b"") for record in log.everything(APPROVED, 0)] == [100_000]


@contextmanager
def file_size_limited(path: Path) -> Iterator[None]:
    """Let every write beyond the present size of the write-ahead log fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_commit_that_fails_while_writing_is_of_unknown_outcome(log: EmbeddedHarness) -> None:
    member, output = log.joined(), log.opened()
    log.commit(output, [approval(b"first")], [OffsetCommit(0, 1, "")], member.group_identity())
    output.begin()
    output.produce(approval(bytes(50_000)))
    output.send_offsets([OffsetCommit(0, 2, "")], member.group_identity())

    with file_size_limited(log.path), pytest.raises(OutcomeUnknown, match="check the disk"):
        output.commit()
    with pytest.raises(AssertionError, match="after an unknown outcome"):
        output.abort()
    output.renew()
    log.commit(output, [approval(b"again")], [OffsetCommit(0, 2, "")], member.group_identity())
    assert [record.value for record in log.everything(APPROVED, 0)] == [b"first", b"again"]


def test_a_publisher_whose_commit_fails_says_so(log: EmbeddedHarness) -> None:
    publisher = log.publisher()
    publisher.publish([approval(b"first")])

    with file_size_limited(log.path), pytest.raises(OutcomeUnknown):
        publisher.publish([approval(bytes(50_000))])
    assert list(publisher.publish([approval(b"second")])) == [1]


def test_a_writer_that_never_lets_go_aborts_the_commit(
    log: EmbeddedHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.adapters.embedded.file._BUSY_MS", 60)
    output = log.opened()
    blocker = sqlite3.connect(log.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    output.begin()
    output.produce(approval())

    with pytest.raises(TransactionAborted, match="another process has been writing"):
        output.commit()
    with pytest.raises(Unreachable):
        log.output().open()
    blocker.execute("ROLLBACK")
    output.abort()
    log.commit(output, [approval()])


def test_an_input_without_its_topic_is_refused(log: EmbeddedHarness) -> None:
    with pytest.raises(ConfigInvalid, match="has no topic `other`: run `gate init-lineage`"):
        EmbeddedInput(log.path, seat=log.seat, group_id=GROUP, topic="other", clock=log.clock)


def test_a_folder_without_write_access_has_no_seat(tmp_path: Path) -> None:
    seat = Seat(tmp_path / "nowhere" / "log", SystemClock())

    with pytest.raises(ConfigInvalid, match="check the folder's permissions"):
        seat.take(object())


@pytest.mark.slow
def test_producing_and_consuming_cost_microseconds(tmp_path: Path) -> None:
    path, clock = tmp_path / "log", SystemClock()
    EmbeddedAdmin(path).create_topics(
        [TopicSpec(name=name, partition_count=6, settings={}) for name in (REQUESTS, APPROVED)]
    )
    seat = Seat(path, clock)
    output = EmbeddedOutput(
        path, seat=seat, transactional_id="t", input_topic=REQUESTS, clock=clock
    )
    output.open()
    member = EmbeddedInput(path, seat=seat, group_id=GROUP, topic=REQUESTS, clock=clock)
    for partition in member.poll(records_max=1, timeout_ms=0).assigned:
        member.resume(partition, offset=0)
    value, produced, consumed = bytes(range(250)), [], []
    for _ in range(20):
        started = time.perf_counter()
        output.begin()
        for number in range(4_000):
            output.produce(OutputRecord(REQUESTS, number % 6, b"key", value))
        output.commit()
        produced.append((time.perf_counter() - started) / 4_000)
        started = time.perf_counter()
        assert len(member.poll(records_max=4_000, timeout_ms=0).records) == 4_000
        consumed.append((time.perf_counter() - started) / 4_000)

    assert min(produced) < 8e-6
    assert min(consumed) < 4e-6


def test_a_clock_before_1970_appends_nothing(log: EmbeddedHarness) -> None:
    """Time 0 marks the end of a transaction: a record must never carry it."""
    log.clock.shift_wall(-log.clock.now_ms() - 5)
    with pytest.raises(TransactionAborted, match="clock"):
        log.publisher().publish([approval()])
    assert log.everything(APPROVED, 0) == []
