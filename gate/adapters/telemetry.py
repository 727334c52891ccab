"""Events as JSON lines on stderr.

Promises one line per event, in ASCII (outside text can not forge a line or move a cursor), and
that emitting never raises: an event that can not be written is lost.
"""

import sys
from contextlib import suppress
from typing import TextIO

import structlog

from gate.ports import EventKind


def _safe(value: object) -> str:
    """Show what JSON can not hold: bytes as hexadecimal digits, the rest as its text."""
    return value.hex() if isinstance(value, bytes) else str(value)


class LogTelemetry:
    """Implements `gate.ports.Telemetry` with structlog; `slot` and the like are bound once."""

    def __init__(self, *, stream: TextIO | None = None, **bound: object) -> None:
        """Write to `stream`, stderr by default."""
        logger = structlog.wrap_logger(
            structlog.WriteLogger(stream or sys.stderr),
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(sort_keys=True, default=_safe),
            ],
            wrapper_class=structlog.BoundLogger,
        )
        self._log = logger.bind(**bound)

    def emit(self, kind: EventKind, **fields: object) -> None:
        """Follow the port."""
        with suppress(Exception):
            self._log.msg(kind.value, **fields)
