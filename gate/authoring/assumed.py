"""What the gate would say, signatures taken as given.

A policy author has no keys of issuers and requesters. So every key is assumed to be listed and
every signature to hold; all other steps are the gate's own (`core.admission`), on the request's
real bytes. Never a source of trust: nothing outside the author's tools may use it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gate.core.admission import Admission, Setting, admit, prepare
from gate.core.policy.compiled import Policy
from gate.core.signature import PublicKey
from gate.core.values import (
    Attestation,
    KeyId,
    Parameters,
    RequestSignature,
    SignalStatement,
    Value,
)
from gate.core.wire.reader import WireError
from gate.core.wire.request import encode_request, read_request
from gate.core.wire.statement import encode_statement

DOMAIN = "assumed"
AUDIENCE = "assumed/gate"

_KEY_ID = "assumed"
_SIGNATURE = bytes(64)
_STATEMENT_LIFE_MS = 86_400_000
_FOREVER_MS = 2**63 - 1


class AssumedRequest(NamedTuple):
    """An ask, and what is assumed to be attested about it.

    `signals` are by name; `ages_ms` says how old a signal's statement is, 0 where it is silent.
    """

    actor: str
    action: str
    resource: str
    parameters: Parameters
    signals: Mapping[str, Value]
    ages_ms: Mapping[str, int]
    request_id: str = "assumed"
    correlation_id: str = ""


class _AssumedKey(PublicKey):
    """A key under which every signature holds."""

    __slots__ = ()

    def __init__(self) -> None:
        """Hold no key: there is nothing to verify with."""

    def verify(self, message: bytes, signature: bytes) -> bool:  # noqa: ARG002 - all hold
        """Take any signature as given."""
        return True


class AssumedTrust:
    """A trust root that lists every key for everybody, and never expires."""

    expires_ms = _FOREVER_MS

    def requester_key(self, key_id: str, actor: str) -> PublicKey:  # noqa: ARG002 - all listed
        """Return the assumed key."""
        return _AssumedKey()

    def issuer_key(self, key_id: str, issuer: str, signal: str) -> PublicKey:  # noqa: ARG002
        """Return the assumed key."""
        return _AssumedKey()


def judge(request: AssumedRequest, policy: Policy, now_ms: int) -> Admission:
    """Return the gate's answer to a request appended at `now_ms`, its admission key being free."""
    value = encode_request(
        audience=AUDIENCE,
        request_id=request.request_id,
        actor=request.actor,
        action=request.action,
        resource=request.resource,
        parameters=request.parameters,
        attestations=_attestations(request, policy, now_ms),
        issued_at_ms=now_ms,
        correlation_id=request.correlation_id,
        signature=RequestSignature(_KEY_ID, _SIGNATURE),
    )
    setting = Setting(
        domain=DOMAIN,
        audience=AUDIENCE,
        partition=0,
        partition_count=1,
        trust=AssumedTrust(),
        policies=dict.fromkeys(policy.bundle.governs, policy),
    )
    prepared = prepare(_routing_key(value, policy), value, append_time_ms=now_ms, setting=setting)
    return admit(prepared, None, append_time_ms=now_ms, setting=setting)


def _routing_key(value: bytes, policy: Policy) -> bytes | None:
    """Return the record key that a correct producer would use; none for an ask that is refused."""
    try:
        check = policy.check_ask(read_request(value))
    except WireError:
        return None
    return None if check.reasons else policy.admission_key(check.inputs).routing_key


def _attestations(request: AssumedRequest, policy: Policy, now_ms: int) -> tuple[Attestation, ...]:
    """Return one statement for all signals of one issuer, subject and age."""
    subjects = {item.name: item.default for item in policy.bundle.parameters}
    subjects.update(request.parameters)
    groups: dict[tuple[str, str, int], dict[str, Value]] = {}
    for signal in policy.bundle.signals:
        if signal.name in request.signals:
            age_ms = request.ages_ms.get(signal.name, 0)
            group = groups.setdefault((signal.issuers[0], signal.subject, age_ms), {})
            group[signal.name] = request.signals[signal.name]
    made = []
    for (issuer, subject, age_ms), values in groups.items():
        statement = SignalStatement(
            domain=DOMAIN,
            issuer=issuer,
            subject_type=subject,
            subject=str(subjects.get(subject, "")),
            signals=tuple(sorted(values.items())),
            issued_ms=now_ms - age_ms,
            expires_ms=now_ms + _STATEMENT_LIFE_MS,
        )
        made.append(Attestation(encode_statement(statement), KeyId(_KEY_ID), _SIGNATURE))
    return tuple(made)
