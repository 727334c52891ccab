"""Faults of a policy bundle, each with its place, and the refusals built from them.

A fault is a value: reading, checking and compiling collect all of them, so that an author sees
everything that is wrong at once. Turning a path into a file's line is left to the tools.
"""

from typing import NamedTuple

Path = tuple[str | int, ...]
"""Members and indices from the bundle's root to the fault, such as `("rules", 3, "expr")`."""


class Issue(NamedTuple):
    """One fault: where, what, and how to cure it.

    `line` and `column` are within the expression at `path`, counted from 1; 0 when there is none.
    """

    path: Path
    message: str
    hint: str = ""
    line: int = 0
    column: int = 0


class BundleInvalid(Exception):
    """A bundle, or a draft of one, has faults; `issues` holds all that were found."""

    def __init__(self, issues: tuple[Issue, ...]) -> None:
        """Keep the issues; the text joins their places and messages."""
        super().__init__("; ".join(f"{place(i.path)}: {i.message}" for i in issues))
        self.issues = issues


class AstDiffers(Exception):
    """The build reads an expression otherwise than the bundle's packer did: stop, never deny."""


class EngineUnavailable(Exception):
    """The bundle asks for an engine that this build does not have: stop, never deny."""


def place(path: Path) -> str:
    """Return a path as people write it, such as `rules[3].expr`; `bundle` for the root."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".") or "bundle"
