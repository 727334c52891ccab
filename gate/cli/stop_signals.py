"""Ctrl-C and SIGTERM: the first one asks to stop, the second ends at once.

A thread of its own takes the signals, because Python's handlers wait for the main thread, which
may be inside a library. What is not done within the deadline is left: an unfinished transaction
was never committed, and a store that was not closed is brought up to date at the next start.

A worker also stops when the process that started it is gone (`workers`).
"""

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gate.cli.exits import Code
from gate.cli.screen import tell

STOP_SECONDS_MAX: Final = 9.0
STOP_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM})
_LOOK_SECONDS: Final = 0.1


def held_signal() -> int | None:
    """Take a Ctrl-C or SIGTERM that this process holds back; `None` when there is none.

    It does not wait: a `sigtimedwait` that waits while a SIGSTOP comes and goes returns a signal
    that nobody sent.
    """
    taken = signal.sigtimedwait(STOP_SIGNALS, 0)
    return None if taken is None else taken.si_signo


class StopRequest:
    """Whether somebody asked this process to stop, and how."""

    def __init__(self, starter: int | None = None) -> None:
        """Begin without a request; `starter` is a pipe that ends with who started this process."""
        self._starter = starter
        self._asked = threading.Event()
        self._is_done = threading.Event()
        self.signal: int | None = None

    def __call__(self) -> bool:
        """Say whether to stop."""
        return self._asked.is_set()

    @property
    def code(self) -> Code:
        """The exit code of an orderly end: Ctrl-C is an interruption, SIGTERM is not."""
        return Code.INTERRUPTED if self.signal == signal.SIGINT else Code.YES

    def watch(self) -> None:
        """Wait for signals until `finish`; the thread's body."""
        first = self._next(None)
        if first is None:
            return
        self.signal = first
        self._asked.set()
        if self._starter is None:
            tell("stopping: finishing the batch; once more to end at once")
        second = self._next(STOP_SECONDS_MAX)
        if self._is_done.is_set():
            return
        if second is None:
            tell(f"could not stop within {STOP_SECONDS_MAX:.0f} s: ending now")
        os._exit(Code.INTERRUPTED)

    def finish(self) -> None:
        """End the watch."""
        self._is_done.set()

    def _next(self, seconds: float | None) -> int | None:
        waited = 0.0
        while not self._is_done.is_set() and (seconds is None or waited < seconds):
            taken = held_signal()
            if taken is not None:
                return taken
            if self.signal is None and self._is_orphan():
                return signal.SIGTERM
            self._is_done.wait(_LOOK_SECONDS)
            waited += _LOOK_SECONDS
        return None

    def _is_orphan(self) -> bool:
        return self._starter is not None and bool(select.select([self._starter], [], [], 0)[0])


@contextmanager
def stop_request(starter: int | None = None) -> Iterator[StopRequest]:
    """Take the signals of this process for the time of the block."""
    request = StopRequest(starter)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    watch = threading.Thread(target=request.watch, name="stop-signals", daemon=True)
    watch.start()
    try:
        yield request
    finally:
        request.finish()
        watch.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
