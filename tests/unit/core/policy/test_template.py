import pytest

from gate.core.policy.template import Template, TemplateInvalid, bytes_max, parse, render


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Template(("",), ())),
        ("No.", Template(("No.",), ())),
        ("{a}", Template(("", ""), ("a",))),
        ("x {a}{b} y", Template(("x ", "", " y"), ("a", "b"))),
    ],
)
def test_a_text_is_split_at_its_names(text: str, expected: Template) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["{", "}", "{a", "a}", "}{", "{a}}", "{{a}}", "{a{b}}"])
def test_braces_that_do_not_pair_are_refused(text: str) -> None:
    with pytest.raises(TemplateInvalid):
        parse(text)


def test_names_are_filled_in_and_never_read_again() -> None:
    filled = render(parse("{a} and {b}, {a}"), {"a": "{b}", "b": "é"})

    assert filled == "{b} and é, {b}"
    assert len(filled.encode()) == bytes_max(parse("{a} and {b}, {a}"), {"a": 3, "b": 2})
