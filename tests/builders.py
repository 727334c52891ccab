"""Builders of values for tests: keys from names, a trust root, policies, requests, statements."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gate.authoring.pack import build_activation, pack
from gate.core import dsse, jcs
from gate.core.placement import partition_of
from gate.core.signature import key_id
from gate.core.trust import TrustRoot, read_trust_root
from gate.core.values import (
    Attestation,
    ControlRecord,
    RequestSignature,
    SignalStatement,
    Value,
)
from gate.core.wire.control_record import encode_control_record
from gate.core.wire.request import unsigned_bytes, with_signature
from gate.core.wire.statement import encode_statement

DOMAIN, GATE = "acme.example", "payments"
AUDIENCE = f"{DOMAIN}/{GATE}"
NOW_MS = 1_780_315_200_000  # 2026-06-01T12:00:00Z
RUNTIME_LINE = "runtime governance-gate/0.0.0 sha256:" + "00" * 32


@dataclass(frozen=True)
class TestKey:
    """A key made from a name; the same name gives the same key."""

    __test__ = False
    name: str
    private: Ed25519PrivateKey
    public: bytes
    id: str

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)


@cache
def a_key(name: str) -> TestKey:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return TestKey(name, private, public, key_id(public))


class KeySigner:
    """The Signer port over a test key."""

    def __init__(self, key: TestKey) -> None:
        self._key = key

    def public_key(self) -> bytes:
        return self._key.public

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def an_envelope(payload_type: str, payload: bytes, *signers: str) -> bytes:
    message = dsse.pae(payload_type, payload)
    signatures = tuple((a_key(name).id, a_key(name).sign(message)) for name in signers)
    return dsse.encode_envelope(dsse.Envelope(payload_type, payload, signatures))


def a_root_payload(**changes: object) -> bytes:
    def key(name: str, **scopes: object) -> dict[str, object]:
        return {"holder": name, "key": a_key(name).public.hex(), "status": "active", **scopes}

    payload: dict[str, object] = {
        "format": "gate-trust-root/1",
        "domain": DOMAIN,
        "version": 1,
        "previous": None,
        "issued_ms": NOW_MS - 86_400_000,
        "expires_ms": NOW_MS + 365 * 86_400_000,
        "root": {
            "keys": [
                {"holder": name, "key": a_key(name).public.hex()}
                for name in ("root-1", "root-2", "root-3")
            ],
            "threshold": 2,
        },
        "checkpoint_keys": [
            {
                "key": a_key("checkpoint").public.hex(),
                "origins": [f"{AUDIENCE}/"],
                "status": "active",
            }
        ],
        "pins": [],
        "roles": {
            "policy_author": {"keys": [key("author", policies=["*"])], "threshold": 1},
            "policy_activator": {
                "keys": [
                    key("activator-1", policies=["*"], gates=["*"]),
                    key("activator-2", policies=["*"], gates=["*"]),
                    key("activator-3", policies=["*"], gates=["*"]),
                ],
                "threshold": 2,
            },
            "operator": {
                "keys": [key("operator-1", gates=["*"]), key("operator-2", gates=["*"])],
                "threshold": 2,
            },
            "requester": [
                key("requester", actors=["*"]),
                {**key("revoked", actors=["*"]), "status": "revoked"},
            ],
            "signal_issuer": [
                key("bureau", issuer="credit-bureau", signals=["*"]),
                key("kyc", issuer="kyc-service", signals=["kyc_passed"]),
                key("bank", issuer="core-banking", signals=["existing_debt"]),
            ],
        },
    }
    return jcs.canonical({**payload, **changes})


def a_root_envelope(*signers: str, **changes: object) -> bytes:
    payload = a_root_payload(**changes)
    return an_envelope(dsse.TRUST_ROOT, payload, *(signers or ("root-1", "root-2")))


def a_trust_root(**changes: object) -> TrustRoot:
    return read_trust_root(a_root_payload(**changes))


POLICY = """\
format: gate-policy/1
policy: {policy}
version: 1.0.{sequence}
sequence: {sequence}
owner: credit-risk@acme.example
governs: [{action}]
valid: {{from: "2026-01-01T00:00:00Z", until: "2031-01-01T00:00:00Z"}}
requester: {requester}
window: {{max_age: 15m, max_ahead: 60s}}
resource: "loan/{{request.loan_id}}"
key:
  space: {space}
  generation: 1
  parts: [request.loan_id]
request:
  loan_id: {{type: string, max_len: 40, chars: "A-Z0-9-"}}
  applicant: {{type: string, max_len: 64}}
  loan_amount: {{type: int, min: 1, max: 100000, unit: EUR}}
