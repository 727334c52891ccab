"""`gate audit` and `gate replay` with `--resume`, `--kept` and `--partition`."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gate.cli import resuming
from gate.cli.main import main
from tests.unit.cli.harness import ISSUERS, Shell, without_gate_variables, write_request

SUBMIT = ("--key", "keys/requester.key", *ISSUERS)


@pytest.fixture(scope="session")
def _many_template(template_in_force, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli-many") / "gate"
    shutil.copytree(template_in_force, folder)
    with contextlib.chdir(folder):
        for number in range(6):
            loan = f"L-{number}"
            name = write_request(folder, resource=f"loan/{loan}", parameters={"loan_id": loan})
            assert main(["submit", name, *SUBMIT]) == 0
            assert main(["run", "--until-caught-up"]) == 0
    return folder


@pytest.fixture
def many(_many_template, tmp_path, monkeypatch, capsys) -> Shell:
    """Give a gate that decided six requests, each in a transaction of its own."""
    folder = tmp_path / "many"
    shutil.copytree(_many_template, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(resuming, "INTERVAL_MS", 0)
    return Shell(folder, capsys)


def interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Ctrl-C come after so many states were kept."""
    keep, left = resuming.Recording.keep, [count]

    def interrupted(self: resuming.Recording, *arguments: object) -> None:
        keep(self, *arguments)  # type: ignore[arg-type]
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(resuming.Recording, "keep", interrupted)


@pytest.mark.parametrize("command", ["audit", "replay"])
def test_what_ctrl_c_ended_goes_on_to_the_same_result(many, monkeypatch, command):
    whole = many(command, "--output", "json")
    assert whole.code == 0
    for count in range(1, 4):
        with monkeypatch.context() as patch:
            interrupt_after(count, patch)
            cut = many(command, "--resume", "at", "--output", "json")
            assert (cut.code, "interrupted" in cut.err) == (130, True)
    ended = many(command, "--resume", "at", "--output", "json")
    assert ended.code == 0
    assert ended.json() == whole.json()


@pytest.mark.parametrize("command", ["audit", "replay"])
def test_what_had_ended_goes_on_with_what_came_since(many, command):
    many(command, "--resume", "at")
    name = many.request(request_id="later", resource="loan/L-9", parameters={"loan_id": "L-9"})
    assert many("submit", name, *SUBMIT).code == 0
    assert many("run", "--until-caught-up").code == 0
    ended = many(command, "--resume", "at", "--output", "json")
    assert ended.json() == many(command, "--output", "json").json()


def test_a_file_of_another_command_gate_or_choice_is_refused(many):
    many("audit", "--resume", "at")
    ended = many("replay", "--resume", "at")
    assert (ended.code, ended.out) == (3, "")
    assert "is of another kind: expected `replay`, found `audit`: name another file" in ended.err
    ended = many("audit", "--resume", "at", "--partition", "0")
    assert (ended.code, "is of another partitions" in ended.err) == (3, True)
    assert many("init", "other").code == 0
    with contextlib.chdir("other"):
        assert many("init-lineage", "--from", "end").code == 0
        ended = many("audit", "--resume", "../at")
    assert (ended.code, "is of another lineage" in ended.err) == (3, True)


def test_a_damaged_file_says_what_to_do(many):
    many("audit", "--resume", "at")
    data = Path("at").read_text()
    Path("at").write_text(data.replace('"approved":', '"approveD":', 1))
    ended = many("audit", "--resume", "at")
    assert ended.code == 3
    assert "is damaged: its digest is not the one that it names: delete it and `" in ended.err


def test_partitions_can_be_audited_alone_and_that_is_said(many):
    ended = many("audit", "--partition", "1", "--partition", "2")
    assert ended.code == 0
    assert "2 of 4 partitions were audited: a key approved in another one as well" in ended.out


def test_a_kept_checkpoint_is_compared(many):
    (result,) = many("audit", "--output", "json").json()
    note = max(result["checkpoints"], key=lambda item: item["size"])["note"]
    Path("kept.note").write_text(note)
    assert many("audit", "--kept", "kept.note").code == 0
    lines = note.split("\n")
    lines[1] = str(int(lines[1]) + 100)
    Path("kept.note").write_text("\n".join(lines))
    ended = many("audit", "--kept", "kept.note", "--output", "json")
    assert ended.code == 1
    assert [item["fault"] for item in ended.json()[0]["findings"]] == ["kept_checkpoint_missing"]


def test_a_kept_file_that_is_no_checkpoint_is_refused(many):
    Path("kept.note").write_text(json.dumps({}))
    ended = many("audit", "--kept", "kept.note")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("error: kept checkpoint `kept.note`: note: expected text")


KILLED = (
    "import os, signal, sys\n"
    "from pathlib import Path\n"
    "from gate.cli import resuming\n"
    "from gate.cli.main import main\n"
    "resuming.INTERVAL_MS = 0\n"
    "left, replace = int(sys.argv[1]), Path.replace\n"
    "def killing(self, target):\n"
    "    global left\n"
    "    left -= 1\n"
    "    if left == 0:\n"
    "        os.kill(os.getpid(), signal.SIGKILL)\n"
    "    return replace(self, target)\n"
    "Path.replace = killing\n"
    "main(sys.argv[2:])\n"
)
"""The command line, killed after the keys of a state were written and before its file is."""


@pytest.mark.parametrize("command", ["audit", "replay"])
def test_what_was_killed_between_its_two_files_goes_on_to_the_same_result(many, command):
    whole = many(command, "--output", "json")
    for count in (1, 2, 4):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(count), command, "--resume", "at"],
            env={**without_gate_variables(), "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    ended = many(command, "--resume", "at", "--output", "json")
    assert (ended.code, ended.json()) == (0, whole.json())
