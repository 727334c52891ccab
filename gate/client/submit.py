"""The producer's side: builds action requests, signs them, and publishes them.

Promises: what is published is what was signed; the record key and its partition are those that
the gate computes again (`misrouted` otherwise); an ask that the policy's declarations refuse is
told before it is sent.

Leaves to others: reading files, and waiting for the answer (`decisions`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gate.core import dsse
from gate.core.placement import partition_of
from gate.core.policy.compiled import Policy
from gate.core.reasons import Reason
from gate.core.signature import key_id
from gate.core.values import (
    Attestation,
    Parameters,
    RequestSignature,
    SignalStatement,
    Value,
)
from gate.core.wire.request import read_request, unsigned_bytes, with_signature
from gate.core.wire.statement import encode_statement
from gate.errors import ConfigInvalid
from gate.ports import OutputRecord, Publisher, Signer

STATEMENT_LIFE_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request before it is signed. Times are milliseconds since 1970 UTC."""

    audience: str
    request_id: str
    actor: str
    action: str
    resource: str
    parameters: Parameters
    attestations: tuple[Attestation, ...]
    issued_at_ms: int
    expires_at_ms: int | None = None
    correlation_id: str = ""


class Submission(NamedTuple):
    """A signed request, ready to be published under its record key."""

    request_id: str
    partition: int
    key: bytes
    value: bytes


class Issuer(NamedTuple):
    """Who states signals, and the key to sign statements with."""

    name: str
    signer: Signer


def build(
    draft: Draft, *, policy: Policy, partition_count: int, signer: Signer | None
) -> Submission | tuple[Reason, ...]:
    """Sign a draft and route it by the policy that governs it, or say why its ask is refused.

    Without a signer the request is sent unsigned, which only an `open` policy accepts.
    """
    unsigned = unsigned_bytes(
        audience=draft.audience,
        request_id=draft.request_id,
        actor=draft.actor,
        action=draft.action,
        resource=draft.resource,
        parameters=draft.parameters,
        attestations=draft.attestations,
        issued_at_ms=draft.issued_at_ms,
        expires_at_ms=draft.expires_at_ms,
        correlation_id=draft.correlation_id,
    )
    check = policy.check_ask(read_request(unsigned))
    if check.reasons:
        return check.reasons
    key = policy.admission_key(check.inputs).routing_key
    value = unsigned if signer is None else _signed(unsigned, signer)
    return Submission(draft.request_id, partition_of(key, partition_count), key, value)


def publish(
    submissions: Sequence[Submission], *, topic: str, publisher: Publisher
) -> tuple[int, ...]:
    """Publish the requests and return their offsets. Raises what the port raises."""
    records = [OutputRecord(topic, item.partition, item.key, item.value) for item in submissions]
    return tuple(publisher.publish(records))


def attest(
    signals: Mapping[str, Value],
    parameters: Parameters,
    *,
    policy: Policy,
    issuers: Sequence[Issuer],
    domain: str,
    now_ms: int,
) -> tuple[Attestation, ...]:
    """State signals in the issuers' names: one statement for each issuer and subject.

    Each signal is stated by the first of `issuers` that the policy accepts for it. Raises
    `ConfigInvalid` for a signal that nobody can state, or whose subject is missing.
    """
    given = dict(parameters)
    groups: dict[tuple[int, str], dict[str, Value]] = {}
    for declared in policy.signals:
        if declared.name not in signals:
            continue
        index = next((i for i, who in enumerate(issuers) if who.name in declared.issuers), None)
        if index is None:
            raise ConfigInvalid(
                f"signal `{declared.name}` is stated by {', '.join(sorted(declared.issuers))}: "
                "name that issuer's key with --issuer-key"
            )
        if not isinstance(given.get(declared.subject), str):
            raise ConfigInvalid(
                f"signal `{declared.name}` is about parameter `{declared.subject}`: add it"
            )
        groups.setdefault((index, declared.subject), {})[declared.name] = signals[declared.name]
    return tuple(
        _attestation(
            SignalStatement(
                domain,
                issuers[index].name,
                subject,
                str(given[subject]),
                tuple(sorted(values.items())),
                now_ms,
                now_ms + STATEMENT_LIFE_MS,
            ),
            issuers[index].signer,
        )
        for (index, subject), values in groups.items()
    )


def _signed(unsigned: bytes, signer: Signer) -> bytes:
    signature = signer.sign(dsse.pae(dsse.REQUEST, unsigned))
    return with_signature(unsigned, RequestSignature(key_id(signer.public_key()), signature))


def _attestation(statement: SignalStatement, signer: Signer) -> Attestation:
    data = encode_statement(statement)
    signature = signer.sign(dsse.pae(dsse.SIGNAL, data))
    return Attestation(data, key_id(signer.public_key()), signature)
