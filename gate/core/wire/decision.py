"""The Decision entry: the leaf that is made for every request.

What is constant for a partition and policy is encoded once (`decision_block`); `encode_decision`
adds the rest. Part of `entry`, which others import.
"""

from functools import lru_cache

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Approval, Decision, Evaluated, First, Parameters
from gate.core.wire import encoder
from gate.core.wire.encoder import bytes_, fixed, int32, long, recurring_long, string
from gate.core.wire.inputs import EncodedInputs, array_of, encode_inputs, read_inputs
from gate.core.wire.parameters import read_identifiers, read_parameters
from gate.core.wire.reader import Reader, WireError
from gate.core.wire.schemas import ENTRY_DECISION, header

_HEADER = header(ENTRY_DECISION)
_DIGEST_BYTES = 32
_SALT_BYTES = 16
_MODES, _OUTCOMES = 2, 2
_CODES, _PHASES = tuple(Code), tuple(Phase)


def decision_block(
    *,
    mode: int,
    domain: str,
    gate: str,
    input_topic: str,
    input_partition: int,
    epoch: int,
    engine: str,
    trust_root_version: int,
    trust_root_sha256: bytes,
    policy_id: str,
    policy_version: str,
    policy_sequence: int,
    policy_sha256: bytes,
) -> bytes:
    """Return header and constant fields of a Decision, to be encoded once for many."""
    return b"".join(
        (
            _HEADER,
            encoder.index(mode, _MODES),
            string(domain),
            string(gate),
            string(input_topic),
            int32(input_partition),
            int32(epoch),
            string(engine),
            long(trust_root_version),
            fixed(trust_root_sha256, _DIGEST_BYTES),
            string(policy_id),
            string(policy_version),
            long(policy_sequence),
            fixed(policy_sha256, _DIGEST_BYTES),
        )
    )


def encode_decision(
    block: bytes,
    input_offset: int,
    prev_input_offset: int,
    input_time_ms: int,
    input_sha256: bytes,
    ask_sha256: bytes,
    salt: bytes,
    request_id: str,
    actor: str,
    action: str,
    resource: str,
    correlation_id: str,
    actor_verified: bool,
    admission_key: bytes,
    outcome: int,
    reasons: tuple[Reason, ...],
    evaluated: EncodedInputs | tuple[Evaluated, ...],
    approvals: tuple[Approval, ...],
    constraints: Parameters,
    first: First | None,
    expires_ms: int | None,
) -> bytes:
    """Return a Decision's bytes. `block` is from `decision_block`."""
    inputs = evaluated if isinstance(evaluated, EncodedInputs) else encode_inputs(evaluated)
    return b"".join(
        (
            block,
            recurring_long(input_offset),
            recurring_long(prev_input_offset),
            recurring_long(input_time_ms),
            _digests(input_sha256 + ask_sha256 + salt),
            string(request_id),
            _recurring_string(actor),
            _recurring_string(action),
            string(resource),
            string(correlation_id) if correlation_id else b"\x00",
            b"\x01" if actor_verified else b"\x00",
            bytes_(admission_key),
            encoder.index(outcome, _OUTCOMES),
            _reasons(reasons),
            array_of(inputs),
            encoder.array([_approval(item) for item in approvals]) if approvals else b"\x00",
            encoder.parameters(constraints) if constraints else b"\x00",
            encoder.NULL if first is None else encoder.PRESENT + _first(first),
            encoder.NULL if expires_ms is None else encoder.PRESENT + recurring_long(expires_ms),
        )
    )


def _digests(raw: bytes) -> bytes:
    assert len(raw) == _DIGEST_BYTES * 2 + _SALT_BYTES, (
        "expected digests of 32 bytes and a salt of 16"
    )
    return raw


_recurring_string = lru_cache(maxsize=1024)(string)
"""`string` for names that come again and again."""


