"""Every exit code of the list, each reached by a command line."""

import errno
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gate import wiring
from gate.cli import main
from gate.cli.exits import Code, code_of
from gate.cli.main import COMMANDS, Entry
from gate.config import load_config
from gate.errors import (
    ConfigInvalid,
    Fenced,
    GateError,
    Lost,
    OutcomeUnknown,
    PartitionStopped,
    Pending,
    Pinned,
    StoreDamaged,
    StoreFailed,
    TransactionAborted,
    Unreachable,
    Unreadable,
)
from tests.unit.cli.harness import ISSUERS, POLICY, without_gate_variables

ROOT = Path(__file__).parents[3]

CODES = {
    ConfigInvalid: 3,
    Unreachable: 4,
    TransactionAborted: 4,
    OutcomeUnknown: 4,
    Pending: 4,
    Pinned: 4,
    Fenced: 5,
    Lost: 5,
    Unreadable: 5,
    StoreDamaged: 5,
    StoreFailed: 5,
}


@pytest.mark.parametrize(("kind", "code"), CODES.items(), ids=str)
def test_each_operating_error_has_its_code(kind, code):
    assert code_of(kind("text")) == code


def test_a_stopped_partition_needs_an_operator():
    assert code_of(PartitionStopped("pinned", 3, "text")) == 5


def test_no_operating_error_is_forgotten():
    assert set(GateError.__subclasses__()) - {PartitionStopped} >= set(CODES)


def test_0_the_answer_is_yes(shell):
    assert shell("config", "check") == (0, "ok: `dev.example/gate`\n", "")


def test_1_the_answer_is_no(shell):
    name = shell.request(signals={"credit_score": 500})
    ended = shell("decide", name, "--policy", POLICY)
    assert (ended.code, ended.out) == (
        1,
        "DENIED\n  no_permit: no rule allows this: see the policy's allow rules\n",
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nonsense",), "No such command 'nonsense'."),
        (("submti",), "No such command 'submti'. Did you mean 'submit'?"),
        (("init",), "Missing argument 'DIR'."),
        (("init-lineage",), "Missing option '--from'. Choose from: beginning, end"),
        (("keys", "show", "--output", "xml", "k"), "'xml' is not one of 'text', 'json'."),
        (("verify",), "name an evidence file, or two notes with --fork"),
        (("verify", "x"), "say whom to trust"),
    ],
)
def test_2_usage(shell, arguments, text):
    ended = shell(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert text in ended.err


def test_3_a_wrong_configuration_names_file_line_and_cure(shell):
    file = shell.folder / "gate.toml"
    file.write_text(file.read_text().replace("partitions = 4", "partitons = 4"))
    ended = shell("run")
    expected = "error: gate.toml:9: unknown key `log.partitons`: did you mean `log.partitions`\n"
    assert ended == (3, "", expected)


def test_3_a_key_that_others_may_read_is_refused_and_not_shown(shell):
    key = shell.folder / "keys/checkpoint.key"
    key.chmod(0o644)
    ended = shell("config", "check")
    assert ended.code == 3
    assert "expected mode 600, got 644" in ended.err
    secret = key.read_text().splitlines()[1]
    assert secret not in ended.err + ended.out


def test_4_no_gate_answers(gate):
    requester = ("--key", "keys/requester.key")
    ended = gate("submit", gate.request(), *requester, *ISSUERS, "--wait", "0.1")
    assert ended.code == 4
    assert "1 without an answer yet: is the gate running" in ended.err


def test_5_a_second_gate_is_told_who_runs_the_first(gate):
    settings = load_config(Path("gate.toml")).config
    with wiring.open_gate(settings, wiring.watching(settings).telemetry) as running:
        running.ports.output.open()
        ended = gate("run")
    assert ended.code == 5
    assert "slot_in_use: process" in ended.err


def test_70_a_bug_leaves_one_line_and_a_traceback_in_a_file(shell, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setitem(COMMANDS, "keys", Entry("no_such_module", "broken"))
    ended = shell("keys", "show", "x")
    assert (ended.code, ended.out, ended.err.count("\n")) == (70, "", 1)
    assert ended.err.startswith("error: this is a bug: ModuleNotFoundError: see `")
    file = Path(ended.err.split("`")[1])
    assert "no_such_module" in file.read_text()
    assert file.parent == tmp_path


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("keys",), ("runtime", "manifest")]
)
def test_4_an_output_that_takes_nothing_is_no_bug(shell, arguments):
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "gate", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**without_gate_variables(), "PYTHONPATH": str(ROOT)},
            text=True,
            check=False,
            timeout=30,
        )
    assert (ended.returncode, ended.stderr) == (
        4,
        "error: output can not be written: no space left on device\n",
    )


def test_130_ctrl_c_is_told(shell, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "load", interrupted)
    assert shell("keys", "show", "x") == (130, "", "interrupted\n")


@pytest.mark.parametrize("imported", ["gate.cli.main", "typer"])
def test_130_ctrl_c_is_told_while_the_command_line_is_imported(imported):
    """An import that takes long enough for a Ctrl-C, as all of them together do."""
    code = f"""
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == {imported!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from gate.__main__ import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "gate", "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_141_a_reader_that_went_away_ends_the_command_quietly(shell, monkeypatch, tmp_path):
    class Gone:
        def __init__(self) -> None:
            self._file = (tmp_path / "out").open("w")

        def fileno(self) -> int:
            return self._file.fileno()

        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, text)

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stdout", Gone())
    assert shell("config", "check") == (Code.READER_GONE, "", "")
