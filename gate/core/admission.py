"""Admission: one record from bytes to outcome; the order of checks of `design/bad-input.md` §1.

Everything a decision depends on is an argument, so the same arguments give the same outcome on
any machine and in any year (P3); `gate replay` rests on this. `prepare()` is steps 1 to 4 and
gives the admission key; the runtime fetches what is known of that key; `admit()` is the rest.
Control records are `control.judge_control`'s. Reading state, sealing and producing belong to
others.
"""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

from gate.core import dsse
from gate.core.limits import KEY_BYTES_MAX, REASONS_MAX, VALUE_BYTES_MAX
from gate.core.placement import partition_of
from gate.core.policy.compiled import Policy
from gate.core.reasons import Code, Phase, Reason
from gate.core.signals import IssuerTrust, verify_signals
from gate.core.signature import PublicKey
from gate.core.state import state_key
from gate.core.trust import KeyRefusal
from gate.core.usual import UsualRequest, read_usual
from gate.core.values import (
    ActionRequest,
    AdmissionRecord,
    Evaluated,
    First,
    Parameters,
    Value,
)
from gate.core.wire.inputs import (
    NO_INPUTS,
    EncodedInputs,
    decode_inputs,
    encode_inputs,
    joined,
)
from gate.core.wire.reader import WireError
from gate.core.wire.request import check_request, read_request

_ZEROS = bytes(32)
_QUARANTINED = frozenset(
    {
        Code.CONTROL_REJECTED,
        Code.TOO_LARGE,
        Code.FRAMING_UNKNOWN,
        Code.SCHEMA_UNKNOWN,
        Code.MALFORMED,
        Code.LIMIT_EXCEEDED,
        Code.SIGNATURE_INVALID,
        Code.REPLAY_CONFLICT,
    }
)
_NO_VALUES: Mapping[str, Value] = {}
_MISROUTED = (Reason(Code.MISROUTED, Phase.ADMIT),)


class Trust(IssuerTrust, Protocol):
    """Whose requests and statements count, and until when."""

    @property
    def expires_ms(self) -> int:
        """From this append time on every request is denied."""

    def requester_key(self, key_id: str, actor: str) -> PublicKey | KeyRefusal:
        """Return the key if it is listed and active for this actor."""


class Setting(NamedTuple):
    """What surrounds the records of one partition while its control state stands."""

    domain: str
    audience: str
    partition: int
    partition_count: int
    trust: Trust
    policies: Mapping[str, Policy]
    """The policy in force by action."""


class Prepared(NamedTuple):
    """A record after steps 1 to 4: a finding, or an admission key to be fetched."""

    request: ActionRequest | None
    policy: Policy | None
    inputs: Mapping[str, Value]
    evaluated: EncodedInputs
    admission_key: bytes
    state_key: bytes
    reasons: tuple[Reason, ...]


class Admission(NamedTuple):
    """The answer to one record: outcome, reasons and all that the entry says of it."""

    approved: bool
    request: ActionRequest | None
    policy: Policy | None
    ask_sha256: bytes
    actor_verified: bool
    admission_key: bytes
    reasons: tuple[Reason, ...]
    inputs: EncodedInputs
    constraints: Parameters
    first: First | None
    expires_ms: int | None

    @property
    def evaluated(self) -> tuple[Evaluated, ...]:
        """Return the evaluated inputs as values."""
        return decode_inputs(self.inputs)

    @property
    def is_quarantined(self) -> bool:
        """Say whether the untouched input is kept beside the denial.

        An entry that grew too large (phase ENCODE) came from a readable record: nothing is kept.
        """
        first = self.reasons[0]
        return first.code in _QUARANTINED and first.phase is not Phase.ENCODE


def prepare(
    key: bytes | None, value: bytes | None, *, append_time_ms: int, setting: Setting
) -> Prepared:
    """Take a record that is no control record through steps 1 to 4.

    Never raises on any bytes: what cannot be read is a reason (P4).
    """
    usual = _usual(key, value, setting)
    if usual is not None:
        request = usual.request
    else:
        decoded, reasons = _decode(key, value, setting.audience)
        if reasons:
            return Prepared(decoded, None, _NO_VALUES, NO_INPUTS, b"", b"", reasons)
        assert decoded is not None
        request = decoded
    policy = setting.policies.get(request.action)
    finding = _policy_in_force(policy, setting.trust, append_time_ms)
    if policy is None or finding is not None:
        assert finding is not None
        reasons = (Reason(finding, Phase.POLICY),)
        return Prepared(request, policy, _NO_VALUES, NO_INPUTS, b"", b"", reasons)
    if usual is not None:
        inputs, evaluated = usual.inputs, usual.evaluated
    else:
        inputs, plain, reasons = policy.check_ask(request)
        evaluated = encode_inputs(plain)
        if reasons:
            return Prepared(request, policy, inputs, evaluated, b"", b"", reasons)
    encoded, routing_key = policy.admission_key(inputs)
    reasons = ()
    if key != routing_key or partition_of(key, setting.partition_count) != setting.partition:
        reasons = _MISROUTED
    return Prepared(request, policy, inputs, evaluated, encoded, state_key(encoded), reasons)


