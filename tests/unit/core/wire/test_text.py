"""Texts: what is forbidden in an identifier, and how it is shown."""

import unicodedata

import pytest

from gate.core.wire.text import escaped, has_forbidden, is_nfc
from gate.core.wire.unicode14 import is_assigned


def test_forbidden_are_control_bidi_separator_and_surrogate_characters_and_nothing_else() -> None:
    bidi = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    marks = {0x061C, 0x200E, 0x200F}
    expected = {
        number
        for number in range(0x11_0000)
        if unicodedata.category(chr(number)) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(chr(number)) in bidi
        or number in marks
    }
    assert {number for number in range(0x11_0000) if has_forbidden(chr(number))} == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü €", "plain ü €"),
        ("a\x00b\n\x1b[31m", r"a\x00b\x0a\x1b[31m"),
        ("nna\u202e", r"nna\u202e"),
        ("\x85\u2028", r"\x85\u2028"),
        ("\ud800", r"\ud800"),
        (r"C:\x00", r"C:\x00"),
    ],
)
def test_forbidden_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert not has_forbidden(escaped(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("plain", True),
        ("Zoë", True),
        ("Zoe\u0308", False),
        ("\u212b", False),
        ("\U0001f600", True),
    ],
)
def test_composed_text_is_nfc(text: str, expected: bool) -> None:
    assert is_nfc(text) is expected


def test_a_text_on_which_later_pythons_disagree_is_not_nfc_on_any() -> None:
    reordered_since_unicode_15 = "x\u0301\U0001e4ee"
    assert not is_nfc(reordered_since_unicode_15)
    # Without the table the answer would be this Python's: the negative control
    alone = unicodedata.is_normalized("NFC", reordered_since_unicode_15)
    assert alone is (unicodedata.unidata_version == "14.0.0")


def test_the_table_is_unicode_14_and_a_part_of_every_later_version() -> None:
    ours = {number for number in range(0x11_0000) if is_assigned(chr(number))}
    here = {number for number in range(0x11_0000) if unicodedata.category(chr(number)) != "Cn"}
    assert len(ours) == 144_697 + 65 + 137_468 + 2_048  # characters, controls, private, surrogates
    assert ours <= here
    if unicodedata.unidata_version == "14.0.0":
        assert ours == here
