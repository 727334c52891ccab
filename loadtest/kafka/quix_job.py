"""The gate's job on Quix Streams, in good faith. Runs in an environment of its own; no gate here.

    python quix_job.py BOOTSTRAP INPUT PREFIX RECORDS BATCH STATE_FOLDER SCHEMA [sign]

Per record, as in the gate: decode the Avro request, check audience, action and time window, look
its key up in the state store, evaluate ten rules (the load policy's, as plain Python), write an
Avro decision to one of two topics, remember the key when approved. Exactly-once, one transaction a
BATCH records, lz4. Not done here: admission of keys by placement, bounds of each parameter,
Merkle tree, checkpoints, recovery target. With `sign`, one Ed25519 signature of each decision.
"""

import hashlib
import io
import json
import sys
from pathlib import Path

import fastavro
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quix_decision import APPROVED, DECISION, DENIED, HEADER_BYTES
from quixstreams import Application, message_context

_MAX_AGE_MS, _MAX_AHEAD_MS, _VALID_FOR_MS = 30 * 86_400_000, 60_000, 900_000
_MARK = bytes.fromhex("c301") + bytes(HEADER_BYTES - 2)
_WRITTEN = fastavro.parse_schema(DECISION)


class Job:
    """One gate's worth of deciding; `decide` is the function of the dataframe."""

    def __init__(self, schema: Path, key: Ed25519PrivateKey | None) -> None:
        self._read = fastavro.parse_schema(json.loads(schema.read_text(encoding="utf-8")))
        self._key = key

    def decide(self, value, _key, timestamp, _headers, state):
        request = fastavro.schemaless_reader(io.BytesIO(value[HEADER_BYTES:]), self._read)
        given = {item["name"]: item["value"] for item in request["parameters"]}
        reason = self._refusal(request, given, timestamp)
        loan_id = given["loan_id"]
        if not reason and state.exists(loan_id):
            reason = "replayed"
        reason = reason or _rules(given)
        is_approved = reason == "approved"
        context = message_context()
        if is_approved:
            state.set(loan_id, context.offset)
        written = io.BytesIO()
        written.write(_MARK)
        fastavro.schemaless_writer(
            written,
            _WRITTEN,
            {
                "outcome": APPROVED if is_approved else DENIED,
                "reason": reason,
                "gate": request["audience"],
                "input_partition": context.partition,
                "input_offset": context.offset,
                "input_time_ms": timestamp,
                "input_sha256": hashlib.sha256(value).digest(),
                "request_id": request["request_id"],
                "actor": request["actor"],
                "action": request["action"],
                "resource": request["resource"],
                "admission_key": loan_id,
                "policy": "load 1.0.0",
                "expires_ms": timestamp + _VALID_FOR_MS if is_approved else None,
                "max_amount": given["loan_amount"] if is_approved else None,
            },
        )
        decision = written.getvalue()
        return decision if self._key is None else decision + self._key.sign(decision)

    def _refusal(self, request, given, time_ms):
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


def _rules(given):
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


class Told:
    """Tells progress as the gate does: one line a batch, on stderr."""

    def __init__(self, batch: int) -> None:
        self._batch, self.pending = batch, 0

    def processed(self, _topic, _partition, _offset) -> None:
        self.pending += 1
        if self.pending == self._batch:
            self.tell()

    def tell(self) -> None:
        line = {"event": "transaction_committed", "records": self.pending}
        print(json.dumps(line), file=sys.stderr, flush=True)
        self.pending = 0


def main() -> None:
    bootstrap, source, prefix, wanted, batch, state, schema, *more = sys.argv[1:]
    told = Told(int(batch))
    app = Application(
        broker_address=bootstrap,
        consumer_group=prefix,
        auto_offset_reset="earliest",
        state_dir=state,
        processing_guarantee="exactly-once",
        commit_interval=5.0,
        commit_every=int(batch),
        consumer_poll_timeout=0.1,
        loglevel="ERROR",
        on_message_processed=told.processed,
        consumer_extra_config={"log_level": 2},
        producer_extra_config={
            "log_level": 2,
            "linger.ms": 5,
            "compression.type": "lz4",
            "retry.backoff.ms": 2,
        },
    )
    raw = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    out = {"key_serializer": "bytes", "value_serializer": "bytes"}
    requests = app.topic(source, **raw)
    approved, denied = app.topic(f"{prefix}.approved", **out), app.topic(f"{prefix}.denied", **out)
    key = Ed25519PrivateKey.generate() if more == ["sign"] else None
    frame = app.dataframe(requests)
    frame = frame.apply(Job(Path(schema), key).decide, stateful=True, metadata=True)
    frame.to_topic(lambda value, *_: approved if value[HEADER_BYTES] else denied)
    app.run(count=int(wanted), timeout=60, collect=False)
    told.tell()  # the rest, committed as the application ended


if __name__ == "__main__":
    main()
