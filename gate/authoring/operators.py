"""Hints for operators of other languages in an expression: `=`, `and`, `or`, `not`."""

import re

_TEXTS = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_FOREIGN = (
    (re.compile(r"(?<![=!<>])=(?!=)"), "=", "=="),
    (re.compile(r"\band\b", re.IGNORECASE), "and", "&&"),
    (re.compile(r"\bor\b", re.IGNORECASE), "or", "||"),
    (re.compile(r"\bnot\b", re.IGNORECASE), "not", "!"),
)


def operator_hint(expression: str) -> str:
    """Return what to write instead of the first foreign operator; empty if there is none."""
    bare = _TEXTS.sub("''", expression)
    found = [
        (match.start(), f"write `{ours}` instead of `{was}`")
        for form, was, ours in _FOREIGN
        if (match := form.search(bare))
    ]
    return min(found)[1] if found else ""
