import pytest

from gate.core.policy.bundle import read_draft
from gate.core.policy.expressions import Expressions, read_expressions
from gate.core.policy.issues import AstDiffers, BundleInvalid
from gate.core.policy.program import Outcome, Program
from gate.core.policy.tree import Name
from tests.unit.core.policy import loan

BUNDLE = read_draft(loan.LOAN)
EXPRESSIONS = read_expressions(BUNDLE)


def run(program: Program, **parameters: object) -> Outcome:
    inputs = {**loan.inputs(), **{f"request.{k}": v for k, v in parameters.items()}}
    return program.run(
        program.arguments(inputs, actor="a", action="b", resource="c", now_ms=loan.NOW_MS)
    )


def replaced(rule: str) -> Expressions:
    """Return the expressions with the first rule's tree made a name that reads as `rule`."""
    first = EXPRESSIONS.rules[0]._replace(expanded=Name(rule))
    return EXPRESSIONS._replace(rules=(first, *EXPRESSIONS.rules[1:]))


def test_one_call_gives_variables_rules_and_constraints() -> None:
    assert run(Program(BUNDLE, EXPRESSIONS)) == Outcome(
        (17000,), (False, False, False, False, True, False), (15000,)
    )


def test_only_what_is_read_is_handed_over() -> None:
    program = Program(BUNDLE, EXPRESSIONS)
    arguments = program.arguments(
        loan.inputs(), actor="a", action="b", resource="c", now_ms=loan.NOW_MS
    )

    assert sorted(arguments) == [
        "request.country",
        "request.loan_amount",
        "request.term_months",
        "signal.credit_score",
        "signal.existing_debt",
        "signal.kyc_passed",
    ]


def test_text_that_reads_as_another_tree_is_never_linked() -> None:
    with pytest.raises(AstDiffers):
        Program(BUNDLE, replaced("true || false"))


def test_text_that_is_no_expression_is_never_linked() -> None:
    with pytest.raises(BundleInvalid, match="cannot run as one list"):
        Program(BUNDLE, replaced("true ||"))


def test_a_rule_that_is_not_a_bool_errs() -> None:
    """The control of the exact test: `judge_expressions` would have refused this rule."""
    document = loan.changed()
    document["rules"][0]["expr"] = "request.loan_amount"
    bundle = read_draft(document)

    outcome = run(Program(bundle, read_expressions(bundle)))

    assert outcome == Outcome((), (), (), erring_rules=(0,))
