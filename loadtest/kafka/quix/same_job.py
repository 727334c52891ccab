"""The same job: the gate's requests and policy bundle in, the gate's decision records out.

Same Avro schemas, by fastavro; same declared bounds, same ten rules by the same CEL engine in one
call, same evaluated inputs in the entry, same copy of the ask beside an approval. Where the gate
has a tree and one signature for a partition and transaction, each entry is signed here.

Left out, in the peer's favour: placement of keys, strict decoding (one form a value, NFC), salt,
digest of the ask alone, recovery target, approvals and signals.
"""

import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import fastavro
from cel_expr_python import cel
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HEADER_BYTES = 10
_MARK = bytes.fromhex("c301")
_NO_DIGEST = bytes(32)
_ENGINE_TYPES = {
    "string": cel.Type.STRING,
    "enum": cel.Type.STRING,
    "int": cel.Type.INT,
    "bool": cel.Type.BOOL,
}
_BRANCHES = {bool: "boolean", int: "long", str: "string"}
"""Named to fastavro, which else tries the branches of a union one by one."""


class Taken(Protocol):
    """The keys that were approved before, as Quix Streams keeps state for one partition."""

    def exists(self, key: str) -> bool: ...

    def set(self, key: str, value: int) -> None: ...


class SameJob:
    """Decides requests; one for all partitions."""

    def __init__(
        self, schemas: Path, bundle: bytes, audience: str, key: Ed25519PrivateKey | None
    ) -> None:
        self.is_approved = False
        """What the last call of `decide` decided."""
        self._audience = audience
        _, self._request = _schema(schemas / "action-request.avsc")
        self._entry_header, self._entry = _schema(schemas / "entry-decision.avsc")
        self._record_header, self._record = _schema(schemas / "decision-record.avsc")
        self._policy = policy = json.loads(bundle)
        self._key = key
        self._checks = [
            (item["name"], item["name"].removeprefix("request."), _check(item))
            for item in policy["inputs"]
        ]
        self._rules = policy["rules"]
        self._first = len(policy["variables"])
        self._last = self._first + len(self._rules)
        self._expressions = _compiled(policy)
        self._names = [item["name"] for item in policy["constraints"]["values"]]
        self._valid_for_ms = int(policy["constraints"]["valid_for_ms"])
        self._valid_until_ms = int(policy["valid"]["until_ms"])
        self._max_age_ms = int(policy["window"]["max_age_ms"])
        self._max_ahead_ms = int(policy["window"]["max_ahead_ms"])
        self._fixed = {
            "mode": "ENFORCED",
            "domain": policy["domain"],
            "gate": "quix",
            "input_topic": "peers.requests",
            "epoch": 1,
            "engine": policy["engine"],
            "trust_root_version": 1,
            "trust_root_sha256": _NO_DIGEST,
            "policy_id": policy["policy"],
            "policy_version": policy["version"],
            "policy_sequence": int(policy["sequence"]),
            "policy_sha256": hashlib.sha256(bundle).digest(),
            "prev_input_offset": 0,
            "salt": bytes(16),
            "actor_verified": False,
            "approvals": [],
            "first": None,
        }

    def decide(
        self, value: bytes, partition: int, offset: int, time_ms: int, taken: Taken
    ) -> bytes:
        """Return the decision record for a request; an approved key is taken from then on."""
        stream = io.BytesIO(value)
        stream.seek(HEADER_BYTES)
        request: Any = fastavro.schemaless_reader(stream, self._request, None)
        inputs, reasons = self._checked(request, time_ms)
        loan_id = inputs.get("request.loan_id", "")
        constraints: list[dict[str, Any]] = []
        expires_ms = None
        if not reasons and taken.exists(loan_id):
            reasons = [_reason("replayed", "replay")]
        if not reasons:
            reasons, allowed_by, constraints = self._evaluated(inputs)
        self.is_approved = is_approved = not reasons
        if is_approved:
            taken.set(loan_id, offset)
            reasons = [_reason("approved", "none", allowed_by)]
            expires_ms = min(time_ms + self._valid_for_ms, self._valid_until_ms)
        digest = hashlib.sha256(value).digest()
        written = io.BytesIO()
        written.write(self._entry_header)
        fastavro.schemaless_writer(
            written,
            self._entry,
            {
                **self._fixed,
                "input_partition": partition,
                "input_offset": offset,
                "input_time_ms": time_ms,
                "input_sha256": digest,
                "ask_sha256": digest,
                "request_id": request["request_id"],
                "actor": request["actor"],
                "action": request["action"],
                "resource": request["resource"],
                "correlation_id": request["correlation_id"],
                "admission_key": loan_id.encode(),
                "outcome": "APPROVED" if is_approved else "DENIED",
                "reasons": reasons,
                "evaluated": [_input(name, value) for name, value in inputs.items()],
                "constraints": constraints,
                "expires_ms": expires_ms,
            },
        )
        return self._published(written.getvalue(), offset, value if is_approved else b"")

    def _published(self, entry: bytes, offset: int, ask: bytes) -> bytes:
        written = io.BytesIO()
        written.write(self._record_header)
        fastavro.schemaless_writer(
            written,
            self._record,
            {
                "entry": entry,
                "log": "quix",
                "leaf_index": offset,
                "tree_size": 0,
                "inclusion_path": b"",
                "runtime": "quix",
                "signatures": [] if self._key is None else [self._key.sign(entry)],
                "ask": ask,
            },
        )
        return written.getvalue()

    def _checked(self, request: Any, time_ms: int) -> tuple[dict[str, Any], list[dict[str, str]]]:
        """Check action, window, declared parameters and resource."""
        if request["audience"] != self._audience:
            return {}, [_reason("wrong_audience", "decode", field="audience")]
        if request["action"] not in self._policy["governs"]:
            return {}, [_reason("no_policy", "policy")]
        given = {item["name"]: item["value"] for item in request["parameters"]}
        if len(given) != len(self._checks):
            return {}, [_reason("parameter_undeclared", "admit")]
        inputs, reasons = {}, []
        for name, short, is_good in self._checks:
            value = inputs[name] = given[short]
            if not is_good(value):
                reasons.append(_reason("parameter_invalid", "admit", field=short))
        if request["resource"] != f"loan/{given['loan_id']}":
            reasons.append(_reason("resource_mismatch", "admit", field="resource"))
        age_ms = time_ms - request["issued_at_ms"]
        if not reasons and age_ms > self._max_age_ms:
            reasons.append(_reason("stale", "admit", field="issued_at_ms"))
        elif not reasons and -age_ms > self._max_ahead_ms:
            reasons.append(_reason("from_future", "admit", field="issued_at_ms"))
        return inputs, reasons

    def _evaluated(
        self, inputs: Mapping[str, Any]
    ) -> tuple[list[dict[str, str]], str, list[dict[str, Any]]]:
        """Return why not, or which rule allows it and the constraints."""
        values = self._expressions.eval(None, inputs).plain_value()
        if type(values) is not list:
            return [_reason("policy_error", "evaluate")], "", []
        results = zip(self._rules, values[self._first : self._last], strict=True)
        fired = [rule for rule, result in results if result is True]
        denials = [rule for rule in fired if rule["effect"] == "deny"]
        if denials:
            shown = {**inputs, "variables.exposure": values[0]}
            return [_forbidden(rule, shown) for rule in denials], "", []
        if not fired:
            return [_reason("no_permit", "evaluate")], "", []
        constraints = [
            {"name": name, "value": _branch(value)}
            for name, value in zip(self._names, values[self._last :], strict=True)
        ]
        return [], fired[0]["id"], constraints