def admit(
    prepared: Prepared, taken: AdmissionRecord | None, *, append_time_ms: int, setting: Setting
) -> Admission:
    """Take a prepared record through steps 5 to 12.

    `taken` is the admission record under its state key, or `None`. Steps with a finding end the
    evaluation; a decision always has at least one reason.
    """
    request, policy = prepared.request, prepared.policy
    if prepared.reasons:
        return _denied(prepared, prepared.reasons)
    assert request is not None
    assert policy is not None
    finding = _stated_times(prepared, append_time_ms)
    if finding is not None:
        return _denied(prepared, (finding,))
    actor_verified = False
    if policy.bundle.requester == "signed":
        code = _requester(request, setting.trust)
        if code is not None:
            return _denied(prepared, (Reason(code, Phase.VERIFY),))
        actor_verified = True
    ask_sha256 = hashlib.sha256(request.ask).digest()
    if taken is not None:
        same = taken.ask_sha256 == ask_sha256
        code = Code.REPLAYED if same else Code.REPLAY_CONFLICT
        first = First(taken.epoch, taken.leaf_index, taken.input_offset)
        reasons = (Reason(code, Phase.REPLAY),)
        return _denied(prepared, reasons, ask_sha256, actor_verified=actor_verified, first=first)
    return _weigh(prepared, ask_sha256, actor_verified, append_time_ms, setting)


def _weigh(
    prepared: Prepared,
    ask_sha256: bytes,
    actor_verified: bool,
    append_time_ms: int,
    setting: Setting,
) -> Admission:
    """Take a request whose key is free through steps 8 to 12: signals, rules, constraints."""
    request, policy = prepared.request, prepared.policy
    assert request is not None
    assert policy is not None
    inputs, evaluated, reasons = _with_signals(prepared, append_time_ms, setting)
    if reasons:
        return _denied(
            prepared, reasons, ask_sha256, actor_verified=actor_verified, evaluated=evaluated
        )
    evaluation = policy.evaluate(
        inputs,
        actor=request.actor,
        action=request.action,
        resource=request.resource,
        now_ms=append_time_ms,
    )
    if evaluation.reasons:
        return _denied(
            prepared,
            evaluation.reasons,
            ask_sha256,
            actor_verified=actor_verified,
            evaluated=evaluated,
        )
    return Admission(
        approved=True,
        request=request,
        policy=policy,
        ask_sha256=ask_sha256,
        actor_verified=actor_verified,
        admission_key=prepared.admission_key,
        reasons=_approved_by(evaluation.allowed_by),
        inputs=evaluated,
        constraints=evaluation.constraints,
        first=None,
        expires_ms=_expiry(policy, request, append_time_ms),
    )


def _with_signals(
    prepared: Prepared, append_time_ms: int, setting: Setting
) -> tuple[Mapping[str, Value], EncodedInputs, tuple[Reason, ...]]:
    """Step 8: the policy's inputs with the signals it declares, or what is wrong with them."""
    request, policy = prepared.request, prepared.policy
    assert request is not None
    assert policy is not None
    if not policy.signals:
        return prepared.inputs, prepared.evaluated, ()
    signals = verify_signals(
        request.attestations,
        policy=policy,
        trust=setting.trust,
        domain=setting.domain,
        inputs=prepared.inputs,
        append_time_ms=append_time_ms,
    )
    evaluated = joined(prepared.evaluated, encode_inputs(signals.evaluated))
    return {**prepared.inputs, **signals.inputs}, evaluated, signals.reasons


@lru_cache(maxsize=1024)  # a pure function of the rule's name
def _approved_by(rule: str) -> tuple[Reason, ...]:
    return (Reason(Code.APPROVED, Phase.NONE, rule),)


def without_detail(admission: Admission) -> Admission:
    """Return the denial that stands for an answer whose entry would be too large (step 11)."""
    return admission._replace(
        approved=False,
        reasons=(Reason(Code.TOO_LARGE, Phase.ENCODE),),
        inputs=NO_INPUTS,
        constraints=(),
        first=None,
        expires_ms=None,
    )


