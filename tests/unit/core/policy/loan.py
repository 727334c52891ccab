"""Builders: the loan policy of the requirements as a bundle, and requests for it."""

import copy
import hashlib
from typing import Any

from gate.core import jcs
from gate.core.policy.bundle import parse_bundle, read_draft
from gate.core.policy.compiled import Policy, compile_policy, expression_digests
from gate.core.values import ActionRequest, Value

DAY_MS = 86_400_000
NOW_MS = 1_780_315_200_000  # 2026-06-01T12:00:00Z
TODAY = "2026-06-01"

Document = dict[str, Any]


def signal(name: str, issuer: str, **kind: object) -> Document:
    return {
        "name": f"signal.{name}",
        "issuers": [issuer],
        "subject": "applicant",
        "max_age_ms": str(DAY_MS),
        **kind,
    }


def deny(rule_id: str, expr: str, message: str = "No.") -> Document:
    return {"id": rule_id, "effect": "deny", "expr": expr, "message": message}


def allow(rule_id: str, expr: str) -> Document:
    return {"id": rule_id, "effect": "allow", "expr": expr}


def integer(name: str, least: int, most: int, **more: object) -> Document:
    return {"name": name, "type": "int", "min": str(least), "max": str(most), **more}


def text(name: str, **more: object) -> Document:
    return {"name": name, "type": "string", "min_len": 1, "max_len": 64, **more}


LOAN: Document = {
    "format": "gate-policy-bundle/1",
    "domain": "acme.example",
    "policy": "loan-approval",
    "version": "1.0.3",
    "sequence": "7",
    "engine": "gate-engine/1",
    "owner": "credit-risk@acme.example",
    "governs": ["loan.approve"],
    "valid": {"from_ms": "1767225600000", "until_ms": "1924992000000"},
    "requester": "signed",
    "window": {"max_age_ms": "900000", "max_ahead_ms": "60000"},
    "resource": {"template": "loan/{request.loan_id}"},
    "key": {"space": "loans", "generation": "1", "parts": ["loan_id"]},
    "inputs": [
        text("request.applicant"),
        {"name": "request.country", "type": "enum", "values": ["DE", "FR", "IR", "KP", "NL"]},
        integer("request.loan_amount", 1, 100_000, unit="EUR"),
        text("request.loan_id", max_len=40, chars="A-Z0-9-"),
        integer("request.term_months", 6, 360),
        signal("credit_score", "credit-bureau", type="int", min="300", max="850"),
        signal("existing_debt", "core-banking", type="int", min="0", max="10000000", unit="EUR"),
        signal("kyc_passed", "kyc-service", type="bool"),
    ],
    "variables": [{"name": "exposure", "expr": "signal.existing_debt + request.loan_amount"}],
    "rules": [
        deny(
            "sanctioned-country",
            'request.country in ["IR", "KP"]',
            "Loans to {request.country} are not permitted.",
        ),
        deny("kyc-missing", "!signal.kyc_passed", "The applicant has not passed identity checks."),
        deny(
            "over-indebted",
            "variables.exposure > 250000",
            "Total exposure {variables.exposure} EUR is above 250000 EUR.",
        ),
        {
            "id": "large-loan",
            "effect": "require_approval",
            "expr": "request.loan_amount > 20000",
            "approval": {"role": "credit-officer", "count": 1, "max_age_ms": "259200000"},
            "message": "Loans above 20000 EUR need a credit officer.",
            "remedy": "gate approve --role credit-officer",
        },
        allow("prime", "signal.credit_score >= 700 && request.loan_amount <= 50000"),
        allow(
            "near-prime",
            "signal.credit_score >= 640 && request.loan_amount <= 5000"
            " && request.term_months <= 24",
        ),
    ],
    "constraints": {
        "valid_for_ms": "900000",
        "values": [
            {
                "name": "max_amount",
                "type": "int",
                "min": "1",
                "max": "100000",
                "expr": "request.loan_amount",
            }
        ],
    },
    "tests_sha256": None,
    "previous": None,
}

ASK: dict[str, Value] = {
    "applicant": "ann",
    "country": "DE",
    "loan_amount": 15000,
    "loan_id": "L-1",
    "term_months": 48,
}
SIGNALS: dict[str, Value] = {
    "signal.credit_score": 720,
    "signal.existing_debt": 2000,
    "signal.kyc_passed": True,
}


def changed(document: Document = LOAN, **members: object) -> Document:
    """Return a deep copy with top-level members replaced."""
    return copy.deepcopy({**document, **members})


def with_digests(document: Document) -> Document:
    """Return the document as a packer completes it."""
    digests = expression_digests(read_draft(document))
    packed = copy.deepcopy(document)
    pairs = (
        (packed["variables"], digests.variables),
        (packed["rules"], digests.rules),
        (packed["constraints"]["values"], digests.constraints),
    )
    for members, found in pairs:
        for member, ast in zip(members, found, strict=True):
            member["ast"] = ast
    return packed


def pack(document: Document) -> bytes:
    return jcs.canonical(with_digests(document))


def policy_of(document: Document = LOAN) -> Policy:
    payload = pack(document)
    return compile_policy(parse_bundle(payload), hashlib.sha256(payload).digest())


def request(
    parameters: dict[str, Value] = ASK, *, resource: str = "loan/L-1", action: str = "loan.approve"
) -> ActionRequest:
    return ActionRequest(
        audience="acme.example/gate",
        request_id="r-1",
        actor="ann",
        action=action,
        resource=resource,
        parameters=tuple(sorted(parameters.items())),
        attestations=(),
        issued_at_ms=NOW_MS,
        expires_at_ms=None,
        correlation_id="",
        signature=None,
        ask=b"",
        signed_bytes=b"",
    )


def inputs(**parameters: Value) -> dict[str, Value]:
    """Return good inputs of the loan policy with some parameters replaced."""
    return {f"request.{name}": value for name, value in {**ASK, **parameters}.items()} | SIGNALS
