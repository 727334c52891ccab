"""The real process dies at random moments, is stopped by signals, and is started twice."""

import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.builders import a_bundle, a_request, an_activation, loan_partition
from tests.lines import check_lines
from tests.processes import ProcessWorld
from tests.simulation.gate_world import OPEN_POLICY
from tests.worlds import TOPICS

pytestmark = pytest.mark.integration
REQUESTS = 1_500


def _world(folder: Path, *, batch_records_max: int = 40) -> ProcessWorld:
    world = ProcessWorld(folder, partitions=2, batch_records_max=batch_records_max)
    world.init()
    world.control(
        an_activation(a_bundle(requester="open", source=OPEN_POLICY), topic_id=world.topic_id)
    )
    draw = random.Random(7)
    values = []
    for number in range(REQUESTS):
        loan = f"L-{draw.randrange(REQUESTS // 2)}"
        request = a_request(loan_id=loan, score=None, signer=None, request_id=f"r-{number}")
        values.append((loan.encode(), request))
    world.submit(*values)
    return world


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with input that no gate has seen; copied for each run."""
    folder = tmp_path_factory.mktemp("prepared")
    _world(folder)
    return folder


def _copy(prepared: Path, tmp_path: Path) -> ProcessWorld:
    folder = tmp_path / "run"
    shutil.copytree(prepared, folder)
    world = ProcessWorld.__new__(ProcessWorld)
    ProcessWorld.__init__(world, folder, partitions=2, batch_records_max=40)
    return world


def _decided(world: ProcessWorld) -> int:
    return len(world.records(TOPICS.approved)) + len(world.records(TOPICS.denied))


def _await_commits(process: subprocess.Popen[str], count: int) -> None:
    """Return when so many transactions are committed, by the process's own events."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and json.loads(line)["event"] == "transaction_committed":
            count -= 1
            if count <= 0:
                return


@pytest.mark.parametrize("run", range(5))
def test_kill_9_loses_nothing_and_approves_nothing_twice(
    prepared: Path, tmp_path: Path, run: int
) -> None:
    _kill_and_finish(_copy(prepared, tmp_path), seed=run)


@pytest.mark.slow
@pytest.mark.parametrize("run", range(5, 25))
def test_twenty_more_kills(prepared: Path, tmp_path: Path, run: int) -> None:
    _kill_and_finish(_copy(prepared, tmp_path), seed=run)


def _kill_and_finish(world: ProcessWorld, *, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(2):
        process = world.start()
        _await_commits(process, draw.randrange(1, 6))
        time.sleep(draw.randrange(0, 60) / 1000)
        process.kill()
        process.wait()
        process.stderr.close()
        assert _decided(world) < REQUESTS, "the kill came too late to prove anything"
        if draw.random() < 0.3:
            shutil.rmtree(world.folder / "state")
    code, errors = world.finish()
    assert code == 0, errors
    assert _decided(world) == REQUESTS
    check_lines(world)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_the_batch_and_closes_within_ten_seconds(
    prepared: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    world = _copy(prepared, tmp_path)
    process = world.start()
    _await_commits(process, 3)
    started = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - started < 10
    assert process.returncode == code, errors
    assert '"gate_stopped"' in errors
    code, errors = world.finish()
    assert code == 0
    assert "restore_progressed" not in errors, "a closed store needs no replay"
    check_lines(world)


def test_a_second_process_with_the_same_slot_ends_with_exit_5(
    prepared: Path, tmp_path: Path
) -> None:
    world = _copy(prepared, tmp_path)
    first = world.start()
    _await_commits(first, 1)
    code, errors = world.finish()
    assert code == 5
    assert "slot_in_use" in errors
    first.terminate()
    first.communicate(timeout=10)
    assert world.finish()[0] == 0
    check_lines(world)


def test_a_store_of_another_lineage_is_refused_with_both_ids(
    prepared: Path, tmp_path: Path
) -> None:
    """It may know of approvals that this log has lost: an operator decides."""
    world = _copy(prepared, tmp_path / "one")
    other = _world(tmp_path / "other-folder")
    assert other.finish()[0] == 0
    shutil.copytree(other.folder / "state", world.folder / "state")
    code, errors = world.finish()
    assert code == 5, errors
    assert "topic_changed" in errors
    assert world.topic_id in errors
    assert other.topic_id in errors
    shutil.rmtree(world.folder / "state")
    code, errors = world.finish()
    assert code == 0, errors
    check_lines(world)


def test_an_older_store_is_topped_up(prepared: Path, tmp_path: Path) -> None:
    world = _copy(prepared, tmp_path)
    process = world.start()
    _await_commits(process, 3)
    process.terminate()
    process.communicate(timeout=10)
    shutil.copytree(world.folder / "state", tmp_path / "old")
    assert world.finish()[0] == 0
    loan = "L-NEW"
    assert loan_partition(loan, 2) in {0, 1}
    world.submit((b"L-NEW", a_request(loan_id=loan, score=None, signer=None)))
    shutil.rmtree(world.folder / "state")
    shutil.copytree(tmp_path / "old", world.folder / "state")
    code, errors = world.finish()
    assert code == 0, errors
    assert "restore_progressed" in errors
    check_lines(world)


def test_a_newer_store_is_refused_with_both_numbers(prepared: Path, tmp_path: Path) -> None:
    """The log was set back to an old backup; the store knows more than the log."""
    world = _copy(prepared, tmp_path)
    assert world.finish()[0] == 0
    for name in ("log.sqlite", "log.sqlite-wal", "log.sqlite-shm"):
        (world.folder / name).unlink(missing_ok=True)
        if (prepared / name).exists():
            shutil.copy(prepared / name, world.folder / name)
    code, errors = world.finish()
    assert code == 5, errors
    assert "state_ahead" in errors
