"""The YAML source becomes the bundle's document, and findings find their way back."""

from pathlib import Path
from typing import Any

import pytest

from gate.authoring.faults import SourceInvalid
from gate.authoring.source import POLICY, read_source
from gate.core.policy.issues import Issue

FAULTLESS = (Path(__file__).parents[2] / "vectors/bad-policies/faultless.yaml").read_bytes()


def draft(data: bytes = FAULTLESS) -> dict[str, Any]:
    return read_source(data, "f.yaml", domain="acme").draft


def test_the_head_of_the_document() -> None:
    document = draft()
    names = ("format", "domain", "policy", "version", "sequence", "engine", "owner", "governs")
    assert {name: document[name] for name in names} == {
        "format": "gate-policy-bundle/1",
        "domain": "acme",
        "policy": "loan-approval",
        "version": "1.0.3",
        "sequence": "7",
        "engine": "gate-engine/1",
        "owner": "credit-risk@acme.example",
        "governs": ["loan.approve", "loan.extend"],
    }
    assert document["valid"] == {"from_ms": "1767225600000", "until_ms": "1924992000000"}
    assert document["window"] == {"max_age_ms": "900000", "max_ahead_ms": "60000"}
    assert document["resource"] == {"template": "loan/{request.loan_id}"}
    assert document["key"] == {"space": "loans", "generation": "1", "parts": ["loan_id"]}
    assert (document["tests_sha256"], document["previous"]) == (None, None)


def test_inputs_are_sorted_and_their_defaults_filled_in() -> None:
    inputs = {item["name"]: item for item in draft()["inputs"]}
    assert list(inputs) == sorted(inputs)
    assert inputs["request.applicant"] == {
        "name": "request.applicant",
        "type": "string",
        "min_len": 1,
        "max_len": 64,
    }
    assert inputs["request.tags"] == {
        "name": "request.tags",
        "type": "list",
        "of": "string",
        "max_items": 8,
        "min_len": 1,
        "max_len": 16,
        "default": [],
    }
    assert inputs["signal.credit_score"] == {
        "name": "signal.credit_score",
        "type": "int",
        "min": "300",
        "max": "850",
        "issuers": ["credit-bureau"],
        "subject": "applicant",
        "max_age_ms": "86400000",
    }


def test_rules_keep_their_order_and_their_text() -> None:
    rules = draft()["rules"]
    assert [(rule["id"], rule["effect"]) for rule in rules] == [
        ("kyc-missing", "deny"),
        ("too-much", "deny"),
        ("large-loan", "require_approval"),
        ("prime", "allow"),
    ]
    assert rules[2] == {
        "id": "large-loan",
        "effect": "require_approval",
        "expr": "request.loan_amount > 20000",
        "approval": {"role": "credit-officer", "count": 1, "max_age_ms": "259200000"},
        "message": "Loans above 20000 EUR need a credit officer.",
    }


def test_constraints_are_sorted() -> None:
    source = FAULTLESS + b"  also: {type: bool, expr: signal.kyc_passed}\n"
    assert draft(source)["constraints"] == {
        "valid_for_ms": "900000",
        "values": [
            {"name": "also", "type": "bool", "expr": "signal.kyc_passed"},
            {
                "name": "max_amount",
                "type": "int",
                "min": "1",
                "max": "100000",
                "expr": "request.loan_amount",
            },
        ],
    }


def test_requester_and_generation_have_defaults() -> None:
    source = FAULTLESS.replace(b"requester: signed\n", b"").replace(b"  generation: 1\n", b"")
    assert draft(source) == draft()


def test_a_typed_resource_is_declared() -> None:
    source = FAULTLESS.replace(b'"loan/{request.loan_id}"', b"{type: string, max_len: 64}")
    assert draft(source)["resource"] == {"input": {"type": "string", "min_len": 1, "max_len": 64}}


def test_defaults_are_written_as_bundles_have_them() -> None:
    source = FAULTLESS.replace(
        b"request:\n",
        b"request:\n"
        b"  count: {type: int, min: 0, max: 9, default: 3}\n"
        b"  day: {type: date, default: 2026-01-31}\n"
        b'  moment: {type: timestamp, default: "1970-01-01T00:00:01Z"}\n'
        b"  flag: {type: bool, default: false}\n"
        b"  raw: {type: bytes, max_len: 4, default: 00ff}\n",
        1,
    )
    defaults = {
        item["name"]: item["default"] for item in draft(source)["inputs"] if "default" in item
    }
    assert defaults == {
        "request.count": "3",
        "request.day": "2026-01-31",
        "request.moment": "1000",
        "request.flag": False,
        "request.raw": "00ff",
        "request.tags": [],
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("governs", 0), "- loan.approve"),
        (("governs", 1), "- loan.extend"),
        (("window", "max_age_ms"), "window:"),
        (("key", "parts", 0), "parts:"),
        (("inputs", 0), "applicant:"),
        (("inputs", 6, "max_age_ms"), "max_age: 24h"),
        (("inputs", 6, "min"), "min: 300"),
        (("variables", 0, "expr"), "expr: request.loan_amount * 2"),
        (("rules", 1, "expr"), "deny: variables.doubled"),
        (("rules", 1, "effect"), "deny: variables.doubled"),
        (("rules", 2, "approval", "max_age_ms"), "approval:"),
        (("rules", 3), "- id: prime"),
        (("constraints", "values", 0, "expr"), "max_amount:"),
        (("constraints", "valid_for_ms"), "valid_for: 15m"),
        ((), "format:"),
    ],
)
def test_a_finding_finds_its_line(path: tuple[str | int, ...], text: str) -> None:
    fault = read_source(FAULTLESS, "f.yaml", domain="acme").fault(Issue(path, "wrong"))
    assert text in fault.excerpt
    assert fault.message == "wrong"


def test_a_finding_in_an_expression_finds_its_character() -> None:
    source = read_source(FAULTLESS, "f.yaml", domain="acme")
    expr = source.draft["rules"][3]["expr"]
    before = expr[: expr.index("request.loan_amount")]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    fault = source.fault(Issue(("rules", 3, "expr"), "wrong", line=line, column=column))
    assert fault.excerpt[fault.column - 1 :].startswith("request.loan_amount <= 5000")


def test_an_action_given_twice_is_told_at_the_second() -> None:
    data = FAULTLESS.replace(b"  - loan.extend", b"  - loan.extend\n  - loan.approve")
    source = read_source(data, "f.yaml", domain="acme")
    assert source.fault(Issue(("governs", 1), "twice")).line == 10


def test_an_unknown_member_is_told_with_the_nearest_known() -> None:
    with pytest.raises(SourceInvalid) as caught:
        read_source(FAULTLESS.replace(b"owner:", b"ownr:"), "f.yaml", domain="acme")
    unknown, missing = sorted(caught.value.faults, key=lambda fault: -fault.line)
    assert (unknown.message, unknown.hint) == ("unknown member `ownr`", "did you mean `owner`?")
    assert (missing.message, missing.hint) == (
        "member `owner` is missing",
        "`owner` is who answers for the policy",
    )


def test_every_member_is_described() -> None:
    assert all(member.doc for member in POLICY.members.values())
