"""The gate's place on the file: one gate per embedded log.

A lock on a side file, so it ends with the process however the process ends. Input and output of
one gate share a seat; readers and publishers take none.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from gate.errors import ConfigInvalid, Fenced
from gate.ports import Clock

_TRIES: Final = 5
_TRY_INTERVAL_MS: Final = 50


def _side_file(path: Path) -> Path:
    return path.with_name(path.name + ".seat")


def is_taken(path: Path) -> bool:
    """Say whether a living process holds the seat of this log."""
    try:
        handle = os.open(_side_file(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


class Seat:
    """The seat of one gate on one embedded log; held while any part of the gate uses it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = _side_file(path)
        self._clock = clock
        self._handle = -1
        self._users: set[object] = set()

    def take(self, user: object) -> None:
        """Take the seat for a part of this gate. Raises `Fenced` (`slot_in_use`)."""
        if not self._users:
            self._handle = self._lock()
        self._users.add(user)

    def release(self, user: object) -> None:
        """Let go; the last part to do so frees the seat. A second call does nothing."""
        if user in self._users:
            self._users.remove(user)
            if not self._users:
                os.close(self._handle)

    def _lock(self) -> int:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            text = f"`{self._path}` can not be opened: check the folder's permissions: {error}"
            raise ConfigInvalid(text) from error
        try:
            for left in reversed(range(_TRIES)):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    # `is_taken` of another process holds the lock for a moment, too.
                    if not left:
                        raise Fenced(self._in_use(handle)) from error
                    self._clock.sleep_ms(_TRY_INTERVAL_MS)
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _in_use(self, handle: int) -> str:
        holder = os.pread(handle, 20, 0).decode("ascii", "replace")
        who = f"process {holder}" if holder.isdigit() else "another process"
        log = self._path.with_suffix("")
        return f"slot_in_use: {who} runs a gate on embedded log `{log}`: stop it first"
