"""Builds a small signed lineage from fixed seeds: keys, trust root, entries, notes, evidence."""

import hashlib
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gate.core import dsse, jcs
from gate.core.placement import input_sha256
from gate.core.proof import merkle
from gate.core.proof.checkpoint import checkpoint_body, note_key_id, origin, signed_note
from gate.core.proof.evidence import Evidence, InputRecord, Later, Proof
from gate.core.reasons import Code, Phase, Reason
from gate.core.signature import key_id
from gate.core.values import (
    APPROVED,
    CONTROL_POLICY_ENFORCE,
    CONTROL_TRUST_ROOT,
    DENIED,
    ENFORCED,
    Control,
    Decision,
    DecisionRecord,
    Evaluated,
    Gap,
    Genesis,
    PinnedSchema,
)
from gate.core.wire.entry import encode_entry

DOMAIN, GATE, TOPIC = "acme.example", "payments", "payments.requests.v1"
ORIGIN = origin(DOMAIN, GATE, TOPIC, 3, 1)
RUNTIME = "runtime governance-gate/0.1.0 sha256:" + "5a" * 32
NOW_MS = 1_780_000_000_000
ASK = b"the framed ask"
INPUT = InputRecord(b"L-1", b"the request's bytes")
POLICY_PAYLOAD = jcs.canonical({"format": "gate-policy/1", "policy": "loan-approval"})


class Key(NamedTuple):
    """A private key for tests, with what is public of it."""

    private: Ed25519PrivateKey
    public: bytes
    key_id: str


def key_of(name: str) -> Key:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    public = private.public_key().public_bytes_raw()
    return Key(private, public, key_id(public))


def envelope(payload_type: str, payload: bytes, *names: str) -> dsse.Envelope:
    message = dsse.pae(payload_type, payload)
    signatures = [(key_of(name).key_id, key_of(name).private.sign(message)) for name in names]
    return dsse.Envelope(payload_type, payload, tuple(signatures))


def hexed(name: str) -> str:
    return key_of(name).public.hex()


def checkpoint_key(name: str, status: str = "active") -> dict[str, object]:
    return {"key": hexed(name), "origins": [f"{DOMAIN}/{GATE}/"], "status": status}


def trust_root(**changes: object) -> dict[str, object]:
    """The JSON value of a trust root; `changes` replace whole members."""
    listed = {"policies": ["loan-*"], "status": "active"}
    return {
        "format": "gate-trust-root/1",
        "domain": DOMAIN,
        "version": 1,
        "previous": None,
        "issued_ms": NOW_MS - 1000,
        "expires_ms": NOW_MS + 1_000_000,
        "root": {
            "keys": [{"key": hexed(name), "holder": name} for name in ("ann", "bob", "cem")],
            "threshold": 2,
        },
        "checkpoint_keys": [checkpoint_key("checkpoint")],
        "pins": [],
        "roles": {
            "policy_author": {
                "keys": [{"key": hexed("author"), "holder": "author", **listed}],
                "threshold": 1,
            },
            "policy_activator": {
                "keys": [
                    {"key": hexed(name), "holder": name, "gates": [GATE], **listed}
                    for name in ("dan", "eve")
                ],
                "threshold": 2,
            },
            "operator": {
                "keys": [
                    {"key": hexed(name), "holder": name, "gates": [GATE], "status": "active"}
                    for name in ("fay", "gus")
                ],
                "threshold": 2,
            },
            "requester": [
                {
                    "key": hexed("requester"),
                    "holder": "desk",
                    "actors": ["ann@acme.example", "agents/*"],
                    "status": "active",
                }
            ],
            "signal_issuer": [
                {
                    "key": hexed("issuer"),
                    "holder": "bureau",
                    "issuer": "credit-bureau",
                    "signals": ["credit_score"],
                    "status": "active",
                }
            ],
            "approver": [
                {
                    "key": hexed("approver"),
                    "holder": "hal",
                    "role": "credit-officer",
                    **listed,
                }
            ],
        },
        **changes,
    }


def trust_root_envelope(*names: str, **changes: object) -> dsse.Envelope:
    payload = jcs.canonical(trust_root(**changes))
    return envelope(dsse.TRUST_ROOT, payload, *(names or ("ann", "bob")))


