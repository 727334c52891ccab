"""`gate run --workers N`: N gates on this machine, each a process and a slot of its own.

Promises that the workers end together: when one dies the others are stopped and this process ends
with its exit code; Ctrl-C and SIGTERM reach each worker once; and when this process dies, however
it does, the workers see the end of a pipe and stop. They write to this process's stderr.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from gate.cli.exits import Code, Usage
from gate.cli.options import configured
from gate.cli.screen import tell
from gate.cli.start_check import check_start
from gate.cli.stop_signals import STOP_SECONDS_MAX, STOP_SIGNALS, held_signal

WORKERS_MAX: Final = 64
_LOOK_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 2.0


class Worker(NamedTuple):
    """One gate to be: its slot, its command line, its own variables."""

    slot: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def run_workers(file: Path, flags: Mapping[str, str], count: int, options: Sequence[str]) -> int:
    """Run `count` workers to their end and return the exit code.

    That is the code of the worker that died first, 70 where a signal ended it, 130 after Ctrl-C,
    0 after SIGTERM, or when each ended by itself with 0. Raises `Usage` for an embedded log,
    `ConfigInvalid`, `Unreachable` before anything is started.
    """
    settings = configured(file, flags)
    if settings.log.kind == "embedded":
        raise Usage(
            "an embedded log has one gate: run it without --workers, or put the topics on Kafka"
        )
    workers = []
    for number in range(count):
        own = {"slot": f"{settings.slot}-{number}"}
        if settings.health.port is not None:
            own["health.port"] = str(settings.health.port + number)
        configured(file, {**flags, **own})
        workers.append(_worker(file, own, options))
    check_start(settings)
    with _signals_held(), _lifeline() as handle:
        return _Workers(workers, handle, "--until-caught-up" in options).run()


def _worker(file: Path, own: Mapping[str, str], options: Sequence[str]) -> Worker:
    port = own.get("health.port")
    return Worker(
        own["slot"],
        ("run", "--config", str(file), "--slot", own["slot"], *options),
        {} if port is None else {"GATE_HEALTH__PORT": port},
    )


class _Workers:
    """Running workers, and what has been asked of them."""

    def __init__(self, workers: Sequence[Worker], handle: int, may_end: bool) -> None:
        self._may_end = may_end
        """Whether a worker may end with 0 while the others go on."""
        self._code: int | None = None
        self._asked: int | None = None
        self._is_ending_now = False
        self._kills_at: float | None = None
        self._running = {worker.slot: _started(worker, handle) for worker in workers}

    def run(self) -> int:
        try:
            while self._running:
                taken = held_signal()
                if taken is None:
                    time.sleep(_LOOK_SECONDS)
                else:
                    self._ask(taken)
                self._bury()
                self._kill_late()
        finally:
            self._signal(signal.SIGKILL)
        if self._code is not None:
            return self._code
        if self._is_ending_now:
            return Code.INTERRUPTED
        return Code.INTERRUPTED if self._asked == signal.SIGINT else Code.YES

    def _ask(self, taken: int) -> None:
        """Answer a signal: the first asks the workers to stop, the second ends them at once.

        They are killed then: a second equal signal is lost on a worker that has not met the first.
        """
        if self._asked is None:
            tell("stopping the workers: finishing their batches; once more to end now")
            self._asked = taken
            self._stop(taken)
        else:
            self._is_ending_now = True
            self._signal(signal.SIGKILL)

    def _bury(self) -> None:
        """Take note of who ended; the first death decides, and stops the others."""
        for slot, process in list(self._running.items()):
            ended = process.poll()
            if ended is None:
                continue
            del self._running[slot]
            is_orderly = ended in {Code.YES, Code.INTERRUPTED} and self._kills_at is not None
            if (
                is_orderly
                or self._is_ending_now
                or (ended == Code.YES and self._may_end)
                or self._code is not None
            ):
                continue
            self._code = Code.BUG if ended < 0 else ended
            how = f"exit code {ended}" if ended >= 0 else signal.Signals(-ended).name
            rest = ": stopping the others" if self._running else ""
            tell(f"worker `{slot}` ended by {how}{rest}")
            if self._kills_at is None:
                self._stop(signal.SIGTERM)

    def _stop(self, number: int) -> None:
        """Pass a signal on; a worker ends itself at its deadline, and is ended soon after it."""
        self._signal(number)
        if self._kills_at is None:
            self._kills_at = time.monotonic() + STOP_SECONDS_MAX + _GRACE_SECONDS

    def _kill_late(self) -> None:
        if self._kills_at is not None and self._running and time.monotonic() > self._kills_at:
            tell(f"killing what did not stop: {', '.join(sorted(self._running))}")
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for process in self._running.values():
            process.send_signal(number)


def _started(worker: Worker, handle: int) -> "subprocess.Popen[bytes]":
    """Start a worker in a process group of its own: Ctrl-C on a terminal must not meet it twice."""
    return subprocess.Popen(
        [sys.executable, "-m", "gate", *worker.arguments, "--worker-of", str(handle)],
        env={**os.environ, **worker.environment},
        stdin=subprocess.DEVNULL,
        pass_fds=(handle,),
        process_group=0,
    )


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM for `held_signal`, also in new workers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _lifeline() -> Iterator[int]:
    """Yield the reading end of a pipe whose writing end lives as long as this process."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)
