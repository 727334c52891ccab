import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.core import jcs

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-jcs.INTEGER_MAX, jcs.INTEGER_MAX)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_canonical_json_reads_back_to_the_same_value(value):
    data = jcs.canonical(value)
    assert jcs.parse(data, bytes_max=len(data)) == value
    assert json.loads(data) == value
    assert jcs.is_canonical(data)


@given(VALUES)
def test_the_order_of_members_and_blanks_do_not_change_the_canonical_form(value):
    spaced = json.dumps(value, indent=2).encode()
    assert jcs.canonical(jcs.parse(spaced, bytes_max=len(spaced))) == jcs.canonical(value)


def test_names_are_sorted_by_utf_16_code_units():
    # the example of RFC 8785 §3.2.3
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    data = jcs.canonical(dict.fromkeys(names, 0))
    assert list(json.loads(data)) == [
        "\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33",
    ]  # fmt: skip


def test_strings_are_escaped_as_rfc_8785_says():
    # the string of the example in RFC 8785 §3.2.2
    text = "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/"
    assert jcs.canonical(text).decode() == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'
    assert jcs.canonical("\x7f\u2028").decode() == '"\x7f\u2028"'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "type `float`"),
        (b"x", "type `bytes`"),
        (2**53, "integer of 2\\^53 or more"),
        (-(2**53), "integer of 2\\^53 or more"),
        ({1: 2}, "name of a member is not a string"),
        ("\ud800", "lone surrogate"),
        ({"\udc00": 1}, "lone surrogate"),
    ],
)
def test_what_has_no_canonical_form_is_refused(value, text):
    with pytest.raises(jcs.JsonInvalid, match=text):
        jcs.canonical(value)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_bounded_at_the_same_depth_in_both_directions():
    data = json.dumps(nested(jcs.DEPTH_MAX)).encode()
    assert jcs.canonical(jcs.parse(data, bytes_max=1000)) == data
    with pytest.raises(jcs.JsonInvalid, match="nested deeper"):
        jcs.canonical(nested(jcs.DEPTH_MAX + 1))
    with pytest.raises(jcs.JsonInvalid, match="nested deeper"):
        jcs.parse(json.dumps(nested(jcs.DEPTH_MAX + 1)).encode(), bytes_max=1000)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"a":1,"a":1}', "member `a` stands twice"),
        (b'{"b":{"a":1,"c":0,"a":2}}', "member `a` stands twice"),
        (b"1.0", "not an integer"),
        (b"1e2", "not an integer"),
        (b"NaN", "not an integer"),
        (b"-Infinity", "not an integer"),
        (b"9007199254740992", "2\\^53"),
        (b"1" * 5000, "2\\^53"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\udfff":1}', "lone surrogate"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b"", "not JSON at line 1, column 1"),
        (b"1 2", "not JSON at line 1, column 3"),
        (b'"\n"', "not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" + b"[]," * 70_000 + b"[]]", "too many elements"),
        (b" " * 300_001, "too long"),
    ],
    ids=range(18),
)
def test_ambiguous_or_excessive_json_is_refused(data, text):
    with pytest.raises(jcs.JsonInvalid, match=text):
        jcs.parse(data, bytes_max=300_000)


@pytest.mark.parametrize("data", [b' {"a":1}', b'{"a":-0}', b'{"b":1,"a":1}', b'"\\u0041"', b"{"])
def test_other_spellings_are_not_canonical(data):
    assert not jcs.is_canonical(data)


@given(st.binary(max_size=40))
def test_base64_reads_back(data):
    assert jcs.decode_base64(jcs.encode_base64(data)) == data


@pytest.mark.parametrize(
    "text", ["QQ", "QR==", "QQ==\n", "Q Q==", "-_==", "QQ===", "é", "QQ==QQ=="]
)
def test_base64_has_one_spelling(text):
    with pytest.raises(jcs.JsonInvalid, match="base64"):
        jcs.decode_base64(text)


def test_unknown_and_missing_members_are_named_with_their_path():
    names = frozenset({"a"})
    with pytest.raises(jcs.JsonInvalid, match="`p`: unknown member `z`, expected only a"):
        jcs.members({"a": 1, "z": 1}, "p", names)
    with pytest.raises(jcs.JsonInvalid, match="`p`: member `a` is missing, add it"):
        jcs.members({}, "p", names)
    with pytest.raises(jcs.JsonInvalid, match="`p`: expected an object, got an array"):
        jcs.members([], "p", names)
    assert jcs.members({"a": 1, "b": 2}, "p", names, frozenset({"b"})) == {"a": 1, "b": 2}


def test_quoted_text_carries_no_control_or_foreign_characters():
    assert jcs.quoted("a\x1b\u202e\n" + "x" * 100) == "`a\\x1b\\u202e\\x0a" + "x" * 56 + "`"