ROOT_SHA256 = hashlib.sha256(trust_root_envelope().payload).digest()
GENESIS = Genesis(
    domain=DOMAIN,
    gate=GATE,
    cluster_id="cluster",
    topic=TOPIC,
    topic_id="topic-id",
    partition=3,
    partition_count=6,
    epoch=1,
    first_offset=0,
    previous=(),
    engine="gate-engine/1",
    limits=(("a", 1), ("b", 2)),
    schemas=(PinnedSchema("gate.v1.Ask", bytes(8), bytes(32)),),
    lineage_secret_sha256=bytes(32),
    trust_root_sha256=ROOT_SHA256,
)
TRUST_CONTROL = Control(
    kind=CONTROL_TRUST_ROOT,
    input_offset=0,
    prev_input_offset=-1,
    input_time_ms=NOW_MS,
    input_sha256=input_sha256(*INPUT),
    id=DOMAIN,
    version="1",
    sequence=0,
    digest=ROOT_SHA256,
    activation_sequence=0,
    signers=tuple(sorted([key_of("ann").key_id, key_of("bob").key_id])),
)
POLICY_CONTROL = TRUST_CONTROL._replace(
    kind=CONTROL_POLICY_ENFORCE,
    input_offset=1,
    prev_input_offset=0,
    id="loan-approval",
    version="1.0.3",
    sequence=7,
    digest=hashlib.sha256(POLICY_PAYLOAD).digest(),
    activation_sequence=1,
)
APPROVAL = Decision(
    mode=ENFORCED,
    domain=DOMAIN,
    gate=GATE,
    input_topic=TOPIC,
    input_partition=3,
    epoch=1,
    engine="gate-engine/1",
    trust_root_version=1,
    trust_root_sha256=ROOT_SHA256,
    policy_id="loan-approval",
    policy_version="1.0.3",
    policy_sequence=7,
    policy_sha256=hashlib.sha256(POLICY_PAYLOAD).digest(),
    input_offset=5,
    prev_input_offset=4,
    input_time_ms=NOW_MS,
    input_sha256=input_sha256(*INPUT),
    ask_sha256=hashlib.sha256(ASK).digest(),
    salt=bytes(range(16)),
    request_id="r-5",
    actor="ann@acme.example",
    action="loan.approve",
    resource="loan/L-1",
    correlation_id="c-5",
    actor_verified=True,
    admission_key=b"loans/L-1",
    outcome=APPROVED,
    reasons=(Reason(Code.APPROVED, Phase.NONE, rule="prime"),),
    evaluated=(Evaluated("request.loan_amount", "ask", 15000),),
    approvals=(),
    constraints=(("max_amount", 15000),),
    first=None,
    expires_ms=NOW_MS + 900_000,
)
DENIAL = APPROVAL._replace(
    outcome=DENIED,
    reasons=(Reason(Code.FORBIDDEN, Phase.EVALUATE, rule="kyc-missing", message="No checks."),),
    constraints=(),
    expires_ms=None,
)
GAP = Gap(first_offset=6, last_offset=9, prev_input_offset=5, cause="unreadable", order=b"{}")


def denial_at(offset: int) -> Decision:
    return DENIAL._replace(
        input_offset=offset, prev_input_offset=offset - 1, request_id=f"r-{offset}"
    )


class Lineage:
    """A lineage of given leaves, able to prove any of them at any size."""

    def __init__(self, entries: list[bytes], signer: str = "checkpoint") -> None:
        self.entries = entries
        self.leaves = [merkle.leaf_hash(entry) for entry in entries]
        self.signer = signer

    def tree(self, size: int) -> merkle.Appended:
        return merkle.append(merkle.EMPTY, self.leaves[:size])

    def note(self, size: int, signer: str | None = None, name: str = ORIGIN) -> str:
        key = key_of(signer or self.signer)
        body = checkpoint_body(name, size, self.tree(size).root, RUNTIME)
        return signed_note(body, name, note_key_id(name, key.public), key.private.sign(body))

    def later(self, old_size: int, size: int, signer: str | None = None) -> Later:
        grown = merkle.append(self.tree(old_size).frontier, self.leaves[old_size:size])
        return Later(grown.consistency, self.note(size, signer))

    def proof(self, index: int, size: int, signer: str | None = None) -> Proof:
        path = self.tree(size).paths[index]
        return Proof(self.entries[index], index, path, self.note(size, signer))

    def record(self, index: int, size: int, ask: bytes = b"") -> DecisionRecord:
        tree, key = self.tree(size), key_of(self.signer)
        body = checkpoint_body(ORIGIN, size, tree.root, RUNTIME)
        line = note_key_id(ORIGIN, key.public) + key.private.sign(body)
        return DecisionRecord(
            self.entries[index], ORIGIN, index, size, tree.paths[index], RUNTIME, (line,), ask
        )


APPROVED_AT = 5


def a_lineage(approval: Decision = APPROVAL, signer: str = "checkpoint") -> Lineage:
    """Genesis, two controls, two denials, the approval at `APPROVED_AT`, then denials: 13 leaves.

    Offsets equal leaf indexes less one up to the approval, which stands at offset 5.
    """
    entries = [GENESIS, TRUST_CONTROL, POLICY_CONTROL, denial_at(2), denial_at(3), approval]
    entries += [denial_at(offset) for offset in range(6, 13)]
    return Lineage([encode_entry(entry) for entry in entries], signer)


def good_evidence(approval: Decision = APPROVAL, signer: str = "checkpoint") -> Evidence:
    """Evidence with every attachment, at size 9, led on to size 13."""
    lineage = a_lineage(approval, signer)
    return Evidence(
        proof=lineage.proof(APPROVED_AT, 9),
        later=(lineage.later(9, 13),),
        policy=envelope(dsse.POLICY, POLICY_PAYLOAD, "author"),
        control=trust_root_envelope(),
        input=INPUT,
    )
