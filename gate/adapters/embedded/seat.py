"""The gate's place on the file: one gate per embedded log.

A lock on a side file. Input and output of one gate share a seat; readers and publishers take none.
"""

import os
from pathlib import Path

from gate.adapters import lock_file
from gate.errors import Fenced
from gate.ports import Clock


def _side_file(path: Path) -> Path:
    return path.with_name(path.name + ".seat")


def is_taken(path: Path) -> bool:
    """Say whether a living process holds the seat of this log."""
    return lock_file.is_taken(_side_file(path))


class Seat:
    """The seat of one gate on one embedded log; held while any part of the gate uses it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._log = path
        self._clock = clock
        self._handle = -1
        self._users: set[object] = set()

    def take(self, user: object) -> None:
        """Take the seat for a part of this gate. Raises `Fenced` (`slot_in_use`)."""
        if not self._users:
            try:
                self._handle = lock_file.take(_side_file(self._log), self._clock)
            except lock_file.Taken as taken:
                raise Fenced(
                    f"slot_in_use: {taken.holder} runs a gate on embedded log `{self._log}`: "
                    "stop it first"
                ) from taken
        self._users.add(user)

    def release(self, user: object) -> None:
        """Let go; the last part to do so frees the seat. A second call does nothing."""
        if user in self._users:
            self._users.remove(user)
            if not self._users:
                os.close(self._handle)
