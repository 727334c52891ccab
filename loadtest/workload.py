"""Workloads: requests under a policy of ten rules, unsigned (`open`) or fully signed (`signed`).

Everything is made from a seed before the measurement begins.
"""

import hashlib
import random
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gate.core import dsse
from gate.core.placement import partition_of
from gate.core.signature import key_id
from gate.core.values import Attestation, RequestSignature, SignalStatement
from gate.core.wire.request import unsigned_bytes, with_signature
from gate.core.wire.statement import encode_statement

Kind = Literal["open", "signed"]

_SIGNAL = """\
signals:
  credit_score: {type: int, min: 300, max: 850, issuers: [credit-bureau], subject: request.applicant, max_age: 24h}
"""

_POLICY = """\
format: gate-policy/1
policy: load
version: 1.0.0
sequence: 1
owner: load@test.example
governs: [loan.approve]
valid: {from: "2026-01-01T00:00:00Z", until: "2035-01-01T00:00:00Z"}
requester: %(requester)s
window: {max_age: 30d, max_ahead: 60s}
resource: "loan/{request.loan_id}"
key: {space: loans, generation: 1, parts: [request.loan_id]}
request:
  loan_id: {type: string, max_len: 40, chars: "A-Z0-9-"}
  applicant: {type: string, max_len: 64}
  loan_amount: {type: int, min: 1, max: 1000000, unit: EUR}
  term_months: {type: int, min: 6, max: 360}
  income: {type: int, min: 0, max: 10000000, unit: EUR}
  debt: {type: int, min: 0, max: 10000000, unit: EUR}
  country: {type: enum, values: [DE, FR, IR, KP, NL]}
  is_member: {type: bool}
%(signals)svariables:
  - {name: exposure, expr: request.debt + request.loan_amount}
rules:
  - {id: sanctioned, deny: 'request.country in ["IR", "KP"]', message: "Loans to {request.country} are not permitted."}
  - {id: over-indebted, deny: variables.exposure > 2500000, message: "Exposure {variables.exposure} EUR is too high."}
  - {id: no-income, deny: request.income == 0, message: "There is no income."}
  - {id: too-long, deny: request.term_months > 300 && request.loan_amount < 1000, message: "The term is too long."}
  - {id: ratio, deny: request.loan_amount > request.income * 10, message: "The loan is above ten incomes."}
  - {id: micro, deny: 'request.loan_amount < 10 && !request.is_member', message: "Too small."}
  - {id: foreign, deny: 'request.country == "NL" && request.loan_amount > 500000', message: "Too large."}
  - {id: prime, allow: %(prime)s && request.loan_amount <= 500000}
  - {id: member, allow: request.is_member && request.loan_amount <= 900000}
  - {id: small, allow: request.loan_amount <= 5000 && request.term_months <= 24}
constraints:
  valid_for: 15m
  max_amount: {type: int, min: 1, max: 1000000, expr: request.loan_amount}
"""


class Person(NamedTuple):
    """A key of the workload."""

    private: Ed25519PrivateKey
    public: bytes
    id: str


def person(name: str) -> Person:
    """Return the key that belongs to a name; test keys only."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Person(private, public, key_id(public))


def policy_source(kind: Kind) -> bytes:
    """Return the policy: ten rules, eight parameters, and a signal when signed."""
    signed = kind == "signed"
    text = _POLICY % {
        "requester": "signed" if signed else "open",
        "signals": _SIGNAL if signed else "",
        "prime": "signal.credit_score >= 640" if signed else "request.income >= 20000",
    }
    return text.encode()


def requests(
    kind: Kind, count: int, *, audience: str, domain: str, partitions: int, now_ms: int, seed: int
) -> list[tuple[int, bytes, bytes]]:
    """Return (partition, record key, value) of requests with distinct admission keys."""
    draw = random.Random(seed)
    made = []
    for number in range(count):
        loan_id = f"L-{seed}-{number:09d}"
        applicant = f"applicant-{draw.randrange(10**6)}"
        key = loan_id.encode()
        value = _request(kind, loan_id, applicant, draw, audience, domain, now_ms)
        made.append((partition_of(key, partitions), key, value))
    return made


def _request(
    kind: Kind,
    loan_id: str,
    applicant: str,
    draw: random.Random,
    audience: str,
    domain: str,
    now_ms: int,
) -> bytes:
    attestations: tuple[Attestation, ...] = ()
    if kind == "signed":
        score = draw.randrange(500, 850)
        statement = encode_statement(
            SignalStatement(
                domain,
                "credit-bureau",
                "applicant",
                applicant,
                (("credit_score", score),),
                now_ms - 1000,
                now_ms + 86_400_000,
            )
        )
        bureau = person("bureau")
        signature = bureau.private.sign(dsse.pae(dsse.SIGNAL, statement))
        attestations = (Attestation(statement, bureau.id, signature),)
    unsigned = unsigned_bytes(
        audience=audience,
        request_id=f"req-{loan_id}",
        actor="loan-desk",
        action="loan.approve",
        resource=f"loan/{loan_id}",
        parameters=(
            ("applicant", applicant),
            ("country", draw.choice(("DE", "FR", "NL", "DE", "DE", "IR"))),
            ("debt", draw.randrange(100_000)),
            ("income", draw.randrange(10_000, 200_000)),
            ("is_member", draw.random() < 0.3),
            ("loan_amount", draw.randrange(100, 400_000)),
            ("loan_id", loan_id),
            ("term_months", draw.randrange(6, 360)),
        ),
        attestations=attestations,
        issued_at_ms=now_ms,
    )
    if kind == "open":
        return unsigned
    requester = person("requester")
    signature = requester.private.sign(dsse.pae(dsse.REQUEST, unsigned))
    return with_signature(unsigned, RequestSignature(requester.id, signature))
