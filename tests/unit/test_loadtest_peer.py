"""The peer that the gate is measured against does the same job: it decides as the gate does."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gate.authoring.pack import pack
from gate.core.admission import Admission, Setting, admit, prepare
from gate.core.policy.bundle import parse_bundle
from gate.core.policy.compiled import compile_policy
from gate.core.trust import verify_first
from gate.core.values import APPROVED, AdmissionRecord, Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.record import read_decision_record
from loadtest.kafka.quix.same_job import SameJob
from loadtest.trust import root_envelope
from loadtest.workload import policy_source, requests

NOW_MS = 1_790_000_000_000
DOMAIN, AUDIENCE = "load.example", "load.example/peers"
BUNDLE = pack(policy_source("open"), "l", domain=DOMAIN, previous=None, tests_sha256=None)


class Taken(dict[str, int]):
    """The keys approved so far."""

    exists = dict.__contains__
    set = dict.__setitem__


def asked(count: int) -> list[tuple[bytes, bytes, int]]:
    """Return (key, request, append time): good ones, stale ones, early ones, each of them twice."""
    made = requests(
        "open", count, audience=AUDIENCE, domain=DOMAIN, partitions=1, now_ms=NOW_MS, seed=7
    )
    shifts_ms = (0, 0, 0, 31 * 86_400_000, -61_000)
    once = [
        (key, value, NOW_MS + shifts_ms[number % len(shifts_ms)])
        for number, (_, key, value) in enumerate(made)
    ]
    return once + once


def by_the_gate(count: int) -> list[Admission]:
    policy = compile_policy(parse_bundle(BUNDLE), bytes(32))
    setting = Setting(
        domain=DOMAIN,
        audience=AUDIENCE,
        partition=0,
        partition_count=1,
        trust=verify_first(root_envelope(DOMAIN, AUDIENCE, NOW_MS)),
        policies={"loan.approve": policy},
    )
    decided, taken = [], {}
    for offset, (key, value, time_ms) in enumerate(asked(count)):
        prepared = prepare(key, value, append_time_ms=time_ms, setting=setting)
        known = taken.get(prepared.state_key)
        admission = admit(prepared, known, append_time_ms=time_ms, setting=setting)
        if admission.approved:
            ask_sha256 = admission.ask_sha256
            taken[prepared.state_key] = AdmissionRecord(1, 1, offset, offset, ask_sha256)
        decided.append(admission)
    return decided


def by_the_peer(count: int, key: Ed25519PrivateKey) -> list[Decision]:
    job = SameJob(Path("schemas"), BUNDLE, AUDIENCE, key)
    decided, taken = [], Taken()
    for offset, (_, value, time_ms) in enumerate(asked(count)):
        record = read_decision_record(job.decide(value, 0, offset, time_ms, taken))
        entry = read_entry(record.entry)
        assert isinstance(entry, Decision)
        key.public_key().verify(record.signatures[0], record.entry)
        assert record.ask == (value if entry.outcome == APPROVED else b"")
        assert job.is_approved == (entry.outcome == APPROVED)
        decided.append(entry)
    return decided


def test_the_peer_decides_what_the_gate_decides_and_writes_the_gates_records() -> None:
    peer = by_the_peer(400, Ed25519PrivateKey.generate())
    gate = by_the_gate(400)

    told = [(a.approved, a.reasons, a.evaluated, a.constraints, a.expires_ms) for a in gate]
    assert told == [
        (e.outcome == APPROVED, e.reasons, e.evaluated, e.constraints, e.expires_ms) for e in peer
    ]
    assert {reason.code.name for a in gate for reason in a.reasons} == {
        *("APPROVED", "FORBIDDEN", "NO_PERMIT", "STALE", "FROM_FUTURE", "REPLAYED")
    }
