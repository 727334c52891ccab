import pytest

from gate.core.policy import profile
from gate.core.policy.engine import CompileFailed, Environment
from gate.core.policy.expressions import CONFIG
from gate.core.policy.profile import Cost, Declared
from gate.core.policy.tree import TreeInvalid, decode

DECLARED = {
    "request.n": Declared("int"),
    "request.s": Declared("string"),
    "request.b": Declared("string", is_bytes=True),
    "request.tags": Declared("list(string)", 5),
    "now": Declared("timestamp"),
}
ENVIRONMENT = Environment(CONFIG, {name: known.type for name, known in DECLARED.items()})


def messages(text: str) -> list[str]:
    tree = decode(ENVIRONMENT.compile(text).serialised())
    return [finding.message for finding in profile.findings(tree, DECLARED)]


@pytest.mark.parametrize(
    "text",
    [
        "request.n >= 1 && request.n < 2 || !(request.n == 3) ? request.n != 4 : true",
        "request.n + 1 - 2 * 3 / 4 % 5 == -request.n",
        "request.s in ['a', 'b'] && size(request.s) > 1 && request.s.size() > 1",
        "request.tags[0] == 'a' && size(request.tags) == request.tags.size()",
        "request.s.startsWith('a') && request.s.endsWith('b') && request.s.contains('c')",
        "request.s.matches('^a+$')",
        "now - duration('5m') < timestamp('2026-01-01T00:00:00Z') + duration('5m')",
        "duration('5m') + now > now && now - now < duration('5m')",
        "request.tags.all(item, item == 'a') || request.tags.exists(item, item == request.s)",
        "request.tags.exists_one(item, ['a'].exists(other, item == other))",
        "request.tags == [] || request.tags == ['a']",
        "request.b == '00ff' || request.b in ['00', 'ff'] || request.b != request.s",
    ],
)
def test_the_language_is_allowed(text: str) -> None:
    assert messages(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "[1].map(x, x) == [1]",
        "[1].filter(x, true) == [1]",
        "has(request.n)",
        "dyn(request.n) == 1",
        "type(request.n) == int",
        "double(request.n) > 1.0",
        "int('1') == 1",
        "string(request.n) == '1'",
        "request.s < 'b'",
        "request.s + 'b' == 'ab'",
        "[1] + [2] == [1, 2]",
        "now.getHours() == 1",
        "duration('1s') + duration('1s') > duration('1s')",
        "matches(request.s, 'a')",
        "'a' in {'a': 1}",
        "{'a': 1}['a'] == 1",
        "1.0 == 1.0",
        "1u == 1u",
        "b'a' == b'a'",
        "null == null",
        "request.n == null",
        "size({'a': 1}) == 1",
        "request.s.charAt(0) == 'a'",
        "google.protobuf.Duration{seconds: 1} == duration('1s')",
        "cel.bind(x, 1, x == 1)",
        "optional.of(1).hasValue()",
        "bool == bool",
    ],
)
def test_the_rest_of_cel_is_refused(text: str) -> None:
    try:
        found = messages(text)
    except (CompileFailed, TreeInvalid):
        return
    assert found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("request.s.matches(request.s)", "`matches` takes a literal only, of at most 256 bytes"),
        (
            "now - duration(request.s) < now",
            "`duration` takes a literal only, of at most 256 bytes",
        ),
        ("timestamp(request.s) < now", "`timestamp` takes a literal only, of at most 256 bytes"),
        (
            f"request.s.matches('{'a' * 257}')",
            "`matches` takes a literal only, of at most 256 bytes",
        ),
        ("request.tags.all(now, true)", "`now` cannot be the variable of `all`"),
        ("request.tags.all(request, true)", "`request` cannot be the variable of `all`"),
        ("request.tags.exists(Item, true)", "`Item` cannot be the variable of `exists`"),
        (
            "request.tags.all(x, request.tags.exists(x, true))",
            "`x` cannot be the variable of `exists`",
        ),
        ("[1, 'a'] == [1, 'a']", "expected values of one known type here"),
        (
            r"request.s == 'a\u0000'",
            "a literal has control or direction characters, or is not in form NFC",
        ),
        (
            r"request.s == 'e\u0301'",
            "a literal has control or direction characters, or is not in form NFC",
        ),
        ("size(request.b) == 2", "bytes may only be compared, not given to `size`"),
        (
            "(true ? request.b : 'aa').size() == 2",
            "bytes may only be compared, not given to `size`",
        ),
        (
            "[request.b].exists(x, x.startsWith('00'))",
            "bytes may only be compared, not given to `startsWith`",
        ),
        (
            "request.b == '00FF'",
            "bytes are compared with a text that is not lower-case hexadecimal",
        ),
        (
            "request.b in ['00', 'f']",
            "bytes are compared with a text that is not lower-case hexadecimal",
        ),
    ],
)
def test_what_would_mislead_is_refused(text: str, message: str) -> None:
    assert message in messages(text)


def test_the_walk_does_not_trust_the_configuration() -> None:
    """The control of the second guard: the whole language compiled without the profile."""
    whole = Environment('name: "whole"\n', {"request.s": "string", "now": "timestamp"})
    for text in (
        "request.s < 'b'",
        "request.s + 'b' == 'ab'",
        "now.getHours() == 1",
        "int('1') == 1",
    ):
        tree = decode(whole.compile(text).serialised())
        assert any(
            "is not part of gate-cel/1" in f.message for f in profile.findings(tree, DECLARED)
        )


def test_a_name_must_be_declared_though_the_engine_knew_it() -> None:
    tree = decode(ENVIRONMENT.compile("request.n == 1").serialised())

    assert [finding.message for finding in profile.findings(tree, {})] == [
        "`request.n` is not a declared name"
    ]


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("request.n == 1", Cost(3, 0)),
        ("request.s in request.tags", Cost(3 + 5, 0)),
        ("request.tags.all(x, x == 'a')", Cost(1 + 5 * (3 + 3) + 1, 5)),
        (
            "request.tags.all(x, request.tags.exists(y, x == y))",
            Cost(1 + 5 * (1 + 5 * (3 + 3) + 1 + 3) + 1, 5 * (5 + 1)),
        ),
        ("[['a', 'b', 'c']].all(x, x.all(y, y == 'a'))", Cost(5 + 3 * (1 + 3 * 6 + 1 + 3) + 1, 12)),
    ],
)
def test_loops_multiply_the_cost(text: str, cost: Cost) -> None:
    tree = decode(ENVIRONMENT.compile(text).serialised())

    assert profile.cost(tree, DECLARED) == cost


def test_depth_is_bounded() -> None:
    deepest = (
        "!" + "(!" * (profile.DEPTH_MAX - 2) + "(request.n == 1)" + ")" * (profile.DEPTH_MAX - 2)
    )
    assert (
        messages("!(" * (profile.DEPTH_MAX - 2) + "request.n == 1" + ")" * (profile.DEPTH_MAX - 2))
        == []
    )
    assert "levels of nesting" in "".join(messages(deepest))


def test_the_engine_knows_every_overload_of_the_profile() -> None:
    """A misspelt overload in the configuration would silently be none."""
    for function, overloads in profile.OVERLOADS.items():
        assert len(set(overloads)) == len(overloads), function
    for text in (
        "now < now && now <= now && now > now && now >= now",
        "now - now < now - now && now - now <= now - now",
        "now - now > now - now && now - now >= now - now",
        "request.n < 1 && request.n <= 1 && request.n > 1 && request.n >= 1",
    ):
        assert messages(text) == []
