from datetime import UTC, datetime

import pytest

from gate.core.policy.engine import ERROR, CompileFailed, CompileFault, Environment, Sequenced
from gate.core.policy.expressions import CONFIG

ENVIRONMENT = Environment(
    CONFIG,
    {
        "n": "int",
        "s": "string",
        "b": "bool",
        "tags": "list(string)",
        "now": "timestamp",
    },
)


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        ("n >= 1", {"n": 1}, True),
        ("n >= 1", {"n": 0}, False),
        ("n + 1", {"n": 2}, 3),
        ("b ? s : 'x'", {"b": False, "s": ""}, "x"),
        ("tags", {"tags": ["a", "é"]}, ["a", "é"]),
        ("now", {"now": datetime(2026, 1, 1, tzinfo=UTC)}, datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_result_has_exactly_the_type_of_the_expression(
    text: str, arguments: dict[str, object], expected: object
) -> None:
    result = ENVIRONMENT.compile(text).evaluate(arguments)

    assert (type(result), result) == (type(expected), expected)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        pytest.param("1 / n == 1", {"n": 0}, id="division"),
        pytest.param("n + 1 > 0", {"n": 2**63 - 1}, id="overflow"),
        pytest.param("n == 1", {"n": 2**63}, id="integer over 64 bits"),
        pytest.param("n == 1", {}, id="missing"),
        pytest.param("n == 1", {"n": "1"}, id="text for an integer"),
        pytest.param("n == 1", {"n": 1.0}, id="float for an integer"),
        pytest.param("tags[1] == 'a'", {"tags": ["a"]}, id="index"),
        pytest.param("tags[0] == 'a'", {"tags": ("a",)}, id="tuple for a list"),
        pytest.param("s.matches('(')", {"s": "a"}, id="pattern"),
        pytest.param("s == 'a'", {"s": "\ud800"}, id="lone surrogate"),
        pytest.param("s", {"s": b"\xff"}, id="bytes that are no text"),
    ],
)
def test_whatever_goes_wrong_is_one_error(text: str, arguments: dict[str, object]) -> None:
    expression = ENVIRONMENT.compile(text)

    assert expression.evaluate(arguments) is ERROR
    assert ENVIRONMENT.compile_sequence(["true", text]).evaluate(arguments) is ERROR


def test_an_error_of_a_text_expression_is_no_text() -> None:
    """The control of the exact type test: the engine's own value of an error is a text."""
    expression = ENVIRONMENT.compile("tags[5]")
    arguments = {"tags": ["a"]}

    own = expression._expression.eval(data=arguments).plain_value()

    assert type(own) is str
    assert bool(own) is True
    assert expression.evaluate(arguments) is ERROR


def test_an_error_has_no_truth_value() -> None:
    with pytest.raises(AssertionError, match="no truth value"):
        bool(ERROR)


def test_the_engine_cuts_texts_at_nul_so_none_may_enter() -> None:
    """Why `boundary` refuses NUL: remove that refusal only if this test fails."""
    assert ENVIRONMENT.compile("s == 'a'").evaluate({"s": "a\0b"}) is True


def test_the_engine_takes_true_for_an_integer_so_none_may_enter() -> None:
    """Why `boundary` tests exact types: remove those tests only if this test fails."""
    assert ENVIRONMENT.compile("n == 1").evaluate({"n": True}) is True


def test_errors_are_absorbed_as_the_specification_says() -> None:
    arguments = {"n": 0}
    assert ENVIRONMENT.compile("1 / n == 1 || true").evaluate(arguments) is True
    assert ENVIRONMENT.compile("1 / n == 1 && false").evaluate(arguments) is False
    assert ENVIRONMENT.compile("1 / n == 1 || false").evaluate(arguments) is ERROR


def test_a_sequence_gives_its_values_in_order() -> None:
    sequence = ENVIRONMENT.compile_sequence(["n + 1", "b", "s", "tags"])

    assert sequence.evaluate({"n": 1, "b": True, "s": "x", "tags": []}) == [2, True, "x", []]


@pytest.mark.parametrize(("text", "count"), [("tags", 2), ("n", 1), ("s", 1), ("tags[5]", 1)])
def test_a_sequence_that_is_no_list_of_its_length_is_an_error(text: str, count: int) -> None:
    sequence = Sequenced(ENVIRONMENT.compile(text)._expression, count)

    assert sequence.evaluate({"tags": ["a"], "n": 1, "s": "a"}) is ERROR


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("1 +", 1),
        ("n < foo +\n  bar", 2),
        ("n < s", 1),
        ("dyn(n) == 1", 1),
        ("(" * 40 + "1" + ")" * 40, 1),
    ],
)
def test_a_compiler_complaint_becomes_faults(text: str, faults: int) -> None:
    with pytest.raises(CompileFailed) as caught:
        ENVIRONMENT.compile(text)

    assert len(caught.value.faults) == faults


def test_a_fault_has_its_place_and_our_wording() -> None:
    with pytest.raises(CompileFailed) as caught:
        ENVIRONMENT.compile("n > 1 &&\n  foo == s")

    assert caught.value.faults == (CompileFault(2, 3, "undeclared reference to `foo`"),)
