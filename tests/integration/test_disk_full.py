"""The disk is full: the gate stops, says so, and goes on after a restart; nothing is lost."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import a_bundle, a_request, an_activation
from tests.lines import check_lines
from tests.processes import ProcessWorld
from tests.simulation.gate_world import OPEN_POLICY
from tests.worlds import TOPICS

pytestmark = pytest.mark.integration


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True, capture_output=True, timeout=10)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB, to be enlarged by `_enlarge`."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=10)


def _enlarge(folder: Path) -> None:
    _mount("-o", "remount,size=200m", str(folder))


def _requests(world: ProcessWorld, count: int) -> None:
    values = []
    for number in range(count):
        loan = f"L-{number}"
        request = a_request(loan_id=loan, score=None, signer=None, request_id=f"r-{number}")
        values.append((loan.encode(), request))
    world.submit(*values)


def _begin(world: ProcessWorld) -> None:
    world.init()
    world.control(
        an_activation(a_bundle(requester="open", source=OPEN_POLICY), topic_id=world.topic_id)
    )


def _decided(world: ProcessWorld) -> int:
    return len(world.records(TOPICS.approved)) + len(world.records(TOPICS.denied))


def test_a_full_disk_under_the_log_stops_and_loses_nothing(small_disk: Path) -> None:
    world = ProcessWorld(small_disk, batch_records_max=200)
    _begin(world)
    _requests(world, 3_000)
    code, errors = world.finish()
    assert code == 5, errors
    assert "disk full" in errors
    assert "free" in errors
    assert _decided(world) < 3_000
    _enlarge(small_disk)
    code, errors = world.finish()
    assert code == 0, errors
    assert _decided(world) == 3_000
    check_lines(world)


def test_a_full_disk_under_the_state_stops_and_loses_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    world = ProcessWorld(tmp_path / "world", batch_records_max=200)
    (small_disk / "ballast").write_bytes(bytes(2_990 * 1024))
    text = world.config.read_text(encoding="utf-8")
    world.config.write_text(
        text.replace('folder = "state"', f'folder = "{small_disk}/state"'), encoding="utf-8"
    )
    _begin(world)
    _requests(world, 3_000)
    code, errors = world.finish()
    assert code == 5, errors
    assert "state" in errors
    _enlarge(small_disk)
    code, errors = world.finish()
    assert code == 0, errors
    assert _decided(world) == 3_000
    check_lines(world)
