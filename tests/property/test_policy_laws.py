"""Laws of the policy rooms: the engine against a second evaluator, the two ways to evaluate,
the digest, the admission key, the boundary.
"""

import hashlib

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gate.core.policy import names, profile
from gate.core.policy.admission_key import element
from gate.core.policy.boundary import moment
from gate.core.policy.compiled import Policy
from gate.core.policy.engine import ERROR, CompileFailed, Environment
from gate.core.policy.expressions import CONFIG
from gate.core.policy.tree import Call, Const, ListOf, Macro, Name, Node, decode, digest
from gate.core.policy.unparse import substitute, unparse
from gate.core.values import Value
from tests.unit.core.policy import loan
from tests.unit.core.policy.tree_evaluator import evaluate, of

TYPES = {
    "request.a": "int",
    "request.b": "int",
    "request.flag": "bool",
    "request.text": "string",
    "request.tags": "list(string)",
    "request.at": "timestamp",
    "now": "timestamp",
}
ENVIRONMENT = Environment(CONFIG, TYPES)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

INT64 = st.integers(-(2**63), 2**63 - 1)
INTS = st.one_of(st.integers(-3, 3), st.sampled_from([2**63 - 1, -(2**63)]), INT64)
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp")), max_size=6
)
MOMENTS = st.integers(names.TIME_MS_MIN, names.TIME_MS_MAX).map(moment)
ARGUMENTS = st.fixed_dictionaries(
    {
        "request.a": INTS,
        "request.b": INTS,
        "request.flag": st.booleans(),
        "request.text": st.one_of(st.sampled_from(["", "a", "ab"]), TEXTS),
        "request.tags": st.lists(st.one_of(st.sampled_from(["a", "b"]), TEXTS), max_size=4),
        "request.at": MOMENTS,
        "now": MOMENTS,
    }
)


def call(function: str, overload: str, *args: Node, method: bool = False) -> Call:
    return Call(function, overload, method, args)


def int_trees(depth: int) -> st.SearchStrategy[Node]:
    leaves = st.one_of(
        INTS.map(lambda value: Const("int", value)),
        st.sampled_from([Name("request.a"), Name("request.b")]),
    )
    if depth == 0:
        return leaves
    inner = int_trees(depth - 1)
    binary = st.sampled_from(
        [
            ("_+_", "add_int64"),
            ("_-_", "subtract_int64"),
            ("_*_", "multiply_int64"),
            ("_/_", "divide_int64"),
            ("_%_", "modulo_int64"),
        ]
    )
    return st.one_of(
        leaves,
        st.builds(lambda f, a, b: call(*f, a, b), binary, inner, inner),
        inner.map(lambda a: call("-_", "negate_int64", a)),
        text_trees(depth - 1).map(lambda a: call("size", "size_string", a)),
        list_trees(depth - 1).map(lambda a: call("size", "list_size", a, method=True)),
        st.builds(
            lambda c, a, b: call("_?_:_", "conditional", c, a, b),
            bool_trees(depth - 1),
            inner,
            inner,
        ),
    )


def text_trees(depth: int) -> st.SearchStrategy[Node]:
    leaves = st.one_of(
        TEXTS.map(lambda value: Const("string", value)), st.just(Name("request.text"))
    )
    if depth == 0:
        return leaves
    return st.one_of(
        leaves,
        st.builds(
            lambda a, b: call("_[_]", "index_list", a, b),
            list_trees(depth - 1),
            int_trees(depth - 1),
        ),
    )


def list_trees(depth: int) -> st.SearchStrategy[Node]:
    some = st.lists(text_trees(max(0, depth - 1)), min_size=1, max_size=3)
    return st.one_of(st.just(Name("request.tags")), some.map(lambda items: ListOf(tuple(items))))


def time_trees(depth: int) -> st.SearchStrategy[Node]:
    stamps = st.sampled_from(["2026-01-01T00:00:00Z", "1950-06-01T12:00:00.123Z"]).map(
        lambda text: call("timestamp", "string_to_timestamp", Const("string", text))
    )
    leaves = st.one_of(st.sampled_from([Name("request.at"), Name("now")]), stamps)
    if depth == 0:
        return leaves
    inner, spans = time_trees(depth - 1), span_trees(depth - 1)
    return st.one_of(
        leaves,
        st.builds(lambda a, b: call("_+_", "add_timestamp_duration", a, b), inner, spans),
        st.builds(lambda a, b: call("_+_", "add_duration_timestamp", b, a), inner, spans),
        st.builds(lambda a, b: call("_-_", "subtract_timestamp_duration", a, b), inner, spans),
    )


