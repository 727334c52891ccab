"""Bounds a call of the client that does not keep its own timeout.

The call is made by a thread of its own, one for each producer. Who does not return is left behind
with its thread: a producer of the same transactional id fences it, so that nothing that it still
does can be committed.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread


class NoReturn(Exception):
    """The call had not returned in time; its thread may be in it for ever."""


class Caller:
    """Makes calls one at a time, each waited for no longer than told."""

    def __init__(self, name: str) -> None:
        """Name the thread; it begins with the first call, and the process ends without it."""
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._answers: SimpleQueue[Exception | None] = SimpleQueue()
        self._thread: Thread | None = None

    def __call__(self, call: Callable[[], None], *, timeout_s: float) -> None:
        """Return when the call has; raises what it raised, or `NoReturn`: then make no other."""
        if self._thread is None:
            self._thread = Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        self._calls.put(call)
        try:
            raised = self._answers.get(timeout=timeout_s)
        except Empty as late:
            raise NoReturn from late
        if raised is not None:
            raise raised

    def close(self) -> None:
        """Let the thread end once it can."""
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as raised:  # noqa: BLE001 - it is raised to who waits
                self._answers.put(raised)
            else:
                self._answers.put(None)
