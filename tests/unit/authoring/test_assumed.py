"""Signatures are taken as given, and nothing else is."""

from pathlib import Path

import gate.authoring
from gate.authoring.assumed import AssumedRequest, judge
from gate.authoring.check import check_source
from gate.core.policy.compiled import Policy
from gate.core.reasons import Code

NOW_MS = 1_780_315_200_000
REQUEST = AssumedRequest(
    actor="ann",
    action="loan.approve",
    resource="loan/L-1",
    parameters=(
        ("applicant", "ann"),
        ("country", "NL"),
        ("loan_amount", 15000),
        ("loan_id", "L-1"),
        ("term_months", 48),
    ),
    signals={"credit_score": 720, "existing_debt": 2000, "kyc_passed": True},
    ages_ms={},
)


def loan(old: bytes = b"", new: bytes = b"") -> Policy:
    file = Path(gate.authoring.__file__).parent / "examples/loan-approval.policy.yaml"
    return check_source(file.read_bytes().replace(old, new, 1), file.name).policy


def codes(request: AssumedRequest, policy: Policy) -> list[tuple[Code, str]]:
    return [(reason.code, reason.field) for reason in judge(request, policy, NOW_MS).reasons]


def test_an_approval_has_all_that_the_real_one_has() -> None:
    admission = judge(REQUEST, loan(), NOW_MS)
    assert (admission.approved, admission.actor_verified) == (True, True)
    assert admission.constraints == (("max_amount", 15000),)
    assert admission.expires_ms == NOW_MS + 900_000
    assert [item.name for item in admission.evaluated] == [
        "request.applicant",
        "request.country",
        "request.loan_amount",
        "request.loan_id",
        "request.term_months",
        "signal.credit_score",
        "signal.existing_debt",
        "signal.kyc_passed",
    ]


def test_the_signals_of_one_issuer_are_one_statement() -> None:
    policy = loan(b"issuers: [kyc-service]", b"issuers: [credit-bureau]")
    admission = judge(REQUEST, policy, NOW_MS)
    digests = {item.name: item.statement_sha256 for item in admission.evaluated}
    assert digests["signal.kyc_passed"] == digests["signal.credit_score"]
    assert digests["signal.kyc_passed"] != digests["signal.existing_debt"]


def test_an_open_policy_verifies_nobody() -> None:
    source = loan(b"requester: signed", b"requester: signed").bundle
    assert source.requester == "signed"
    file = Path(gate.authoring.__file__).parent / "examples/loan-approval.policy.yaml"
    data = file.read_text(encoding="utf-8").replace("requester: signed", "requester: open")
    start, end = data.index("  - id: large-loan"), data.index("  - id: prime")
    policy = check_source((data[:start] + data[end:]).encode(), "p.yaml").policy
    assert judge(REQUEST, policy, NOW_MS).actor_verified is False


def test_a_request_that_no_reader_accepts_is_denied() -> None:
    long_text = REQUEST._replace(resource="r" * 5000)
    assert codes(long_text, loan()) == [(Code.LIMIT_EXCEEDED, "resource")]
    too_large = REQUEST._replace(parameters=(("applicant", "a" * 70_000),))
    assert codes(too_large, loan()) == [(Code.TOO_LARGE, "")]


def test_a_subject_with_a_default_is_the_default() -> None:
    policy = loan(
        b"applicant:     {type: string, max_len: 64}",
        b"applicant: {type: string, max_len: 64, default: nobody}",
    )
    without = REQUEST._replace(
        parameters=tuple(item for item in REQUEST.parameters if item[0] != "applicant")
    )
    assert judge(without, policy, NOW_MS).approved
