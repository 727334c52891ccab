"""Strict YAML: strings with their places, or faults with theirs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.authoring.faults import SourceInvalid
from gate.authoring.yaml_source import BYTES_MAX, DEPTH_MAX, Mapping, Place, Scalar, read_yaml


def scalar(source: str) -> Scalar:
    root, _ = read_yaml(source.encode(), "f.yaml")
    assert isinstance(root, Mapping)
    value = root.entries[0][1]
    assert isinstance(value, Scalar)
    return value


def refused(data: bytes | str) -> SourceInvalid:
    with pytest.raises(SourceInvalid) as caught:
        read_yaml(data.encode() if isinstance(data, str) else data, "f.yaml")
    return caught.value


@pytest.mark.parametrize("text", ["NO", "yes", "null", "~", "1e3", "0x10", "2026-01-01", "1_000"])
def test_every_scalar_is_the_text_that_was_written(text: str) -> None:
    assert scalar(f"a: {text}\n").text == text


def test_a_line_break_of_another_system_is_read_as_one() -> None:
    root, _ = read_yaml(b"a: 1\r\nb: 2\r\n", "f.yaml")
    assert isinstance(root, Mapping)
    assert [(name.text, name.place) for name, _ in root.entries] == [
        ("a", Place(1, 1)),
        ("b", Place(2, 1)),
    ]


@pytest.mark.parametrize(
    ("source", "marked"),
    [
        ("a: one @two\n", Place(1, 8)),
        ('a: "one @two"\n', Place(1, 9)),
        ("a: 'it''s @two'\n", Place(1, 11)),
        ('a: "\\"x\\" \\u0041 @two"\n', Place(1, 18)),
        ("a: |\n  one\n  @two\n", Place(3, 3)),
        ("a: >-\n    one\n    more @two\n", Place(3, 10)),
        ("a: >-  # why\n    one\n\n    @two\n", Place(4, 5)),
        ("a: one\n   more\n   @two\n", Place(3, 4)),
        ('a: "one \\\n   @two"\n', Place(2, 4)),
    ],
)
def test_a_place_within_a_text_is_found_in_the_file(source: str, marked: Place) -> None:
    value = scalar(source)
    before = value.text[: value.text.index("@")]
    line = before.count("\n") + 1
    column = len(before) - before.rfind("\n")
    assert value.position(line, column) == marked


def test_a_place_past_the_end_is_the_end() -> None:
    assert scalar("a: one\n").position(9, 9) == Place(1, 7)


@given(
    words=st.lists(st.text("abc(&|!><=.", min_size=1, max_size=6), min_size=1, max_size=8),
    at=st.integers(0, 7),
)
def test_a_word_of_a_folded_text_is_found_in_its_line(words: list[str], at: int) -> None:
    at %= len(words)
    source = "a: >-\n" + "".join(f"  {word}\n" for word in words)
    value = scalar(source)
    assert value.text == " ".join(words)
    column = len(" ".join([*words[:at], ""])) + 1
    assert value.position(1, column) == Place(2 + at, 3)


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("a: b\nc: !x\n", 2, 4, "`!x` is a YAML tag: not allowed"),
        ("a: !x && b\n", 1, 4, "`!x` is a YAML tag: not allowed"),
        ("a: &x b\n", 1, 4, "`&x` is a YAML anchor: not allowed"),
        ("a: *x\n", 1, 4, "`*x` is a YAML alias: not allowed"),
        ("%YAML 1.1\n---\na: b\n", 1, 1, "`%YAML` is a YAML directive: not allowed"),
        ("<<: {a: b}\n", 1, 1, "`<<` is a YAML merge key: not allowed"),
        ("a: 1\nb: {c: 1, c: 2}\n", 2, 11, "`c` is given twice: first in line 2"),
        ("a: 1\n---\nb: 1\n", 2, 1, "a second document starts"),
        ("a:\n", 1, 3, "`a` has no value"),
        ("a: [b, ]\nc: [,]\n", 2, 5, "not YAML while parsing a flow node"),
        ("? {a: b}\n: c\n", 1, 3, "a name must be a text, got a list or a mapping"),
        ("", 1, 1, "file is empty"),
        ("# nothing\n", 1, 1, "file is empty"),
        ("a: b\x00\n", 1, 5, "character U+0000 is not allowed: it can not be seen"),
        ("a: b\u2028\n", 1, 5, "character U+2028 is not allowed: it can not be seen"),
        ("a: b\u202e\n", 1, 5, "character U+202E is not allowed: it can not be seen"),
        ("\ufeffa: b\n", 1, 1, "character U+FEFF is not allowed: it can not be seen"),
        ("a: b\uffff\n", 1, 5, "character U+FFFF is not allowed: it can not be seen"),
        ('a: "\\x07"\n', 1, 4, "escape of character U+0007 is not allowed"),
        ('a: "\\ud800"\n', 1, 4, "escape of character U+D800 is not allowed"),
        ('a: "\\UFFFFFFFF"\n', 1, 7, "not YAML: number out of range"),
        ("%YAML " + "9" * 5000 + ".1\n---\na: b\n", 1, 7, "not YAML: number out of range"),
        ("a: [b\nc: >-\n", 1, 4, "`[` is not closed: line 2"),
        ("a: [b\n", 1, 4, "`[` is not closed: line 2"),
        ('a: "b\nc: "d"\n', 1, 4, "text in quotes does not end in its line: line 2"),
    ],
)
def test_what_is_not_allowed_is_refused_at_its_place(
    source: str, line: int, column: int, message: str
) -> None:
    (fault,) = refused(source).faults
    assert (fault.line, fault.column) == (line, column)
    assert fault.message.startswith(message)


def test_every_forbidden_token_is_told() -> None:
    faults = refused("a: !x\nb: &y z\nc: *y\n").faults
    assert [fault.line for fault in faults] == [1, 2, 3]


def test_bytes_that_are_not_utf_8_are_refused_at_their_place() -> None:
    (fault,) = refused("a: bä\nc: ö".encode() + b"\xff\n").faults
    assert (fault.line, fault.column, fault.message) == (2, 5, "not UTF-8")


def test_a_file_at_the_size_limit_is_read_and_one_byte_more_is_refused() -> None:
    data = b"a: b\n" + b"#" * (BYTES_MAX - 5)
    assert read_yaml(data, "f.yaml")
    assert refused(data + b"#").faults[0].message == (
        f"file is too large: at most {BYTES_MAX} bytes, got {BYTES_MAX + 1}"
    )


def test_nesting_at_the_limit_is_read_and_one_level_more_is_refused() -> None:
    inner = DEPTH_MAX - 1
    assert read_yaml(f"a: {'[' * inner}x{']' * inner}\n".encode(), "f.yaml")
    fault = refused(f"a: {'[' * (inner + 1)}x{']' * (inner + 1)}\n").faults[0]
    assert fault.message == f"nested too deep: at most {DEPTH_MAX} levels"


@pytest.mark.parametrize("bomb", ["[", "{", '["",', "{a: ["])
def test_a_bomb_of_brackets_is_refused_at_once(bomb: str) -> None:
    """The scanner's own work is quadratic in them: 140 s for a file of 256 KiB."""
    started = time.process_time()
    data = (bomb * (BYTES_MAX // len(bomb))).encode()
    assert refused(data).faults[0].message == f"nested too deep: at most {DEPTH_MAX} levels"
    assert time.process_time() - started < 1


def test_a_surrogate_pair_as_json_writes_it_is_one_character() -> None:
    assert scalar('a: "\\ud83d\\ude00"\n').text == "\U0001f600"


def test_a_fault_shows_line_caret_and_hint() -> None:
    assert str(refused("a: b\ndeny: !x\n")) == (
        "f.yaml:2:7: `!x` is a YAML tag: not allowed\n"
        "  deny: !x\n"
        "        ^\n"
        '  hint: quote the text, for instance `deny: "!signal.kyc_passed"`'
    )


def test_a_fault_in_a_long_line_shows_the_part_around_it() -> None:
    shown = str(refused("a: {" + "b: c, " * 100 + "b: d}\n")).split("\n")
    assert max(map(len, shown)) <= 98
    assert shown[1][shown[2].index("^")] == "b"


def test_a_fault_shows_no_control_character() -> None:
    assert "\x1b" not in str(refused("a: \x1b[31mred\n"))
    assert "\\x1b[31mred" in str(refused("a: \x1b[31mred\n"))


def read_or_faults(data: bytes) -> object:
    """Return what was read, or the faults; any other exception is the test's failure."""
    try:
        return read_yaml(data, "f.yaml")
    except SourceInvalid as error:
        return error.faults


@given(st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-8")))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert read_or_faults(data) != ()


@given(st.text("ab:{}[],\"'!&*#|>-?%@`\\ \n\t", max_size=40))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    assert read_or_faults(text.encode()) != ()
