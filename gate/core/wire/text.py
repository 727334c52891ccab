"""Texts from outside: what an identifier must not contain, and how any text is shown.

Forbidden are control characters, line and paragraph separators, and the characters that change
the direction of text (Unicode Standard Annex 9), which make a text look like another.
"""

import re
import unicodedata

from gate.core.wire.unicode14 import is_assigned

_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, delete, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks, embeddings, overrides, isolates
    "\u2028\u2029"  # line and paragraph separator
    "\ud800-\udfff]"  # surrogates, which no valid UTF-8 holds
)


def has_forbidden(text: str) -> bool:
    """Say whether the text holds a control or bidi character, a separator or a surrogate."""
    if text.isascii() and text.isprintable():
        return False
    return _FORBIDDEN.search(text) is not None


def is_nfc(text: str) -> bool:
    """Say whether the text is in Normalization Form C (Unicode Standard Annex 15).

    A character that Unicode 14.0 has not assigned has no form yet: a text with one is not.
    INVARIANT (one answer for ever): every Python from 3.11 on says the same.
    """
    return text.isascii() or (is_assigned(text) and unicodedata.is_normalized("NFC", text))


def escaped(text: str) -> str:
    r"""Return the text with each forbidden character shown as an escape, for instance `\u202e`.

    For people: a backslash of the text itself is left as it is.
    """
    return _FORBIDDEN.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
