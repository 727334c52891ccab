import pytest
from cel_expr_python import cel

from gate.core.policy.engine import Environment
from gate.core.policy.expressions import CONFIG
from gate.core.policy.tree import (
    Call,
    Const,
    ListOf,
    Macro,
    Name,
    Node,
    TreeInvalid,
    decode,
    digest,
)

ENVIRONMENT = Environment(
    CONFIG,
    {
        "request.n": "int",
        "request.s": "string",
        "request.tags": "list(string)",
        "request.at": "timestamp",
        "now": "timestamp",
    },
)


def tree_of(text: str) -> Node:
    return decode(ENVIRONMENT.compile(text).serialised())


def raw(text: str) -> bytes:
    """Serialise under the whole language, without the profile."""
    environment = cel.NewEnv(variables={"m": cel.Type.Map(cel.Type.STRING, cel.Type.INT)})
    return environment.compile(text).serialize()


EQUALS, ITEM = ("_==_", "equals", False), Name("item")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", Const("bool", True)),
        ("-9223372036854775808", Const("int", -(2**63))),
        ("0", Const("int", 0)),
        ("''", Const("string", "")),
        (r'"a\n\"é"', Const("string", 'a\n"é')),
        ("request.n", Name("request.n")),
        (".request.n", Name("request.n")),
        ("[1, 2]", ListOf((Const("int", 1), Const("int", 2)))),
        ("request.n == 1", Call(*EQUALS, (Name("request.n"), Const("int", 1)))),
        ("-request.n", Call("-_", "negate_int64", False, (Name("request.n"),))),
        ("size(request.s)", Call("size", "size_string", False, (Name("request.s"),))),
        ("request.s.size()", Call("size", "string_size", True, (Name("request.s"),))),
        (
            "request.tags.all(item, item == 'a')",
            Macro("all", "item", Name("request.tags"), Call(*EQUALS, (ITEM, Const("string", "a")))),
        ),
        (
            "['a'].exists(item, item == 'a')",
            Macro(
                "exists",
                "item",
                ListOf((Const("string", "a"),)),
                Call(*EQUALS, (ITEM, Const("string", "a"))),
            ),
        ),
        (
            "request.tags.exists_one(item, true)",
            Macro("exists_one", "item", Name("request.tags"), Const("bool", True)),
        ),
        (
            "request.tags.exists(item, ['b'].all(other, item == other))",
            Macro(
                "exists",
                "item",
                Name("request.tags"),
                Macro(
                    "all",
                    "other",
                    ListOf((Const("string", "b"),)),
                    Call(*EQUALS, (ITEM, Name("other"))),
                ),
            ),
        ),
    ],
)
def test_an_expression_is_decoded(text: str, expected: Node) -> None:
    assert tree_of(text) == expected


def test_true_is_not_one_and_a_name_is_not_a_text() -> None:
    assert Const("bool", True) != Const("int", 1)
    assert digest(Const("bool", True)) != digest(Const("int", 1))
    assert Name("a") != Const("string", "a")


def test_nodes_carry_their_type_and_offset() -> None:
    tree = tree_of('request.s == "é" &&\n request.at < now')

    assert isinstance(tree, Call)
    before = tree.args[1]
    assert isinstance(before, Call)
    assert (before.type, before.offset) == ("bool", 32)
    assert (before.args[1].type, before.args[1].offset) == ("timestamp", 34)


def test_the_digest_is_the_same_in_every_compilation_though_the_serialisation_is_not() -> None:
    text = 'request.n >= 700 && request.tags.all(item, item in ["a", "b"])'
    found = [ENVIRONMENT.compile(text).serialised() for _ in range(200)]

    assert {digest(decode(data)) for data in found} == {digest(tree_of(text))}
    assert len(set(found)) > 1  # the control: otherwise a simple hash would do


def test_the_digest_is_pinned() -> None:
    tree = tree_of('request.n >= 700 && request.tags.all(item, item in ["a", "b"])')

    assert digest(tree) == "645c98cbce5d9f5303f78426019062719630a88cbb22fc2e2bcbc318a4b53edb"


@pytest.mark.parametrize(
    "text",
    [
        "(request.n) >= 700 && (request.s == 'a')",
        "request.n>=700&&request.s=='a' // why",
        '\n request.n >= 700\n && request.s == "a"',
        "request.n >= 700 && request.s == '\\x61'",
    ],
)
def test_spacing_brackets_and_comments_do_not_change_the_digest(text: str) -> None:
    assert digest(tree_of(text)) == digest(tree_of("request.n >= 700 && request.s == 'a'"))


@pytest.mark.parametrize(
    "text",
    [
        "request.n >= 701 && request.s == 'a'",
        "request.n > 700 && request.s == 'a'",
        "request.n >= 700 || request.s == 'a'",
        "request.s == 'a' && request.n >= 700",
        "request.n >= 700 && request.s == 'b'",
    ],
)
def test_every_other_change_changes_the_digest(text: str) -> None:
    assert digest(tree_of(text)) != digest(tree_of("request.n >= 700 && request.s == 'a'"))


@pytest.mark.parametrize(
    "text",
    [
        "1.5",
        "1u",
        "b'a'",
        "null",
        "{'a': 1}",
        "m.a",
        "has(m.a)",
        "[1].map(x, x)",
        "[1].filter(x, true)",
    ],
)
def test_what_lies_outside_the_language_is_refused(text: str) -> None:
    with pytest.raises(TreeInvalid, match="not part of the language|exactly one kind"):
        decode(raw(text))


def test_a_call_of_several_meanings_is_refused() -> None:
    with pytest.raises(TreeInvalid, match="`_<_` is ambiguous"):
        decode(raw("dyn(1) < dyn(1)"))


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x0a\x03abc", b"\xff" * 40])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(TreeInvalid):
        decode(data)


def test_every_truncation_is_refused_or_unequal() -> None:
    data = ENVIRONMENT.compile("request.n == 1 && request.s == 'a'").serialised()
    whole = decode(data)
    for size in range(len(data)):
        try:
            assert decode(data[:size]) != whole
        except TreeInvalid:
            continue
