"""Results: one JSON line a figure, with what is needed to judge and to repeat it."""

import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.embedded import machine
from loadtest.kafka.broker import ROOT, Broker

DEFAULT_OUT = ROOT / "docs" / "results" / "kafka.jsonl"

Run = Mapping[str, float]
"""The figures of one run by name."""


class Results:
    """Appends to one file; every line of a session carries the same machine and broker."""

    def __init__(self, out: Path, broker: Broker, settings: Mapping[str, object]) -> None:
        found = machine()
        self._out = out
        self._every = {
            "session": found["at"],
            **found,
            "ram_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "command": " ".join(["python -m loadtest.kafka", *sys.argv[1:]]),
            "broker": broker.description,
            "settings": settings,
        }
        out.parent.mkdir(parents=True, exist_ok=True)

    def write(self, figure: str, runs: Sequence[Run], **more: object) -> None:
        """Write median, smallest and largest of each value over the runs of a figure."""
        line = {"figure": figure, **self._every, **more, "runs": len(runs), **spread(runs)}
        with self._out.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")


def spread(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Return median, smallest and largest of each value."""
    return {
        name: {key: round(pick([run[key] for run in runs]), 3) for key in runs[0]}
        for name, pick in (("median", statistics.median), ("min", min), ("max", max))
    }