signals:
  credit_score: {{type: int, min: 300, max: 850, issuers: [credit-bureau], subject: request.applicant, max_age: 24h}}
rules:
  - id: too-large
    deny: request.loan_amount > {limit}
    message: "Loans of {{request.loan_amount}} EUR are above the limit."
  - id: prime
    allow: signal.credit_score >= 700
constraints:
  valid_for: 15m
  max_amount: {{type: int, min: 1, max: 100000, expr: request.loan_amount}}
"""


@cache
def a_bundle(
    *,
    policy: str = "loans",
    action: str = "loan.approve",
    sequence: int = 1,
    limit: int = 50_000,
    space: str = "loans",
    requester: str = "signed",
    previous: str | None = None,
    source: str | None = None,
) -> bytes:
    """The payload of a bundle, packed from a small policy."""
    text = source or POLICY.format(
        policy=policy,
        action=action,
        sequence=sequence,
        limit=limit,
        space=space,
        requester=requester,
    )
    return pack(
        text.encode(), "test.policy.yaml", domain=DOMAIN, previous=previous, tests_sha256=None
    )


def digest_of(bundle: bytes) -> str:
    return hashlib.sha256(bundle).hexdigest()


def a_control_record(kind: int, envelope: bytes) -> bytes:
    return encode_control_record(ControlRecord(kind, envelope))


def an_activation(
    bundle: bytes,
    *,
    topic_id: str,
    mode: str = "enforce",
    previous: str | None = None,
    activation_sequence: int = 1,
    authors: tuple[str, ...] = ("author",),
    activators: tuple[str, ...] = ("activator-1", "activator-2"),
    audience: str = AUDIENCE,
    not_after_ms: int = NOW_MS + 3_600_000,
) -> bytes:
    """The control record that activates a bundle."""
    payload = build_activation(
        an_envelope(dsse.POLICY, bundle, *authors),
        mode=mode,
        audience=audience,
        topic_id=topic_id,
        previous=previous,
        activation_sequence=activation_sequence,
        not_after_ms=not_after_ms,
    )
    return a_control_record(2, an_envelope(dsse.ACTIVATION, payload, *activators))


def a_statement(
    signals: Mapping[str, Value],
    *,
    subject: str = "ann",
    subject_type: str = "applicant",
    issuer: str = "credit-bureau",
    domain: str = DOMAIN,
    issued_ms: int = NOW_MS - 60_000,
    expires_ms: int = NOW_MS + 86_400_000,
    signer: str = "bureau",
) -> Attestation:
    statement = encode_statement(
        SignalStatement(
            domain,
            issuer,
            subject_type,
            subject,
            tuple(sorted(signals.items())),
            issued_ms,
            expires_ms,
        )
    )
    signature = a_key(signer).sign(dsse.pae(dsse.SIGNAL, statement))
    return Attestation(statement, a_key(signer).id, signature)


def a_request(
    *,
    loan_id: str = "L-1",
    applicant: str = "ann",
    loan_amount: int = 15_000,
    score: int | None = 720,
    request_id: str = "r-1",
    actor: str = "loan-desk",
    action: str = "loan.approve",
    audience: str = AUDIENCE,
    resource: str | None = None,
    parameters: Mapping[str, Value] | None = None,
    attestations: tuple[Attestation, ...] | None = None,
    issued_at_ms: int = NOW_MS - 1_000,
    expires_at_ms: int | None = None,
    signer: str | None = "requester",
) -> bytes:
    """A signed request to approve a loan; by default one that the policy approves."""
    if parameters is None:
        parameters = {"applicant": applicant, "loan_amount": loan_amount, "loan_id": loan_id}
    if attestations is None:
        attestations = (
            () if score is None else (a_statement({"credit_score": score}, subject=applicant),)
        )
    unsigned = unsigned_bytes(
        audience=audience,
        request_id=request_id,
        actor=actor,
        action=action,
        resource=f"loan/{loan_id}" if resource is None else resource,
        parameters=tuple(sorted(parameters.items())),
        attestations=attestations,
        issued_at_ms=issued_at_ms,
        expires_at_ms=expires_at_ms,
    )
    if signer is None:
        return unsigned
    signature = a_key(signer).sign(dsse.pae(dsse.REQUEST, unsigned))
    return with_signature(unsigned, RequestSignature(a_key(signer).id, signature))


def loan_partition(loan_id: str, partition_count: int) -> int:
    return partition_of(loan_id.encode(), partition_count)
