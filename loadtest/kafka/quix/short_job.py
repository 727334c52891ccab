"""The least that could do: ten rules as plain Python, a short decision of its own schema.

The policy is not data here: another version is another program, and a decision does not say what
was evaluated. Checks audience, action, resource and window; no declared bounds.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import fastavro
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from same_job import Taken
from short_decision import APPROVED, DECISION, DENIED, HEADER_BYTES

_MAX_AGE_MS, _MAX_AHEAD_MS, _VALID_FOR_MS = 30 * 86_400_000, 60_000, 900_000
_MARK = bytes.fromhex("c301") + bytes(HEADER_BYTES - 2)
_WRITTEN = fastavro.parse_schema(DECISION)


class ShortJob:
    """Decides requests; one for all partitions."""

    def __init__(self, schemas: Path, key: Ed25519PrivateKey | None) -> None:
        text = (schemas / "action-request.avsc").read_text(encoding="utf-8")
        self._read = fastavro.parse_schema(json.loads(text))
        self._key = key
        self.is_approved = False
        """What the last call of `decide` decided."""

    def decide(
        self, value: bytes, partition: int, offset: int, time_ms: int, taken: Taken
    ) -> bytes:
        """Return the decision for a request; an approved key is taken from then on."""
        request: Any = fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), self._read)
        given = {item["name"]: item["value"] for item in request["parameters"]}
        reason = self._refusal(request, given, time_ms)
        loan_id = given["loan_id"]
        if not reason and taken.exists(loan_id):
            reason = "replayed"
        reason = reason or _rules(given)
        self.is_approved = is_approved = reason == "approved"
        if is_approved:
            taken.set(loan_id, offset)
        written = io.BytesIO()
        written.write(_MARK)
        fastavro.schemaless_writer(
            written,
            _WRITTEN,
            {
                "outcome": APPROVED if is_approved else DENIED,
                "reason": reason,
                "gate": request["audience"],
                "input_partition": partition,
                "input_offset": offset,
                "input_time_ms": time_ms,
                "input_sha256": hashlib.sha256(value).digest(),
                "request_id": request["request_id"],
                "actor": request["actor"],
                "action": request["action"],
                "resource": request["resource"],
                "admission_key": loan_id,
                "policy": "load 1.0.0",
                "expires_ms": time_ms + _VALID_FOR_MS if is_approved else None,
                "max_amount": given["loan_amount"] if is_approved else None,
            },
        )
        decision = written.getvalue()
        return decision if self._key is None else decision + self._key.sign(decision)

    def _refusal(self, request: Any, given: dict[str, Any], time_ms: int) -> str:
        issued = request["issued_at_ms"]
        if not request["audience"].startswith("load.example/"):
            return "wrong_audience"
        if request["action"] != "loan.approve":
            return "no_policy"
        if request["resource"] != f"loan/{given['loan_id']}":
            return "resource_differs"
        if not issued - _MAX_AHEAD_MS <= time_ms <= issued + _MAX_AGE_MS:
            return "outside_window"
        return ""


def _rules(given: dict[str, Any]) -> str:
    """The ten rules of `loadtest/workload.py`, for open requests."""
    amount, income, country = given["loan_amount"], given["income"], given["country"]
    term, is_member = given["term_months"], given["is_member"]
    if country in {"IR", "KP"}:
        return "sanctioned"
    if given["debt"] + amount > 2_500_000:
        return "over-indebted"
    if income == 0:
        return "no-income"
    if term > 300 and amount < 1_000:
        return "too-long"
    if amount > income * 10:
        return "ratio"
    if amount < 10 and not is_member:
        return "micro"
    if country == "NL" and amount > 500_000:
        return "foreign"
    is_prime = income >= 20_000 and amount <= 500_000
    is_allowed = (is_member and amount <= 900_000) or (amount <= 5_000 and term <= 24)
    return "approved" if is_prime or is_allowed else "no_permit"