def span_trees(depth: int) -> st.SearchStrategy[Node]:
    spans = st.sampled_from(["0s", "15m", "-24h", "1ms", "878400h", "-878400h", "1h30m", "2.5s"])
    leaves = spans.map(lambda text: call("duration", "string_to_duration", Const("string", text)))
    if depth == 0:
        return leaves
    inner = time_trees(depth - 1)
    return st.one_of(
        leaves,
        st.builds(lambda a, b: call("_-_", "subtract_timestamp_timestamp", a, b), inner, inner),
    )


def bool_trees(depth: int) -> st.SearchStrategy[Node]:
    leaves = st.one_of(
        st.booleans().map(lambda value: Const("bool", value)), st.just(Name("request.flag"))
    )
    if depth == 0:
        return leaves
    inner, numbers = bool_trees(depth - 1), int_trees(depth - 1)
    texts, lists, times = text_trees(depth - 1), list_trees(depth - 1), time_trees(depth)
    spans = span_trees(depth)
    logic = st.sampled_from([("_&&_", "logical_and"), ("_||_", "logical_or")])
    order = st.sampled_from(
        [("_<_", "less"), ("_<=_", "less_equals"), ("_>_", "greater"), ("_>=_", "greater_equals")]
    )
    same = st.sampled_from([("_==_", "equals"), ("_!=_", "not_equals")])
    parts = st.sampled_from(
        [
            ("startsWith", "starts_with_string"),
            ("endsWith", "ends_with_string"),
            ("contains", "contains_string"),
        ]
    )
    body = st.one_of(
        st.builds(lambda f, t: call(*f, Name("item"), t), same, texts),
        st.builds(
            lambda t, n: call("_==_", "equals", call("_/_", "divide_int64", n, t), n),
            texts.map(lambda t: call("size", "size_string", t)),
            numbers,
        ),
        inner,
    )
    return st.one_of(
        leaves,
        st.builds(lambda f, a, b: call(*f, a, b), logic, inner, inner),
        inner.map(lambda a: call("!_", "logical_not", a)),
        st.builds(lambda f, a, b: call(f[0], f"{f[1]}_int64", a, b), order, numbers, numbers),
        st.builds(lambda f, a, b: call(f[0], f"{f[1]}_timestamp", a, b), order, times, times),
        st.builds(lambda f, a, b: call(f[0], f"{f[1]}_duration", a, b), order, spans, spans),
        st.builds(lambda f, a, b: call(*f, a, b), same, times, times),
        st.builds(lambda f, a, b: call(*f, a, b), same, numbers, numbers),
        st.builds(lambda f, a, b: call(*f, a, b), same, texts, texts),
        st.builds(lambda f, a, b: call(*f, a, b), same, lists, lists),
        st.builds(lambda f, a, b: call(*f, a, b), same, inner, inner),
        st.builds(lambda a, b: call("@in", "in_list", a, b), texts, lists),
        st.builds(lambda f, a, b: call(*f, a, b, method=True), parts, texts, texts),
        st.builds(
            lambda kind, a, b: Macro(kind, "item", a, b),
            st.sampled_from(profile.MACROS),
            lists,
            body,
        ),
    )


@QUICK
@given(bool_trees(3))
def test_the_text_of_a_tree_is_read_as_that_tree(tree: Node) -> None:
    decoded = decode(ENVIRONMENT.compile(unparse(tree)).serialised())

    assert decoded == tree
    assert digest(decoded) == digest(tree)


@settings(QUICK, max_examples=400)
@given(st.one_of(bool_trees(3), int_trees(3)), ARGUMENTS)
def test_the_engine_and_the_second_evaluator_agree(
    tree: Node, arguments: dict[str, object]
) -> None:
    found = ENVIRONMENT.compile(unparse(tree)).evaluate(arguments)
    expected = evaluate(tree, {name: of(value) for name, value in arguments.items()})

    assert (found is ERROR) == (expected is ERROR)
    assert type(of(found)) is type(expected)
    assert found is ERROR or of(found) == expected


@QUICK
@given(st.lists(bool_trees(2), min_size=1, max_size=4), ARGUMENTS)
def test_one_list_gives_what_its_items_give_and_errs_if_one_errs(
    trees: list[Node], arguments: dict[str, object]
) -> None:
    texts = [unparse(tree) for tree in trees]
    together = ENVIRONMENT.compile_sequence(texts).evaluate(arguments)
    alone = [ENVIRONMENT.compile(text).evaluate(arguments) for text in texts]

    if any(result is ERROR for result in alone):
        assert together is ERROR
    else:
        assert together == alone


