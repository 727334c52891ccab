"""Processes of the demonstration: the commands that a person would type, and the gate itself.

Promises that a command sees the demonstration's folder and none of the caller's `GATE_` variables,
that each one ends within a time limit, and that no process outlives the demonstration.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import gate
from gate.errors import GateError
from gate.ports import Clock

_COMMAND_SECONDS_MAX = 120
_WAIT_MS = 10
_TEXT_SHOWN_MAX = 2_000


class DemonstrationFailed(GateError):
    """Something the demonstration shows did not happen; `str()` says what and where to look."""


class Processes:
    """Starts `gate` commands in one folder, and says each one as a person would type it."""

    def __init__(self, folder: Path, logs: Path, clock: Clock, told: Callable[[str], None]) -> None:
        """Run commands in `folder`; what gates write is kept in `logs`."""
        self._folder = folder
        self._logs = logs
        self._clock = clock
        self._told = told

    def run(self, *arguments: str, folder: Path | None = None) -> str:
        """Run a command to its end and return what it wrote to stdout.

        Raises `DemonstrationFailed` with its message when it does not end with 0.
        """
        typed = shlex.join(("gate", *arguments))
        self._told(typed)
        try:
            ended = subprocess.run(
                _command(*arguments),
                cwd=folder or self._folder,
                env=_environment({}),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_COMMAND_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            text = f"`{typed}` did not end within {_COMMAND_SECONDS_MAX} s"
            raise DemonstrationFailed(text) from error
        if ended.returncode:
            text = (ended.stderr.strip() or ended.stdout.strip())[-_TEXT_SHOWN_MAX:]
            raise DemonstrationFailed(
                f"`{typed}`: expected exit code 0, got {ended.returncode}: {text}"
            )
        return ended.stdout

    @contextmanager
    def gate(self, name: str, settings: Mapping[str, str]) -> Iterator["GateProcess"]:
        """Start `gate run --until-caught-up`; it is killed if it still runs at the end.

        `settings` are environment variables that win over `gate.toml`.
        """
        arguments = ("run", "--until-caught-up")
        set_first = [f"{name}={value} " for name, value in settings.items()]
        self._told("".join((*set_first, shlex.join(("gate", *arguments)))))
        log = self._logs / f"{name}.log"
        with (
            log.open("wb") as written,
            subprocess.Popen(
                _command(*arguments),
                cwd=self._folder,
                env=_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            ) as process,
        ):
            try:
                yield GateProcess(process, log, self._clock)
            finally:
                if process.poll() is None:
                    process.kill()


class GateProcess:
    """A gate in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, clock: Clock) -> None:
        """Watch a started process."""
        self._process = process
        self._clock = clock
        self._deadline_ms = clock.monotonic_ms() + _COMMAND_SECONDS_MAX * 1_000
        self.log = log

    def is_running(self) -> bool:
        """Say whether it still runs, after a short wait; raises `DemonstrationFailed` if for ever.

        Also raises when it ended with another code than 0: its log says why.
        """
        self._clock.sleep_ms(_WAIT_MS)
        code = self._process.poll()
        if code is None:
            if self._clock.monotonic_ms() > self._deadline_ms:
                raise DemonstrationFailed(
                    f"the gate did not catch up within {_COMMAND_SECONDS_MAX} s: see `{self.log}`"
                )
            return True
        if code:
            text = self.log.read_text(errors="replace").strip()[-_TEXT_SHOWN_MAX:]
            raise DemonstrationFailed(f"the gate ended with exit code {code}: {text}")
        return False

    def kill(self) -> None:
        """End it with SIGKILL, at whatever it is doing."""
        self._process.kill()
        self._process.wait()


def typed_command() -> str:
    """Return what a person types for `gate`: the name alone if the shell finds this gate by it."""
    installed = Path(sys.executable).with_name("gate")
    if not installed.exists():
        return f"{shlex.quote(sys.executable)} -m gate"
    found = shutil.which("gate")
    is_found = found is not None and Path(found).absolute() == installed.absolute()
    return "gate" if is_found else shlex.quote(str(installed))


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gate", *arguments]


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the caller's environment without `GATE_` variables; this package comes first."""
    passed = {n: v for n, v in os.environ.items() if not n.upper().startswith("GATE_")}
    path = (str(Path(gate.__file__).parents[1]), passed.get("PYTHONPATH", ""))
    passed["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    return {**passed, **settings}
