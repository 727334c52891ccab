"""One gate on the run's broker for tests of the command line: folder, lineage, policy in force.

Its name is `gate`, that of a fresh `gate init`; other tests of this folder use another. A static
member stays in its group for 20 s after it ended, so the gate is begun once for all tests.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gate import wiring
from gate.cli.main import main
from gate.config import load_config
from tests.kafka.local import LocalKafka
from tests.unit.cli.harness import ACTIVATORS, POLICY, Ended, Shell, without_gate_variables

ROOT = Path(__file__).parents[2]


_begun: list[Path] = []


@pytest.fixture(scope="session")
def kafka_gate_folder(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's gate, also where several modules import this; policy in force, stopped."""
    if not _begun:
        folder = tmp_path_factory.mktemp("kafka-cli") / "gate"
        assert main(["init", str(folder), "--kafka", kafka.bootstrap]) == 0
        with contextlib.chdir(folder):
            wiring.create_topics(load_config(Path("gate.toml")).config)
            assert main(["init-lineage", "--from", "beginning"]) == 0
            author = ("--author-key", "keys/author.key")
            assert main(["policy", "activate", POLICY, *author, *ACTIVATORS]) == 0
            assert main(["run", "--until-caught-up"]) == 0
        _begun.append(folder)
    return _begun[0]


@pytest.fixture
def on_kafka(
    kafka_gate_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """Give a person in the gate's folder."""
    monkeypatch.chdir(kafka_gate_folder)
    return Shell(kafka_gate_folder, capsys)


@contextlib.contextmanager
def beside(folder: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command of the gate in a process of its own, for the time of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gate", *command],
        cwd=folder,
        env={**without_gate_variables(), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=20)


@pytest.fixture
def running_on_kafka(on_kafka: Shell) -> Iterator[Shell]:
    """Run the gate beside the test."""
    with beside(on_kafka.folder, "run") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "partition_ready" in line:
                break
        os.set_blocking(process.stderr.fileno(), False)
        yield on_kafka
        process.terminate()
        process.wait(timeout=20)


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process to end."""
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)


def unique(word: str) -> str:
    """Return a name that no other test of this run uses."""
    return f"{word}-{time.monotonic_ns()}"
