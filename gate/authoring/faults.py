"""Faults of a source file, as people see them: place, message, the line itself, a caret, a hint.

Promises: a fault always names a line and a column (both from 1, columns in characters), and
nothing of the file reaches a terminal unescaped. Leaves finding faults to the readers.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

FAULTS_MAX = 64
_EXCERPT_CHARACTERS_MAX = 96


class Fault(NamedTuple):
    """One thing wrong in a file. `excerpt` is the source line, unescaped and uncut."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    excerpt: str = ""


class SourceInvalid(ConfigInvalid):
    """A source file is wrong. `faults` has all that were found, in the order of the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep at most `FAULTS_MAX` faults; `str()` renders them."""
        ordered = sorted(faults, key=lambda fault: (fault.file, fault.line, fault.column))
        self.faults: tuple[Fault, ...] = tuple(dict.fromkeys(ordered))[:FAULTS_MAX]
        super().__init__(render(self.faults))


class Lines:
    """The lines of one file, for making faults that quote them."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._lines = text.split("\n")

    def fault(self, line: int, column: int, message: str, hint: str = "") -> Fault:
        """Return a fault at a place given from 1; places outside the file are moved into it."""
        line = min(max(line, 1), len(self._lines))
        excerpt = self._lines[line - 1].rstrip("\r")
        return Fault(self.file, line, max(column, 1), message, hint, excerpt)


def render(faults: Iterable[Fault]) -> str:
    """Return the text for people: per fault `file:line:column: message`, excerpt, caret, hint."""
    return "\n".join(_render_one(fault) for fault in faults)


def _render_one(fault: Fault) -> str:
    head = f"{escaped(fault.file)}:{fault.line}:{fault.column}: {escaped(fault.message)}"
    lines = [head]
    if fault.excerpt.strip():
        lines += _quoted(fault)
    if fault.hint:
        lines.append(f"  hint: {escaped(fault.hint)}")
    return "\n".join(lines)


def _quoted(fault: Fault) -> list[str]:
    position = min(fault.column - 1, len(fault.excerpt))
    start = max(0, position - _EXCERPT_CHARACTERS_MAX * 2 // 3)
    before = escaped(fault.excerpt[start:position].replace("\t", " "))
    after = fault.excerpt[position : start + _EXCERPT_CHARACTERS_MAX].replace("\t", " ")
    return [f"  {before}{escaped(after)}".rstrip(), f"  {' ' * len(before)}^"]
