"""The examples of the package check, pass their tests, and say what they are said to say."""

import csv
from collections import Counter
from pathlib import Path

import pytest

import gate.authoring
from gate.authoring.assumed import AssumedRequest, judge
from gate.authoring.case_run import CasesReport, Status, run_cases
from gate.authoring.cases import read_cases
from gate.authoring.check import check_source
from gate.core.admission import Admission
from gate.core.policy.compiled import Policy
from gate.core.reasons import Code
from gate.core.values import Value

EXAMPLES = Path(gate.authoring.__file__).parent / "examples"
NAMES = ["agent-tools", "boston-mortgage", "loan-approval"]
HMDA = Path(__file__).parents[4] / "shared/data/boston-hmda.csv"
DESIGN = Path(__file__).parents[4] / "shared/design/policy.md"
NOW_MS = 1_780_315_200_000


def example(name: str) -> Policy:
    file = EXAMPLES / f"{name}.policy.yaml"
    return check_source(file.read_bytes(), file.name).policy


def report(name: str) -> CasesReport:
    file = EXAMPLES / f"{name}.tests.yaml"
    policy = example(name)
    return run_cases(read_cases(file.read_bytes(), file.name, policy), policy)


def test_these_are_all_examples() -> None:
    assert sorted(path.name for path in EXAMPLES.iterdir()) == sorted(
        f"{name}.{kind}.yaml" for name in NAMES for kind in ("policy", "tests")
    )


@pytest.mark.parametrize(
    ("name", "passed", "not_run"),
    [("agent-tools", 16, 3), ("boston-mortgage", 20, 5), ("loan-approval", 5, 5)],
)
def test_an_example_passes_its_tests(name: str, passed: int, not_run: int) -> None:
    results = report(name)
    assert [result for result in results.results if result.status is Status.FAILED] == []
    assert (results.count(Status.PASSED), results.count(Status.NOT_RUN)) == (passed, not_run)


@pytest.mark.parametrize("kind", ["policy", "tests"])
def test_the_loan_example_is_the_designs(kind: str) -> None:
    if not DESIGN.exists():
        pytest.skip("the design is not beside this checkout")
    text = (EXAMPLES / f"loan-approval.{kind}.yaml").read_text(encoding="utf-8")
    assert f"```yaml\n{text}```" in DESIGN.read_text(encoding="utf-8")


def test_every_rule_of_an_example_fires_in_one_of_its_cases() -> None:
    for name in ("agent-tools", "boston-mortgage"):
        policy = example(name)
        file = EXAMPLES / f"{name}.tests.yaml"
        cases = read_cases(file.read_bytes(), file.name, policy).cases
        named = {case.expected.rule for case in cases}
        for case in cases:
            named |= {reason.culprit for reason in case.expected.reasons or ()}
        assert {rule.id for rule in policy.bundle.rules} <= named


def row_admission(policy: Policy, row: dict[str, int]) -> Admission:
    number = f"APP-{row['application']:04d}"
    flags = ("public_bad_record", "denied_mortgage_insurance")
    signals: dict[str, Value] = {
        item.name: bool(row[item.name]) if item.name in flags else row[item.name]
        for item in policy.bundle.signals
    }
    request = AssumedRequest(
        actor="bank",
        action="loan.approve",
        resource=f"application/{number}",
        parameters=(
            ("applicant", f"applicant of {number}"),
            ("application", number),
            ("condominium", bool(row["condominium"])),
            ("self_employed", bool(row["self_employed"])),
        ),
        signals=signals,
        ages_ms={},
    )
    return judge(request, policy, NOW_MS)


def test_the_mortgage_policy_judges_every_real_application() -> None:
    if not HMDA.exists():
        pytest.skip("the real data are not beside this checkout")
    policy = example("boston-mortgage")
    table: Counter[tuple[str, int]] = Counter()
    with HMDA.open(encoding="utf-8", newline="") as file:
        for text_row in csv.DictReader(file):
            row = {name: int(value) for name, value in text_row.items()}
            code = row_admission(policy, row).reasons[0].code
            table[code.name.lower(), row["bank_denied"]] += 1
    assert table == {
        ("approved", 0): 1898,
        ("approved", 1): 121,
        ("forbidden", 0): 116,
        ("forbidden", 1): 142,
        ("no_permit", 0): 53,
        ("no_permit", 1): 17,
        ("approval_required", 0): 28,
        ("approval_required", 1): 5,
    }


def test_a_signal_of_the_mortgage_policy_is_the_credit_bureaus() -> None:
    signals = example("boston-mortgage").bundle.signals
    assert {item.issuers for item in signals} == {("credit-bureau",)}
    assert {item.subject for item in signals} == {"applicant"}


def test_an_answer_to_a_real_application_names_all_that_is_wrong() -> None:
    row = dict.fromkeys(
        ("self_employed", "condominium", "public_bad_record", "denied_mortgage_insurance"), 0
    )
    row |= {
        "application": 1,
        "debt_to_income_bp": 5001,
        "housing_to_income_bp": 4001,
        "loan_to_value_bp": 8000,
        "consumer_credit_score": 1,
        "mortgage_credit_score": 1,
    }
    admission = row_admission(example("boston-mortgage"), row)
    assert [(reason.code, reason.rule) for reason in admission.reasons] == [
        (Code.FORBIDDEN, "debt-above-half"),
        (Code.FORBIDDEN, "housing-too-dear"),
    ]
