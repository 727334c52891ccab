"""`--resume FILE`: where an audit or a replay stands, kept every few seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from gate.audit.kept_state import Kept, StateFile
from gate.core.topics import Topics
from gate.ports import Clock, LogReader

INTERVAL_MS: Final = 5_000

ResumeOption = Annotated[
    Path | None,
    typer.Option(
        "--resume",
        help="Keep the position here, and go on from it: what was cut continues, what had ended "
        "goes on with what came since. `FILE.keys` lies beside it.",
        metavar="FILE",
    ),
]


class Recording:
    """Implements `gate.audit.kept_state.Recorder` in files."""

    def __init__(
        self,
        file: Path,
        kind: str,
        reader: LogReader,
        topics: Topics,
        options: Mapping[str, object],
        clock: Clock,
    ) -> None:
        """Load what was kept. Raises `ConfigInvalid` for the file of another gate or run."""
        found = ((name, reader.topic(name)) for name in topics)
        subject = {
            "kind": kind,
            "lineage": {name: None if item is None else item.topic_id for name, item in found},
            **options,
        }
        self._file = StateFile(file, subject)
        self._kept = self._file.load()
        self._states: dict[int, object] = {}
        if self._kept is not None:
            self._states = {n: part.values for n, part in self._kept.partitions.items()}
        self._clock = clock
        self._kept_ms = clock.monotonic_ms()

    def kept(self) -> Kept | None:
        """Follow the protocol."""
        return self._kept

    def is_due(self) -> bool:
        """Say whether enough time went by."""
        return self._clock.monotonic_ms() - self._kept_ms >= INTERVAL_MS

    def keep(
        self, partitions: Mapping[int, object], shared: Mapping[str, object], added: bytes
    ) -> None:
        """Follow the protocol."""
        self._states.update(partitions)
        self._file.save(self._states, shared, added)
        self._kept_ms = self._clock.monotonic_ms()
