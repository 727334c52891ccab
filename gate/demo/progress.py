"""Progress of the demonstration on stderr: steps, and how far each one is.

On a terminal a bar, without one a plain line each ten seconds. Colours follow the terminal and
`NO_COLOR`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from gate.ports import Clock

_LINE_INTERVAL_MS = 10_000


class Progress:
    """Tells people what is being done; `step_count` steps in all."""

    def __init__(self, stream: TextIO, *, step_count: int, clock: Clock) -> None:
        """Write to `stream`."""
        self._console = Console(
            file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True
        )
        self._clock = clock
        self._step_count = step_count
        self._step = 0

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self._console.print(f"[{self._step}/{self._step_count}] {text}", style="bold")

    def tell(self, text: str) -> None:
        """Say something about the present step."""
        self._console.print(f"      {text}")

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Give a function that takes how much of `total` is done."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            with self._bars() as bars:
                task = bars.add_task(what, total=total)
                yield lambda done: bars.update(task, completed=done)
        else:
            yield self._lines(what, total)

    def _bars(self) -> Bars:
        return Bars(
            TextColumn("      {task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )

    def _lines(self, what: str, total: int) -> Callable[[int], None]:
        told_at_ms = self._clock.monotonic_ms()

        def tell(done: int) -> None:
            nonlocal told_at_ms
            now_ms = self._clock.monotonic_ms()
            if now_ms - told_at_ms >= _LINE_INTERVAL_MS:
                told_at_ms = now_ms
                self.tell(f"{what}: {done:,} of {total:,}")

        return tell
