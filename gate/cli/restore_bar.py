"""The progress of a restore, drawn on a terminal; everywhere else its events speak."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from gate.cli.screen import has_colour
from gate.ports import EventKind, Telemetry


class RestoreBar(AbstractContextManager["RestoreBar"]):
    """Implements `gate.ports.Telemetry`: passes events on, and draws restores instead."""

    def __init__(self, inner: Telemetry, *, is_alone: bool = True) -> None:
        """Draw only when stderr is a terminal, and `is_alone` on it."""
        self._inner = inner
        self._is_drawn = is_alone and has_colour(sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            disable=not self._is_drawn,
        )
        self._bars: dict[object, TaskID] = {}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bars away."""
        self._progress.stop()

    def emit(self, kind: EventKind, **fields: object) -> None:
        """Follow the port."""
        if self._is_drawn:
            self._draw(kind, fields)
            if kind is EventKind.RESTORE_PROGRESSED:
                return
        self._inner.emit(kind, **fields)

    def _draw(self, kind: EventKind, fields: dict[str, object]) -> None:
        number = fields.get("partition")
        if kind is EventKind.RESTORE_PROGRESSED:
            self._progress.start()
            if number not in self._bars:
                self._bars[number] = self._progress.add_task(f"restoring partition {number}")
            self._progress.update(
                self._bars[number],
                completed=_count(fields["sequence"]),
                total=_count(fields["target_sequence"]),
            )
        elif kind in {EventKind.PARTITION_READY, EventKind.PARTITION_STOPPED}:
            bar = self._bars.pop(number, None)
            if bar is not None:
                self._progress.remove_task(bar)
            if not self._bars:
                self._progress.stop()


def _count(value: object) -> int:
    assert isinstance(value, int), "the restore counts in whole numbers"
    return value
