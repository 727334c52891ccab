"""What people and programs see: data on stdout, everything else on stderr.

Promises: colours only on a terminal without `NO_COLOR`; JSON is one object a line in ASCII; what
came from outside is escaped, so that it can not move a cursor or forge a line. The caller escapes
inside `text`, since it may have lines of its own.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import TextIO

from gate.cli.exits import Usage
from gate.errors import Unreachable

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}


class Format(Enum):
    """How data is written to stdout."""

    TEXT = "text"
    JSON = "json"


def write(output: Format, values: Mapping[str, object], text: str) -> None:
    """Write one piece of data: `values` as a line of JSON, or `text`.

    Raises `Unreachable` when stdout takes nothing, `BrokenPipeError` when its reader is gone.
    """
    line = json.dumps(values, sort_keys=True) if output is Format.JSON else text
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_failed(error) from error


def output_failed(error: OSError) -> Unreachable:
    """Return the operating error of an stdout that takes nothing, such as a full disk."""
    return Unreachable(f"output can not be written: {(error.strerror or str(error)).lower()}")


def tell(text: str) -> None:
    """Write a line of progress or explanation to stderr; one that nobody takes is no failure."""
    with suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """Return the text in colour (`red`, `green`, `yellow`, `bold`) if the stream shows it."""
    if not has_colour(sys.stdout if stream is None else stream):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def has_colour(stream: TextIO) -> bool:
    """Say whether the stream is a terminal that wants colours (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def confirm(question: str, *, is_agreed: bool) -> bool:
    """Ask before something changes; `is_agreed` answers for the person. Raises `Usage`."""
    if is_agreed:
        return True
    if not sys.stdin.isatty():
        raise Usage("there is no terminal to ask on: pass --yes to agree, or --dry-run to look")
    tell(f"{question} [y/N] ")
    is_yes = sys.stdin.readline().strip().lower() in {"y", "yes"}
    if not is_yes:
        tell("nothing was published")
    return is_yes
