"""Test files: read as strictly as policies, run through the gate's own steps."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import gate.authoring
from gate.authoring.case_run import CaseResult, Status, report_junit, report_text, run_cases
from gate.authoring.cases import Cases, Expected, ExpectedReason, read_cases
from gate.authoring.check import check_source
from gate.authoring.faults import SourceInvalid
from gate.core.policy.compiled import Policy
from gate.core.reasons import Code

EXAMPLES = Path(gate.authoring.__file__).parent / "examples"
HEAD = """\
format: gate-policy-tests/1
policy: loan-approval
base:
  now: "2026-06-01T12:00:00Z"
  request: {loan_id: L-1, applicant: ann, loan_amount: 15000, term_months: 48, country: DE}
  signals: {credit_score: 720, kyc_passed: true, existing_debt: 2000}
tests:
"""


def loan() -> Policy:
    file = EXAMPLES / "loan-approval.policy.yaml"
    return check_source(file.read_bytes(), file.name).policy


def read(*tests: str, head: str = HEAD, tail: str = "") -> Cases:
    lines = "".join(f"  - {{name: case {at}, {test}}}\n" for at, test in enumerate(tests))
    return read_cases((head + lines + tail).encode(), "t.yaml", loan())


def run(*tests: str) -> tuple[CaseResult, ...]:
    return run_cases(read(*tests), loan()).results


def got(test: str) -> str:
    """Return what the gate answers to a case that expects something else."""
    (result,) = run(f"{test}, expect: {{outcome: DENIED, reasons: [control_rejected]}}")
    (difference,) = result.differences
    return difference.partition("got ")[2]


def refused(*tests: str, head: str = HEAD, tail: str = "") -> tuple[tuple[int, str], ...]:
    with pytest.raises(SourceInvalid) as caught:
        read(*tests, head=head, tail=tail)
    return tuple((fault.line, fault.message) for fault in caught.value.faults)


def test_a_case_is_the_base_and_what_differs() -> None:
    (case,) = read(
        'now: "2026-06-01T12:00:01Z", actor: bob, resource: loan/L-9, request: {loan_amount: 5},'
        " signals: {credit_score: 640}, absent: [kyc_passed], age: {credit_score: 1h},"
        " expect: {outcome: DENIED, reasons: [resource_mismatch]}"
    ).cases
    assert case.now_ms == 1_780_315_201_000
    assert (case.actor, case.action, case.resource) == ("bob", "loan.approve", "loan/L-9")
    assert case.parameters == (
        ("applicant", "ann"),
        ("country", "DE"),
        ("loan_amount", 5),
        ("loan_id", "L-1"),
        ("term_months", 48),
    )
    assert case.signals == {"credit_score": 640, "existing_debt": 2000}
    assert case.ages_ms == {"credit_score": 3_600_000}
    assert case.expected == Expected(
        approved=False,
        rule=None,
        reasons=(ExpectedReason(code=Code.RESOURCE_MISMATCH, culprit=""),),
        constraints={},
    )


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        ("request: {loan_amount: 100001}", "parameter_invalid:loan_amount"),
        ("request: {loan_amount: many}", "parameter_invalid:loan_amount"),
        ("request: {loan_amount: [1]}", "parameter_invalid:loan_amount"),
        ("request: {colour: red}", "parameter_undeclared:colour"),
        ("absent: [country]", "parameter_missing:country"),
        ("absent: [request.country]", "parameter_missing:country"),
        ("resource: loan/L-2", "resource_mismatch:resource"),
        ("action: loan.extend", "no_policy"),
        ('now: "2025-12-31T23:59:59Z"', "policy_not_yet_valid"),
        ('now: "2031-01-01T00:00:00Z"', "policy_expired"),
        ("absent: [credit_score]", "signal_missing:credit_score"),
        ("signals: {credit_score: 851}", "signal_out_of_bounds:credit_score"),
        ("signals: {credit_score: good}", "signal_invalid:credit_score"),
        ("age: {credit_score: 24h}, signals: {kyc_passed: false}", "forbidden:kyc-missing"),
        ("age: {credit_score: 86400001ms}", "signal_stale:credit_score"),
        ("request: {loan_amount: 20001}", "approval_required:large-loan"),
        ("signals: {credit_score: 699}", "no_permit"),
    ],
)
def test_an_answer_comes_from_the_gates_own_steps(test: str, answer: str) -> None:
    assert got(test) == answer


def test_a_case_that_meets_what_it_expects_passes() -> None:
    (result,) = run("expect: {outcome: APPROVED, rule: prime, constraints: {max_amount: 15000}}")
    assert result == CaseResult("case 0", 8, Status.PASSED)


@pytest.mark.parametrize(
    ("test", "difference"),
    [
        (
            "expect: {outcome: DENIED}",
            "outcome: expected DENIED, got APPROVED: approved:prime",
        ),
        (
            "signals: {credit_score: 699}, expect: {outcome: APPROVED}",
            "outcome: expected APPROVED, got DENIED: no_permit",
        ),
        (
            "expect: {outcome: APPROVED, rule: near-prime}",
            "rule: expected `near-prime`, got `prime`",
        ),
        (
            "expect: {outcome: APPROVED, constraints: {max_amount: 15001}}",
            "constraint `max_amount`: expected 15001, got 15000",
        ),
        (
            "signals: {kyc_passed: false}, expect: {outcome: DENIED, reasons: ['forbidden:x']}",
            "reasons: expected forbidden:x, got forbidden:kyc-missing",
        ),
        (
            (
                "signals: {kyc_passed: false}, request: {country: KP},"
                " expect: {outcome: DENIED, reasons: ['forbidden:sanctioned-country']}"
            ),
            (
                "reasons: expected forbidden:sanctioned-country,"
                " got forbidden:sanctioned-country, forbidden:kyc-missing"
            ),
        ),
    ],
)
def test_a_case_that_does_not_fails_and_says_how(test: str, difference: str) -> None:
    (result,) = run(test)
    assert (result.status, result.differences) == (Status.FAILED, (difference,))


def test_what_can_not_be_judged_is_not_run_and_never_passed() -> None:
    cases = read(
        "approvals: [large-loan], expect: {outcome: APPROVED}",
        tail="properties:\n  - {name: never, never: policy_error}\n"
        "  - {name: up, monotone: {signal.credit_score: up}}\n",
    )
    report = run_cases(cases, loan())
    assert [result.status for result in report.results] == [Status.NOT_RUN] * 3
    assert report_text(report) == (
        "not run, approvals are not judged yet: `case 0`\n"
        "not run, properties need the solver: `never`, `up`\n"
        "0 of 0 passed, 3 not run"
    )


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("expect: {outcome: MAYBE}", "expected one of `APPROVED`, `DENIED`, got `MAYBE`"),
        ("expect: {outcome: DENIED, reasons: [denyed]}", "unknown reason code `denyed`"),
        ("expect: {outcome: DENIED, rule: prime}", "`rule` can not be expected of DENIED"),
        (
            "expect: {outcome: APPROVED, reasons: [no_permit]}",
            "`reasons` can not be expected of APPROVED",
        ),
        ("expect: {outcome: APPROVED, rule: kyc-missing}", "unknown allow rule `kyc-missing`"),
        (
            "expect: {outcome: APPROVED, constraints: {amount: 1}}",
            "unknown constraint `amount`",
        ),
        ("signals: {credit: 1}, expect: {outcome: DENIED}", "unknown signal `credit`"),
        ("age: {credit: 1h}, expect: {outcome: DENIED}", "unknown signal `credit`"),
        ("absent: [credit], expect: {outcome: DENIED}", "unknown parameter or signal `credit`"),
        (
            "approvals: [prime], expect: {outcome: APPROVED}",
            "unknown rule with `require_approval` `prime`",
        ),
        ("expects: {outcome: DENIED}", "unknown member `expects`"),
        ("key: x, expect: {outcome: DENIED}", "unknown member `key`"),
        (
            "request: {country: {a: b}}, expect: {outcome: DENIED}",
            "expected a text or a list of texts, got members",
        ),
    ],
)
def test_a_faulty_case_is_refused_at_its_line(test: str, message: str) -> None:
    assert (9, message) in refused("expect: {outcome: APPROVED}", test)


def test_a_name_given_twice_is_refused() -> None:
    twice = "  - {name: case 0, expect: {outcome: APPROVED}}\n"
    assert refused("expect: {outcome: APPROVED}", tail=twice) == (
        (9, "name `case 0` is given twice"),
    )


def test_tests_for_another_policy_are_refused() -> None:
    head = HEAD.replace("policy: loan-approval", "policy: loan-aproval")
    assert refused("expect: {outcome: APPROVED}", head=head) == (
        (2, "tests are for another policy: expected `loan-approval`, got `loan-aproval`"),
    )


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("monotone: {signal.credit: up}", "unknown input `signal.credit`"),
        ("monotone: {request.country: up}", "`request.country` has no order"),
        (
            "monotone: {signal.credit_score: sideways}",
            "expected one of `up`, `down`, got `sideways`",
        ),
        ("never: approved && signal.credit > 1", "undeclared reference to `signal.credit`"),
        ("never: signal.credit_score + 1", "expected an expression of type bool, got int"),
        ("never: approved, monotone: {signal.credit_score: up}", "expected exactly one of"),
    ],
)
def test_a_faulty_property_is_refused_at_its_line(claim: str, message: str) -> None:
    tail = f"properties:\n  - {{name: claim, {claim}}}\n"
    ((line, got),) = refused("expect: {outcome: APPROVED}", tail=tail)
    assert (line, got[: len(message)]) == (10, message)


def test_a_property_may_name_inputs_variables_and_outcomes() -> None:
    tail = (
        "properties:\n"
        "  - {name: a, never: approved && variables.exposure > 250000 && signal.kyc_passed}\n"
        "  - {name: b, never: policy_error}\n"
        "  - {name: c, monotone: {signal.kyc_passed: up, request.loan_amount: down}}\n"
    )
    cases = read("expect: {outcome: APPROVED}", tail=tail)
    assert [item.name for item in cases.properties] == ["a", "b", "c"]


def test_the_time_must_be_given() -> None:
    head = HEAD.replace('  now: "2026-06-01T12:00:00Z"\n', "")
    assert refused("expect: {outcome: APPROVED}", head=head) == (
        (7, "member `now` is missing in `base`"),
    )


def test_the_report_tells_what_failed_and_counts() -> None:
    report = run_cases(
        read("expect: {outcome: APPROVED}", "expect: {outcome: DENIED}"),
        loan(),
    )
    assert report_text(report) == (
        "t.yaml:9: failed `case 1`\n"
        "  outcome: expected DENIED, got APPROVED: approved:prime\n"
        "1 of 2 passed"
    )


def test_the_junit_report_counts_and_escapes() -> None:
    data = HEAD + (
        "  - {name: '<a> & \"b\"', expect: {outcome: APPROVED}}\n"
        "  - {name: c, expect: {outcome: DENIED}}\n"
        "  - {name: d, approvals: [large-loan], expect: {outcome: APPROVED}}\n"
    )
    report = run_cases(read_cases(data.encode(), "t.yaml", loan()), loan())
    suite = ET.fromstring(report_junit(report))
    assert suite.attrib == {
        "name": "loan-approval",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    assert [(case.get("name"), case.get("line"), [c.tag for c in case]) for case in suite] == [
        ('<a> & "b"', "8", []),
        ("c", "9", ["failure"]),
        ("d", "10", ["skipped"]),
    ]