@QUICK
@given(bool_trees(2), int_trees(2), ARGUMENTS)
def test_a_variable_in_its_place_gives_what_its_value_gives(
    tree: Node, variable: Node, arguments: dict[str, object]
) -> None:
    value = ENVIRONMENT.compile(unparse(variable)).evaluate(arguments)
    assume(value is not ERROR)
    placed = substitute(tree, {"request.a": variable})

    found = ENVIRONMENT.compile(unparse(placed)).evaluate(arguments)

    replaced = ENVIRONMENT.compile(unparse(tree)).evaluate({**arguments, "request.a": value})
    assert (found is ERROR) == (replaced is ERROR)
    assert found is ERROR or found == replaced


@QUICK
@given(bool_trees(2), bool_trees(2))
def test_different_trees_have_different_digests(one: Node, other: Node) -> None:
    assert (digest(one) == digest(other)) == (one == other)


@QUICK
@given(st.text(max_size=40))
def test_any_text_compiles_or_fails_cleanly(text: str) -> None:
    assume("\0" not in text)
    try:
        expression = ENVIRONMENT.compile(text.encode("utf-8", "replace").decode())
    except CompileFailed as error:
        assert error.faults
    else:
        expression.evaluate({})


RICH = loan.changed(
    rules=[
        loan.deny("odd", "100 / (request.loan_amount - 50) == 1"),
        loan.deny("more", "variables.ratio > 90 || request.country == 'KP'"),
        loan.allow("some", "signal.credit_score % 7 != 0"),
        loan.allow("any", "100 / (request.term_months - 10) < 3"),
    ],
    variables=[
        {"name": "exposure", "expr": "signal.existing_debt * 922337203685 + request.loan_amount"},
        {"name": "ratio", "expr": "variables.exposure / (signal.credit_score - 400)"},
    ],
)
RICH["constraints"]["values"][0]["expr"] = "request.loan_amount / (request.term_months - 20) + 1"
RICH_POLICY = loan.policy_of(RICH)


@settings(QUICK, max_examples=300)
@given(
    st.fixed_dictionaries(
        {
            "request.loan_amount": st.sampled_from([1, 49, 50, 51, 150, 100_000]),
            "request.term_months": st.sampled_from([6, 10, 11, 19, 20, 21, 360]),
            "request.country": st.sampled_from(["DE", "KP"]),
            "signal.credit_score": st.sampled_from([300, 399, 400, 401, 406, 850]),
            "signal.existing_debt": st.sampled_from([0, 1, 9_999_999, 10_000_000]),
            "signal.kyc_passed": st.booleans(),
        }
    )
)
def test_one_call_and_one_by_one_give_the_same_outcome(inputs: dict[str, Value]) -> None:
    program = RICH_POLICY._program
    arguments = program.arguments(inputs, actor="a", action="b", resource="c", now_ms=0)

    together = program.run(arguments)

    assert together == program.run_one_by_one(arguments)


def _parts(encoded: bytes) -> list[tuple[bytes, bytes]]:
    parts = []
    while encoded:
        size = int.from_bytes(encoded[1:5], "big")
        parts.append((encoded[:1], encoded[5 : 5 + size]))
        encoded = encoded[5 + size :]
    return parts


@QUICK
@given(st.lists(st.tuples(st.sampled_from([b"s", b"i", b"x"]), st.binary(max_size=8))))
def test_the_elements_of_a_key_can_be_read_back(parts: list[tuple[bytes, bytes]]) -> None:
    assert _parts(b"".join(element(*part) for part in parts)) == parts


KEYED = loan.changed()
KEYED["key"]["parts"] = ["loan_id", "applicant", "term_months"]
KEYED_POLICY: Policy = loan.policy_of(KEYED)
KEY_VALUES = st.tuples(
    st.text("A1-", min_size=1, max_size=4), st.text("ab0", min_size=1, max_size=4), INTS
)


@QUICK
@given(KEY_VALUES, KEY_VALUES)
def test_different_parts_give_different_keys(
    one: tuple[str, str, int], other: tuple[str, str, int]
) -> None:
    def encoded(values: tuple[str, str, int]) -> bytes:
        loan_id, applicant, term = values
        inputs = loan.inputs(loan_id=loan_id, applicant=applicant, term_months=term)
        return KEYED_POLICY.admission_key(inputs).encoded

    assert (encoded(one) == encoded(other)) == (one == other)


def test_packing_is_reproducible() -> None:
    payloads = {hashlib.sha256(loan.pack(loan.LOAN)).hexdigest() for _ in range(20)}

    assert len(payloads) == 1
