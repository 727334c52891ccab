"""The record under judgement, remembered over a fatal signal. `design/bad-input.md` §3.

Three files in the state folder: a memory map with one offset per partition (written at every
record, kept by the kernel when the process dies), what `faulthandler` writes on SIGSEGV, SIGABRT
or SIGBUS, and how often which record was met by such a death. They are read at start. Deaths that
leave no report (kill -9, lack of memory, power loss) never count.
"""

import faulthandler
import json
import mmap
import os
from collections.abc import MutableSequence
from pathlib import Path

from gate.errors import StoreFailed

_NONE = b"\xff" * 8
_DEATHS_MAX = 2
_FATAL = ("Fatal Python error: Segmentation fault", "Fatal Python error: Aborted")
_FATAL_BUS = "Fatal Python error: Bus error"


class JudgingFile:
    """Implements `gate.ports.Judging`. One per process; takes over `faulthandler`."""

    def __init__(self, folder: Path, partition_count: int) -> None:
        """Count the last process's death, if it was one, and watch for this one's.

        Raises `StoreFailed` when the folder can not be written.
        """
        self._marker, self._report = folder / "judging.offsets", folder / "judging.fatal"
        self._deaths_file = folder / "judging.deaths.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._deaths = self._read_deaths()
            self._count_last_death()
            self._offsets = self._map(partition_count)
            self._report_handle = self._report.open("w", encoding="ascii")
        except OSError as error:
            raise StoreFailed(f"state folder `{folder}` can not be written: {error}") from error
        faulthandler.enable(self._report_handle, all_threads=False)

    @property
    def offsets(self) -> MutableSequence[int]:
        """Follow the port."""
        return self._offsets  # type: ignore[return-value]  # a memoryview of signed 64-bit items

    def suspect(self, partition: int) -> int | None:
        """Follow the port."""
        offset, deaths = self._deaths.get(str(partition), (-1, 0))
        return offset if deaths >= _DEATHS_MAX else None

    def _map(self, partition_count: int) -> memoryview:
        size = 8 * partition_count
        handle = os.open(self._marker, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, size)
            mapped = mmap.mmap(handle, size)
        finally:
            os.close(handle)
        mapped[:] = _NONE * partition_count
        return memoryview(mapped).cast("q")

    def _read_deaths(self) -> dict[str, tuple[int, int]]:
        try:
            found = json.loads(self._deaths_file.read_text(encoding="ascii"))
            return {number: (int(offset), int(count)) for number, (offset, count) in found.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, TypeError) as error:
            raise StoreFailed(
                f"`{self._deaths_file}` does not read: expected offsets and counts by partition; "
                "remove it to forget which records killed the process"
            ) from error

    def _count_last_death(self) -> None:
        if not self._report.exists() or not self._marker.exists():
            return
        report = self._report.read_text(encoding="ascii", errors="replace")
        if not report.startswith((*_FATAL, _FATAL_BUS)):
            return
        raw = self._marker.read_bytes()
        for number, offset in enumerate(memoryview(raw[: len(raw) // 8 * 8]).cast("q")):
            if offset >= 0:
                before, count = self._deaths.get(str(number), (-1, 0))
                self._deaths[str(number)] = (offset, count + 1 if before == offset else 1)
        self._deaths_file.write_text(json.dumps(self._deaths, sort_keys=True), encoding="ascii")
        self._report.unlink()
