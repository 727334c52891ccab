"""A record that kills the process twice by a fatal signal is not judged a third time."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import a_bundle, a_request, an_activation
from tests.worlds import EmbeddedWorld, outcomes

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(tmp_path: Path) -> EmbeddedWorld:
    world = EmbeddedWorld(tmp_path, partitions=1)
    world.init()
    world.control(an_activation(a_bundle(), topic_id=world.topic_id))
    for number in range(3):
        loan = f"L-{number}"
        world.submit((loan.encode(), a_request(loan_id=loan, request_id=f"r-{number}")))
    return world


def _run(world: EmbeddedWorld, signal_name: str, request_id: str = "r-1"):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.integration.poisoned_gate",
            str(world.path.parent),
            request_id,
            signal_name,
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_the_third_start_stops_and_names_the_record(world: EmbeddedWorld, name: str) -> None:
    for _ in range(2):
        assert _run(world, name).returncode == -getattr(signal, name)
    third = _run(world, name)
    assert third.returncode == 5, third.stderr
    assert "crash_suspect" in third.stdout
    assert "offset 3" in third.stdout
    assert world.decisions() == []


def test_kill_9_never_counts(world: EmbeddedWorld) -> None:
    for _ in range(3):
        assert _run(world, "SIGKILL").returncode == -signal.SIGKILL
    assert _run(world, "SIGKILL", request_id="none").returncode == 0
    assert outcomes(world.decisions()) == [
        ("r-0", "approved"),
        ("r-1", "approved"),
        ("r-2", "approved"),
    ]


def test_two_records_that_kill_once_each_do_not_count_together(world: EmbeddedWorld) -> None:
    assert _run(world, "SIGSEGV", "r-1").returncode == -signal.SIGSEGV
    assert _run(world, "SIGSEGV", "r-2").returncode == -signal.SIGSEGV
    assert _run(world, "SIGSEGV", "none").returncode == 0
