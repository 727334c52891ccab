"""Waiting and long work, shown: a bar on a terminal, elsewhere a plain line each ten seconds."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from gate.audit.topics_reading import Reached
from gate.cli.screen import has_colour, tell
from gate.ports import Clock

LINE_INTERVAL_MS: Final = 10_000
_POLL_MS: Final = 50


def wait_until(is_done: Callable[[], bool], *, seconds: float, clock: Clock) -> bool:
    """Ask again and again until `is_done`, at most so long; return its last answer."""
    started_ms = told_ms = clock.monotonic_ms()
    deadline_ms = started_ms + int(seconds * 1000)
    while not is_done():
        now_ms = clock.monotonic_ms()
        if now_ms >= deadline_ms:
            return False
        if now_ms - told_ms >= LINE_INTERVAL_MS:
            told_ms = now_ms
            tell(f"waiting for the gate's answer: {(now_ms - started_ms) // 1000} s")
        clock.sleep_ms(min(_POLL_MS, deadline_ms - now_ms))
    return True


@contextmanager
def reading_shown(what: str, clock: Clock) -> Iterator[Callable[[Reached], None]]:
    """Show how far topics have been read, one partition after another."""
    if not has_colour(sys.stderr):
        yield _Lines(what, clock)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(what)

        def follow(now: Reached) -> None:
            topic, number = now.partition
            progress.update(
                task,
                description=f"{what} {topic}/{number}",
                completed=now.offset,
                total=now.end,
            )

        yield follow


class _Lines:
    """A line of progress each ten seconds."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what = what
        self._clock = clock
        self._told_ms = clock.monotonic_ms()

    def __call__(self, now: Reached) -> None:
        """Tell, if it is time."""
        if self._clock.monotonic_ms() - self._told_ms < LINE_INTERVAL_MS:
            return
        self._told_ms = self._clock.monotonic_ms()
        topic, number = now.partition
        tell(f"{self._what} {topic}/{number}: offset {now.offset} of {now.end}")