@lru_cache(maxsize=512)
def _reasons(reasons: tuple[Reason, ...]) -> bytes:
    return encoder.array(
        [
            encoder.index(code, len(_CODES))
            + encoder.index(phase, len(_PHASES))
            + string(rule)
            + string(field)
            + string(message)
            for code, phase, rule, field, message in reasons
        ]
    )


def _approval(approval: Approval) -> bytes:
    rule, role, holder, key_id, statement_sha256 = approval
    digest = fixed(statement_sha256, _DIGEST_BYTES)
    return string(rule) + string(role) + string(holder) + string(key_id) + digest


def _first(first: First) -> bytes:
    return int32(first.epoch) + long(first.leaf_index) + long(first.input_offset)


def read_decision(reader: Reader) -> Decision:
    """Read the fields behind the header. Raises `WireError`."""
    return Decision(
        mode=reader.index("mode", _MODES),
        domain=reader.string("domain"),
        gate=reader.string("gate"),
        input_topic=reader.string("input_topic"),
        input_partition=reader.int32("input_partition"),
        epoch=reader.int32("epoch"),
        engine=reader.string("engine"),
        trust_root_version=reader.long("trust_root_version"),
        trust_root_sha256=reader.fixed("trust_root_sha256", _DIGEST_BYTES),
        policy_id=reader.string("policy_id"),
        policy_version=reader.string("policy_version"),
        policy_sequence=reader.long("policy_sequence"),
        policy_sha256=reader.fixed("policy_sha256", _DIGEST_BYTES),
        input_offset=reader.long("input_offset"),
        prev_input_offset=reader.long("prev_input_offset"),
        input_time_ms=reader.time_ms("input_time_ms"),
        input_sha256=reader.fixed("input_sha256", _DIGEST_BYTES),
        ask_sha256=reader.fixed("ask_sha256", _DIGEST_BYTES),
        salt=reader.fixed("salt", _SALT_BYTES),
        request_id=reader.string("request_id"),
        actor=reader.string("actor"),
        action=reader.string("action"),
        resource=reader.string("resource"),
        correlation_id=reader.string("correlation_id"),
        actor_verified=reader.boolean("actor_verified"),
        admission_key=reader.bytes_("admission_key"),
        outcome=reader.index("outcome", _OUTCOMES),
        reasons=_read_reasons(reader),
        evaluated=read_inputs(reader),
        approvals=_read_approvals(reader),
        constraints=read_parameters(reader, "constraints"),
        first=_read_first(reader),
        expires_ms=reader.optional_time_ms("expires_ms"),
    )


def _read_reasons(reader: Reader) -> tuple[Reason, ...]:
    count = reader.count("reasons")
    reasons: list[Reason] = []
    try:
        for _ in range(count):
            code = _CODES[reader.index("code", len(_CODES))]
            phase = _PHASES[reader.index("phase", len(_PHASES))]
            rule, field, message = read_identifiers(reader, ("rule", "field", "message"))
            reasons.append(Reason(code, phase, rule, field, message))
    except WireError as error:
        raise error.within(f"reasons[{len(reasons)}]") from None
    reader.end_array("reasons", count)
    return tuple(reasons)


def _read_approvals(reader: Reader) -> tuple[Approval, ...]:
    count = reader.count("approvals")
    approvals: list[Approval] = []
    try:
        for _ in range(count):
            rule, role = read_identifiers(reader, ("rule", "role"))
            holder, key_id = read_identifiers(reader, ("holder", "key_id"))
            digest = reader.fixed("statement_sha256", _DIGEST_BYTES)
            approvals.append(Approval(rule, role, holder, key_id, digest))
    except WireError as error:
        raise error.within(f"approvals[{len(approvals)}]") from None
    reader.end_array("approvals", count)
    return tuple(approvals)


def _read_first(reader: Reader) -> First | None:
    if not reader.index("first", 2):
        return None
    return First(
        reader.int32("first.epoch"),
        reader.long("first.leaf_index"),
        reader.long("first.input_offset"),
    )
