"""Runs command lines in this process, in a folder of development keys."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gate.cli.main import main

POLICY = "policies/loan-approval.policy.yaml"
ISSUERS = tuple(
    part
    for name in ("issuer", "issuer-kyc-service", "issuer-core-banking")
    for part in ("--issuer-key", f"keys/{name}.key")
)
ACTIVATORS = ("--key", "keys/activator-1.key", "--key", "keys/activator-2.key")
REQUEST = {
    "actor": "ann",
    "action": "loan.approve",
    "resource": "loan/L-1",
    "parameters": {
        "loan_id": "L-1",
        "applicant": "ann",
        "loan_amount": 15000,
        "term_months": 48,
        "country": "DE",
    },
    "signals": {"credit_score": 720, "kyc_passed": True, "existing_debt": 2000},
}


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str

    def json(self) -> list[Any]:
        """Return what was written with `--output json`."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """A person in a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ended:
        self._capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    def request(self, name: str = "loan.json", **changes: Any) -> str:
        """Write a request file here."""
        return write_request(self.folder, name, **changes)


def write_request(folder: Path, name: str = "loan.json", **changes: Any) -> str:
    """Write a request file; `parameters` and `signals` are laid over, not replaced."""
    written = {
        member: {**value, **changes.pop(member, {})} if isinstance(value, dict) else value
        for member, value in REQUEST.items()
    }
    (folder / name).write_text(json.dumps({**written, **changes}))
    return name


def without_gate_variables() -> dict[str, str]:
    """Return the environment without variables that would configure a gate."""
    return {name: v for name, v in os.environ.items() if not name.upper().startswith("GATE_")}
