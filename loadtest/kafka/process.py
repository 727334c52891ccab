"""A process under measurement: its events with the time and processor time at which they came.

The processor time is that of the whole process with all its threads, in nanoseconds, read from
outside (Linux); its start-up and the warm-up are left out by taking differences between events.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, Timer
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
COMMITTED = "transaction_committed"
_CPUCLOCK_SCHED = 2
_WARM_UP_PART = 0.1
_LINES_KEPT = 20
_FAILURE = ROOT / "build" / "loadtest" / "failed.log"
PY_SPY = Path(sys.executable).with_name("py-spy")
_RUN_S_MAX = 300.0


class Failed(Exception):
    """The run can not be reported; `str()` says why."""


class Event(NamedTuple):
    """One event of the process; processor time since its start: of all threads, of the main one."""

    at: float
    cpu_s: float
    main_cpu_s: float
    name: str
    fields: Mapping[str, Any]


class Rates(NamedTuple):
    """What one run achieved after its warm-up."""

    records: int
    transactions: int
    per_s_wall: float
    per_s_core: float
    us_each: float
    main_us_each: float

    def as_values(self) -> dict[str, float]:
        return {
            "per_s_core": round(self.per_s_core),
            "per_s_wall": round(self.per_s_wall),
            "cpu_us_each": round(self.us_each, 2),
            "measured_records": self.records,
            "transactions": self.transactions,
        }


class Watched:
    """A started process whose stderr carries events as JSON lines; a thread takes them in."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.started_at = time.monotonic()
        self.seen: list[Event] = []
        self.rss_max_mb = 0.0
        self._lines: list[str] = []
        self._stuck_in = ""
        self._queue: SimpleQueue[Event | None] = SimpleQueue()
        Thread(target=self._take_in, daemon=True).start()

    def events(self) -> Iterator[Event]:
        """Yield events that were not yielded before, until the process closes its stderr."""
        while (event := self._queue.get()) is not None:
            yield event
        self._queue.put(None)

    def until(self, name: str) -> Event:
        """Return the next event of this name."""
        for event in self.events():
            if event.name == name:
                return event
        raise self.failure(f"expected `{name}`, it ended before")

    def finish(self) -> None:
        """Take in the rest and expect exit code 0."""
        for _ in self.events():
            pass
        if self.process.wait():
            raise self.failure(f"exit code {self.process.returncode}")

    def failure(self, why: str) -> Failed:
        """Return the failure of this process, with what it said last; all of it is kept."""
        command = self.process.args
        _FAILURE.parent.mkdir(parents=True, exist_ok=True)
        _FAILURE.write_text("\n".join([*self._lines, self._stuck_in]), encoding="utf-8")
        said = "\n  ".join(self._lines[-_LINES_KEPT:])
        return Failed(f"`{' '.join(map(str, command))}`: {why}; it said:\n  {said}")  # type: ignore[arg-type]

    def end_stuck(self) -> None:
        """Keep the stack where the process hangs, and kill it."""
        line = [str(PY_SPY), "dump", "--nonblocking", "--pid", str(self.process.pid)]
        with suppress(OSError):
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            self._stuck_in = done.stdout + done.stderr
        self.process.kill()

    def rates(self) -> Rates:
        """Return the rates between the end of the warm-up and the last commit."""
        committed = [event for event in self.seen if event.name == COMMITTED]
        total = sum(event.fields["records"] for event in committed)
        done, first = 0, 0
        for number, event in enumerate(committed):
            done += event.fields["records"]
            if done >= total * _WARM_UP_PART:
                first = number
                break
        records = total - done
        if records <= 0:
            raise self.failure(f"{len(committed)} transactions are too few to measure")
        begin, end = committed[first], committed[-1]
        wall_s, cpu_s = end.at - begin.at, end.cpu_s - begin.cpu_s
        return Rates(
            records=records,
            transactions=len(committed) - first - 1,
            per_s_wall=records / wall_s,
            per_s_core=records / cpu_s,
            us_each=cpu_s / records * 1e6,
            main_us_each=(end.main_cpu_s - begin.main_cpu_s) / records * 1e6,
        )

    def committed_records(self) -> int:
        """Return how many records all transactions had."""
        return sum(event.fields["records"] for event in self.seen if event.name == COMMITTED)

    def approved(self) -> int:
        """Return how many approvals the gate told."""
        return sum(
            event.fields["reasons"].get("approved", 0)
            for event in self.seen
            if event.name == COMMITTED
        )

    def _take_in(self) -> None:
        assert self.process.stderr is not None
        cpu_s = main_cpu_s = 0.0
        for line in self.process.stderr:
            at = time.monotonic()
            cpu_s = _cpu_s(self.process.pid) or cpu_s
            main_cpu_s = _main_cpu_s(self.process.pid) or main_cpu_s
            self.rss_max_mb = _rss_max_mb(self.process.pid) or self.rss_max_mb
            self._lines.append(line.rstrip())
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            if isinstance(fields, dict) and "event" in fields:
                event = Event(at, cpu_s, main_cpu_s, fields.pop("event"), fields)
                self.seen.append(event)
                self._queue.put(event)
        self._queue.put(None)


@contextmanager
def watched(command: Sequence[str], *, cwd: Path | None = None) -> Iterator[Watched]:
    """Start a process; it outlives neither the block nor five minutes."""
    with subprocess.Popen(
        list(command),
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        one = Watched(process)
        late = Timer(_RUN_S_MAX, one.end_stuck)
        late.start()
        try:
            yield one
        finally:
            late.cancel()
            if process.poll() is None:
                process.kill()


def environment() -> dict[str, str]:
    """Return the caller's environment without `GATE_` variables; this tree comes first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATE_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def module(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this tree."""
    return [sys.executable, "-m", name, *arguments]


def _cpu_s(pid: int) -> float | None:
    """Read the processor-time clock of another process: `clock_getcpuclockid(3)`."""
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return None


def _main_cpu_s(pid: int) -> float | None:
    """Read the processor time of the main thread alone."""
    try:
        stat = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
        return int(stat.split()[0]) / 1e9
    except (OSError, IndexError):
        return None


def _rss_max_mb(pid: int) -> float | None:
    """Read the largest resident size so far; not `ru_maxrss`, which a parent hands down."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return None
