"""An exclusive lock of one process on a file; it ends with the process, however that ends."""

import fcntl
import os
from pathlib import Path
from typing import Final

from gate.errors import ConfigInvalid
from gate.ports import Clock

_TRIES: Final = 5
_TRY_INTERVAL_MS: Final = 50


class Taken(Exception):
    """Another living process has the lock; `holder` names it."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


def take(path: Path, clock: Clock) -> int:
    """Lock the file, made where it is missing, and return its handle; closing it lets go.

    The file then holds this process's id. Raises `Taken`, `ConfigInvalid`.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        text = f"`{path}` can not be opened: check the folder's permissions: {error}"
        raise ConfigInvalid(text) from error
    try:
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                # `is_taken` of another process holds the lock for a moment, too.
                if not left:
                    raise Taken(_holder(handle)) from error
                clock.sleep_ms(_TRY_INTERVAL_MS)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_taken(path: Path) -> bool:
    """Say whether a living process has the lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _holder(handle: int) -> str:
    written = os.pread(handle, 20, 0).decode("ascii", "replace")
    return f"process {written}" if written.isdigit() else "another process"
