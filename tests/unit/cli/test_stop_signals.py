"""Signals: the first asks, the second ends at once, and so does a first one that is not served."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.cli.harness import without_gate_variables

ROOT = Path(__file__).parents[3]
BODY = """
import signal, sys, threading, time
from gate.cli import stop_signals
stop_signals.STOP_SECONDS_MAX = {seconds}
with stop_signals.stop_request() as stop:
    print("ready", flush=True)
    {body}
sys.exit(stop.code)
"""
SERVES = "while not stop(): time.sleep(0.01)"
HANGS = "time.sleep(30)"


def _started(body: str, *, seconds: float = 9.0) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", BODY.format(body=body, seconds=seconds)],
        env={**without_gate_variables(), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_first_signal_asks_to_stop(number, code):
    with _started(SERVES) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=5)
    assert (process.returncode, said.count("\n")) == (code, 1)


def test_the_second_signal_ends_a_process_that_hangs():
    with _started(HANGS) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline().startswith("stopping:")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=5)
    assert process.returncode == 130


def test_a_process_that_hangs_ends_at_the_deadline():
    started = time.monotonic()
    with _started(HANGS, seconds=0.4) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "could not stop within" in said
    assert time.monotonic() - started < 10


def test_without_a_signal_nothing_is_left_behind():
    with _started("pass") as process:
        _, said = process.communicate(timeout=5)
    assert (process.returncode, said) == (0, "")


def test_a_process_that_was_suspended_goes_on():
    with _started(SERVES) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.7)
        process.send_signal(signal.SIGCONT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=5)
    assert (process.returncode, said.count("\n")) == (0, 1)