def _schema(path: Path) -> tuple[bytes, Any]:
    """Return what stands before a record of a schema (Avro, single-object encoding), and it."""
    read = json.loads(path.read_text(encoding="utf-8"))
    fingerprint = fastavro.schema.fingerprint(
        fastavro.schema.to_parsing_canonical_form(read), "CRC-64-AVRO"
    )
    return _MARK + bytes.fromhex(fingerprint), fastavro.parse_schema(read)


def _compiled(policy: Any) -> Any:
    """Compile everything as one list, variables in their place: one call of the engine each."""
    variables = {f"variables.{item['name']}": f"({item['expr']})" for item in policy["variables"]}
    texts = []
    for item in (*policy["variables"], *policy["rules"], *policy["constraints"]["values"]):
        text = item["expr"]
        for name, expression in variables.items():
            text = text.replace(name, expression)
        texts.append(text)
    types = {item["name"]: _ENGINE_TYPES[item["type"]] for item in policy["inputs"]}
    return cel.NewEnv(variables=types).compile(f"[{', '.join(texts)}]")


def _check(item: Mapping[str, Any]) -> Callable[[Any], bool]:
    if item["type"] == "bool":
        return lambda value: type(value) is bool
    if item["type"] == "enum":
        return frozenset(item["values"]).__contains__
    low, high = int(item.get("min", 0)), int(item.get("max", 0))
    if item["type"] == "int":
        return lambda value: type(value) is int and low <= value <= high
    low, high = item["min_len"], item["max_len"]
    if "chars" not in item:
        return lambda value: type(value) is str and low <= len(value) <= high
    matches = re.compile(f"[{item['chars']}]{{{low},{high}}}").fullmatch
    return lambda value: type(value) is str and matches(value) is not None


def _reason(code: str, phase: str, rule: str = "", field: str = "") -> dict[str, str]:
    return {"code": code, "phase": phase, "rule": rule, "field": field, "message": ""}


def _forbidden(rule: Mapping[str, str], shown: Mapping[str, Any]) -> dict[str, str]:
    message = re.sub(r"\{([^}]+)\}", lambda name: str(shown[name[1]]), rule["message"])
    return {**_reason("forbidden", "evaluate", rule["id"]), "message": message}


def _branch(value: Any) -> tuple[str, Any]:
    return _BRANCHES[type(value)], value


def _input(name: str, value: Any) -> dict[str, Any]:
    return {
        "name": name,
        "source": "ask",
        "value": (_BRANCHES[type(value)], value),
        "key_id": "",
        "statement_sha256": _NO_DIGEST,
        "issued_ms": 0,
    }
