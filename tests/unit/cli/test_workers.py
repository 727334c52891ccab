"""Workers: what is refused before one is started, and how they end together.

The workers here are small Python programs; real gates are run by `tests/kafka/test_workers.py`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.unit.cli.harness import without_gate_variables

ROOT = Path(__file__).parents[3]
PARENT = """
import sys
from pathlib import Path
from gate.cli import workers
workers._started = lambda worker, handle: workers.subprocess.Popen(
    [sys.executable, "-c", worker.arguments[0], str(handle)], pass_fds=(handle,), process_group=0
)
workers.STOP_SECONDS_MAX, workers._GRACE_SECONDS = {deadline}, 0.0
made = [workers.Worker(f"w-{{number}}", (text,), {{}}) for number, text in enumerate(sys.argv[1:])]
with workers._signals_held(), workers._lifeline() as handle:
    workers.os.write(1, b"started\\n")
    sys.exit(workers._Workers(made, handle, {may_end}).run())
"""
GATE = """
import os, sys
from gate.cli.stop_signals import stop_request
with stop_request(int(sys.argv[1])) as stop:
    os.write(1, b"up\\n")
    while not stop():
        stop._is_done.wait(0.01)
os.write(1, b"in order\\n")
sys.exit(stop.code)
"""
DEAF = "import os, time; os.write(1, b'up\\n'); time.sleep(60)"
ALL_UP = """
import os, sys, time
os.write(1, b"up\\n")
while os.path.exists(os.environ["NOT_ALL_UP"]):
    time.sleep(0.01)
"""


def _ends(code: int) -> str:
    return f"{ALL_UP}sys.exit({code})"


def _started(*bodies: str, deadline: float = 9.0, may_end: bool = False) -> "subprocess.Popen[str]":
    with tempfile.NamedTemporaryFile() as not_all_up:
        environment = {"PYTHONPATH": str(ROOT), "NOT_ALL_UP": not_all_up.name}
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT.format(deadline=deadline, may_end=may_end), *bodies],
            env={**without_gate_variables(), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = sorted(process.stdout.readline() for _ in range(len(bodies) + 1))
    assert lines == ["started\n", *["up\n"] * len(bodies)]
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_every_worker_in_order(number: int, code: int) -> None:
    with _started(GATE, GATE) as process:
        process.send_signal(number)
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (code, "in order\n" * 2)
    assert said == "stopping the workers: finishing their batches; once more to end now\n"


@pytest.mark.parametrize("code", [1, 4, 5, 70])
def test_the_code_of_the_first_that_dies_is_the_end_of_all(code: int) -> None:
    with _started(GATE, _ends(code), GATE) as process:
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (code, "in order\n" * 2)
    assert said == f"worker `w-1` ended by exit code {code}: stopping the others\n"


def test_a_worker_that_a_signal_ends_counts_as_a_bug() -> None:
    killed = f"{ALL_UP}os.kill(os.getpid(), 9)"
    with _started(GATE, killed) as process:
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out) == (70, "in order\n")
    assert said == "worker `w-1` ended by SIGKILL: stopping the others\n"


def test_a_worker_that_ends_by_itself_stops_the_others_too() -> None:
    with _started(GATE, _ends(0)) as process:
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "in order\n")


def test_workers_that_may_end_are_waited_for() -> None:
    slower = f"{ALL_UP}time.sleep(1.5); os.write(1, b'done\\n')"
    with _started(_ends(0), slower, may_end=True) as process:
        out, said = process.communicate(timeout=20)
    assert (process.returncode, out, said) == (0, "done\n", "")


def test_a_worker_that_does_not_stop_is_killed_after_its_deadline() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + DEAF
    with _started(deaf, _ends(5), deadline=1.0) as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 5
    assert said.endswith("killing what did not stop: w-0\n")


def test_a_second_signal_ends_the_workers_at_once() -> None:
    body = GATE.replace("while not stop():", "while True:")
    with _started(body) as process:
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("stopping the workers")
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        process.communicate(timeout=20)
    assert (process.returncode, time.monotonic() - asked < 8) == (130, True)


def test_a_worker_whose_starter_is_killed_stops_in_order() -> None:
    with _started(GATE) as process:
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        out, _ = process.communicate(timeout=20)
        assert out == "in order\n"
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}/cmdline").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(int(child), 0)


def test_an_embedded_log_has_one_gate(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shell.folder)
    ended = shell("run", "--workers", "2")
    assert (ended.code, ended.out) == (2, "")
    assert "an embedded log has one gate: run it without --workers" in ended.err


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("GATE_HEALTH__PORT", "65535", "`health.port`: expected an integer from 1 to 65535"),
        ("GATE_SLOT", "s" * 64, "`slot`: expected 1 to 64 ASCII letters"),
    ],
)
def test_what_no_worker_could_have_is_refused_before_one_is_started(
    shell, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    assert (
        shell("init", shell.folder / "new", "--domain", "a.b", "--kafka", "127.0.0.1:1").code == 0
    )
    monkeypatch.setenv(variable, value)
    ended = shell("run", "--config", shell.folder / "new" / "gate.toml", "--workers", "2")
    assert (ended.code, expected in ended.err) == (3, True), ended.err
