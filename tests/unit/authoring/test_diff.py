"""What changed between two bundles."""

from pathlib import Path
from typing import Any

import pytest

import gate.authoring
from gate.authoring.check import check_source
from gate.authoring.diff import Change, diff_bundles, diff_json, diff_lines

LOAN = (Path(gate.authoring.__file__).parent / "examples/loan-approval.policy.yaml").read_text(
    encoding="utf-8"
)
PRIME = "  - id: prime\n    allow: signal.credit_score >= 700 && request.loan_amount <= 50000\n"


def document(source: str) -> dict[str, Any]:
    return check_source(source.encode(), "p.yaml").document


def lines(old: str, new: str) -> tuple[str, ...]:
    assert old in LOAN
    changed = LOAN.replace(old, new, 1)
    return diff_lines(diff_bundles(document(LOAN), document(changed)))


def test_the_same_bundle_has_no_change() -> None:
    assert diff_bundles(document(LOAN), document(LOAN)) == ()
    assert diff_lines(()) == ("no change",)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("sequence: 7", "sequence: 8", "~ sequence: `7` -> `8`"),
        (
            "max_age: 24h",
            "max_age: 12h",
            "~ inputs signal.credit_score max_age_ms: `86400000` -> `43200000`",
        ),
        (
            "issuers: [credit-bureau]",
            "issuers: [other]",
            "~ inputs signal.credit_score issuers: [`credit-bureau`] -> [`other`] (breaking)",
        ),
        ("generation: 1", "generation: 2", "~ key generation: `1` -> `2` (breaking)"),
        (
            'until: "2031-01-01T00:00:00Z"',
            'until: "2030-01-01T00:00:00Z"',
            "~ valid until_ms: `1924992000000` -> `1893456000000` (breaking)",
        ),
        (
            "> 250000\n",
            "> 200000\n",
            (
                "~ rules over-indebted expr: `variables.exposure > 250000` ->"
                " `variables.exposure > 200000`"
            ),
        ),
        (
            PRIME,
            "",
            (
                "- rules prime: was {id: `prime`, effect: `allow`, expr:"
                " `signal.credit_score >= 700 && request.loan_amount <= 50000`}"
            ),
        ),
        (
            "rules:\n",
            "rules:\n  - id: more\n    allow: signal.kyc_passed\n",
            "+ rules more: {id: `more`, effect: `allow`, expr: `signal.kyc_passed`}",
        ),
        (
            "request:\n",
            "request:\n  tag: {type: bool}\n",
            "+ inputs request.tag: {name: `request.tag`, type: `bool`} (breaking)",
        ),
        (
            "request:\n",
            "request:\n  tag: {type: bool, default: false}\n",
            "+ inputs request.tag: {name: `request.tag`, type: `bool`, default: False}",
        ),
        ("valid_for: 15m", "valid_for: 5m", "~ constraints valid_for_ms: `900000` -> `300000`"),
        (
            '    remedy: "Complete the identity check, then resubmit."\n',
            "",
            "- rules kyc-missing remedy: was `Complete the identity check, then resubmit.`",
        ),
    ],
)
def test_a_change_is_one_line(old: str, new: str, line: str) -> None:
    assert lines(old, new) == (line,)


def test_rules_in_another_order_are_told() -> None:
    moved = LOAN.replace(PRIME, "").replace("rules:\n", "rules:\n" + PRIME)
    (change,) = diff_bundles(document(LOAN), document(moved))
    assert (change.kind, change.what, change.is_breaking) == ("moved", "rules", False)


def test_changes_for_programs() -> None:
    changes = (Change("changed", "sequence", "7", "8", is_breaking=False),)
    assert diff_json(changes) == [
        {"kind": "changed", "what": "sequence", "old": "7", "new": "8", "breaking": False}
    ]
