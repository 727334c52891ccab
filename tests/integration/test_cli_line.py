"""The line of a newcomer, from an empty folder to evidence, each command a process of its own."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

from tests.unit.cli.harness import (
    ACTIVATORS,
    ISSUERS,
    POLICY,
    without_gate_variables,
    write_request,
)

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**without_gate_variables(), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
COMMAND = (sys.executable, "-m", "gate")
REQUESTER = ("--key", "keys/requester.key")
STOP_SECONDS_MAX = 10


def run(folder: Path, *arguments: str, expected: int = 0) -> str:
    ended = subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == expected, ended.stderr
    return ended.stdout if not expected else ended.stderr


class Running:
    """`gate run` in a process."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "run"],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        for line in self.process.stderr:
            self.lines.append(line)
            if sum('"partition_ready"' in known for known in self.lines) == 4:
                return self
        raise AssertionError("".join(self.lines))

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def stopped_by(self, number: int) -> tuple[int, float]:
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=STOP_SECONDS_MAX)
        return code, time.monotonic() - started


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("line") / "gate"
    run(folder.parent, "init", str(folder))
    run(folder, "init-lineage", "--from", "beginning")
    run(folder, "policy", "activate", POLICY, "--author-key", "keys/author.key", *ACTIVATORS)
    run(folder, "run", "--until-caught-up")
    return folder


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return shutil.copytree(made, tmp_path / "gate")


def test_from_an_empty_folder_to_evidence_that_another_process_verifies(folder, tmp_path):
    name = write_request(folder, request_id="req-1")
    run(folder, "submit", name, *REQUESTER, *ISSUERS)
    run(folder, "run", "--until-caught-up")
    run(folder, "evidence", "req-1", "-o", "e.json")
    shown = json.loads(run(folder, "keys", "show", "keys/checkpoint.key", "--output", "json"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(folder / "e.json", elsewhere)
    trusted = ("--key", shown["public_key"], "--log", "dev.example/gate/", "--output", "json")
    answer = json.loads(run(elsewhere, "verify", "e.json", *trusted))
    assert (answer["verified"], answer["entry"]["request_id"]) == (True, "req-1")
    assert answer["re_decided"]
    totals = json.loads(run(folder, "audit", "--output", "json"))["totals"]
    assert totals["input_records"] + totals["genesis"] == totals["entries"] == 9
    assert totals["keys_approved_twice"] == 0


def test_beside_a_running_gate_requests_and_policies_are_answered(folder):
    with Running(folder) as gate:
        name = write_request(folder)
        submit = ("submit", name, *REQUESTER, *ISSUERS, "--wait", "10")
        assert "APPROVED" in run(folder, *submit)
        policy = folder / POLICY
        policy.write_text(
            policy.read_text().replace("sequence: 7", "sequence: 8").replace("1.0.3", "1.0.4")
        )
        author = ("--author-key", "keys/author.key")
        answers = run(folder, "policy", "activate", POLICY, *author, *ACTIVATORS, "--yes")
        assert [line.split(": ")[1] for line in answers.splitlines()] == ["accepted"] * 4
        refused = run(folder, "run", expected=5)
        assert f"slot_in_use: process {gate.process.pid} runs a gate" in refused
        code, _ = gate.stopped_by(signal.SIGTERM)
    assert code == 0


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_the_gate_in_good_order(folder, number, expected):
    with Running(folder) as gate:
        code, seconds = gate.stopped_by(number)
        said = gate.process.stderr.read()
    assert (code, seconds < STOP_SECONDS_MAX) == (expected, True)
    assert "stopping: finishing the batch" in said
    assert '"gate_stopped"' in said
    run(folder, "run", "--until-caught-up")


def test_ctrl_c_ends_any_waiting_command_as_an_interruption(folder):
    name = write_request(folder)
    policy = ("--policy", POLICY)
    with subprocess.Popen(
        [*COMMAND, "submit", name, *REQUESTER, *ISSUERS, *policy, "--wait", "60"],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as waiting:
        assert waiting.stdout.readline().startswith("request `")  # published: it waits now
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=STOP_SECONDS_MAX)
    assert (waiting.returncode, said) == (130, "interrupted\n")


def test_a_gate_that_was_killed_is_started_again_and_goes_on(folder):
    with Running(folder) as gate:
        gate.process.kill()
        gate.process.wait()
    name = write_request(folder, request_id="after")
    run(folder, "submit", name, *REQUESTER, *ISSUERS)
    run(folder, "run", "--until-caught-up")
    run(folder, "evidence", "after", "-o", "e.json")


def test_a_reader_that_goes_away_leaves_no_complaint(folder):
    with subprocess.Popen(
        [*COMMAND, "config", "show"],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as writing:
        writing.stdout.close()
        said = writing.stderr.read()
    assert (writing.returncode, said) == (141, "")


def test_help_is_there_at_once():
    started = time.monotonic()
    run(ROOT, "--help")
    assert time.monotonic() - started < 5  # 0.2 s on an idle machine