def unread(reason: Reason) -> Admission:
    """Return the denial of a record of which nothing can be said but the reason."""
    reasons = (reason,)
    return _denied(Prepared(None, None, _NO_VALUES, NO_INPUTS, b"", b"", reasons), reasons)


def _denied(
    prepared: Prepared,
    reasons: tuple[Reason, ...],
    ask_sha256: bytes | None = None,
    *,
    actor_verified: bool = False,
    evaluated: EncodedInputs | None = None,
    first: First | None = None,
) -> Admission:
    if len(reasons) > REASONS_MAX:
        more = Reason(Code.MORE_REASONS, Phase.NONE)
        reasons = (*reasons[: REASONS_MAX - 1], more)
    request = prepared.request
    if ask_sha256 is None:
        ask_sha256 = _ZEROS if request is None else hashlib.sha256(request.ask).digest()
    return Admission(
        approved=False,
        request=request,
        policy=prepared.policy,
        ask_sha256=ask_sha256,
        actor_verified=actor_verified,
        admission_key=prepared.admission_key,
        reasons=reasons,
        inputs=prepared.evaluated if evaluated is None else evaluated,
        constraints=(),
        first=first,
        expires_ms=None,
    )


def _usual(key: bytes | None, value: bytes | None, setting: Setting) -> UsualRequest | None:
    """Take the quick way through steps 1 and 3, where the sizes of the whole allow it."""
    if not value or len(value) > VALUE_BYTES_MAX or key is None or len(key) > KEY_BYTES_MAX:
        return None
    return read_usual(value, setting.audience, setting.policies)


def _decode(
    key: bytes | None, value: bytes | None, audience: str
) -> tuple[ActionRequest | None, tuple[Reason, ...]]:
    """Step 1. The first fault of the bytes ends it; faults of readable fields are all listed."""
    if not value:
        return None, (Reason(Code.EMPTY, Phase.DECODE),)
    if len(value) > VALUE_BYTES_MAX:
        return None, (Reason(Code.TOO_LARGE, Phase.DECODE),)
    if key is not None and len(key) > KEY_BYTES_MAX:
        return None, (Reason(Code.LIMIT_EXCEEDED, Phase.DECODE, field="key"),)
    try:
        request = read_request(value)
    except WireError as fault:
        return None, (Reason(fault.code, Phase.DECODE, field=fault.field),)
    return request, check_request(request, audience)


def _policy_in_force(policy: Policy | None, trust: Trust, append_time_ms: int) -> Code | None:
    """Step 2, first finding."""
    if policy is None:
        return Code.NO_POLICY
    if append_time_ms < policy.bundle.valid_from_ms:
        return Code.POLICY_NOT_YET_VALID
    if append_time_ms >= policy.bundle.valid_until_ms:
        return Code.POLICY_EXPIRED
    if append_time_ms >= trust.expires_ms:
        return Code.TRUST_ROOT_EXPIRED
    return None


def _stated_times(prepared: Prepared, append_time_ms: int) -> Reason | None:
    """Step 5, first finding."""
    request, policy = prepared.request, prepared.policy
    assert request is not None
    assert policy is not None
    age_ms = append_time_ms - request.issued_at_ms
    by_date = policy.check_key_time(prepared.inputs, append_time_ms)
    if age_ms > policy.bundle.max_age_ms:
        return Reason(Code.STALE, Phase.ADMIT, field="issued_at_ms")
    if by_date is not None and by_date.code is Code.STALE:
        return by_date
    if -age_ms > policy.bundle.max_ahead_ms:
        return Reason(Code.FROM_FUTURE, Phase.ADMIT, field="issued_at_ms")
    if by_date is not None:
        return by_date
    if request.expires_at_ms is not None and append_time_ms >= request.expires_at_ms:
        return Reason(Code.EXPIRED, Phase.ADMIT, field="expires_at_ms")
    return None


def _requester(request: ActionRequest, trust: Trust) -> Code | None:
    """Step 6, first finding."""
    if request.signature is None:
        return Code.SIGNATURE_MISSING
    key = trust.requester_key(request.signature.key_id, request.actor)
    if isinstance(key, KeyRefusal):
        return Code.IDENTITY_REVOKED if key is KeyRefusal.REVOKED else Code.IDENTITY_UNKNOWN
    signed = dsse.pae(dsse.REQUEST, request.signed_bytes)
    if not key.verify(signed, request.signature.signature):
        return Code.SIGNATURE_INVALID
    return None


def _expiry(policy: Policy, request: ActionRequest, append_time_ms: int) -> int:
    expires_ms = min(append_time_ms + policy.bundle.valid_for_ms, policy.bundle.valid_until_ms)
    if request.expires_at_ms is not None:
        expires_ms = min(expires_ms, request.expires_at_ms)
    return expires_ms
