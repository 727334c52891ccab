"""The Decision entry: the leaf that is made for every request.

What is constant for a partition and policy is encoded once (`decision_block`); `encode_decision`
adds the rest. Part of `entry`, which others import.
"""

from functools import lru_cache

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Approval, Decision, Evaluated, First, Parameters
from gate.core.wire import encoder
from gate.core.wire.encoder import SMALL_COUNT, bytes_, fixed, int32, long, recurring_long, string
from gate.core.wire.parameters import read_identifiers, read_parameters
from gate.core.wire.reader import Reader, WireError
from gate.core.wire.schemas import ENTRY_DECISION, header

_HEADER = header(ENTRY_DECISION)
_DIGEST_BYTES = 32
_SALT_BYTES = 16
_MODES, _OUTCOMES = 2, 2
_CODES, _PHASES = tuple(Code), tuple(Phase)
_UNSTATED_DIGEST = bytes(_DIGEST_BYTES)
_UNSTATED = bytes(1 + _DIGEST_BYTES + 1)
"""Key id, digest and time of an input that nobody signed."""


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
    *,
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
    evaluated: tuple[Evaluated, ...],
    approvals: tuple[Approval, ...],
    constraints: Parameters,
    first: First | None,
    expires_ms: int | None,
) -> bytes:
    """Return a Decision's bytes. `block` is from `decision_block`."""
    digests = input_sha256 + ask_sha256 + salt
    assert len(digests) == _DIGEST_BYTES * 2 + _SALT_BYTES, (
        "expected digests of 32 bytes and a salt of 16"
    )
    return b"".join(
        (
            block,
            recurring_long(input_offset),
            recurring_long(prev_input_offset),
            recurring_long(input_time_ms),
            digests,
            *map(string, (request_id, actor, action, resource, correlation_id)),
            b"\x01" if actor_verified else b"\x00",
            bytes_(admission_key),
            encoder.index(outcome, _OUTCOMES),
            _reasons(reasons),
            _evaluated(evaluated),
            encoder.array([_approval(approval) for approval in approvals]),
            encoder.parameters(constraints),
            encoder.NULL if first is None else encoder.PRESENT + _first(first),
            encoder.NULL if expires_ms is None else encoder.PRESENT + recurring_long(expires_ms),
        )
    )


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


@lru_cache(maxsize=2048)
def _input_head(name: str, source: str, branch: bytes) -> bytes:
    return string(name) + string(source) + branch


def _evaluated(inputs: tuple[Evaluated, ...]) -> bytes:
    if not inputs:
        return b"\x00"
    small = encoder.SMALL
    parts = [long(len(inputs))]
    for name, source, value, key_id, statement_sha256, issued_ms in inputs:
        if key_id or issued_ms or statement_sha256 != _UNSTATED_DIGEST:
            digest = fixed(statement_sha256, _DIGEST_BYTES)
            tail = string(key_id) + digest + recurring_long(issued_ms)
        else:
            tail = _UNSTATED
        # The two commonest types in place: a call each would be a fifth of the whole
        if type(value) is str:
            raw = value.encode()
            length = len(raw)
            size = small[length] if length < SMALL_COUNT else long(length)
            parts += (_input_head(name, source, b"\x04"), size, raw, tail)
        elif type(value) is int:
            parts += (_input_head(name, source, b"\x02"), long(value), tail)
        else:
            parts += (_input_head(name, source, b""), encoder.value(value), tail)
    parts.append(b"\x00")
    return b"".join(parts)


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
        evaluated=_read_evaluated(reader),
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


def _read_evaluated(reader: Reader) -> tuple[Evaluated, ...]:
    count = reader.count("evaluated")
    inputs: list[Evaluated] = []
    try:
        for _ in range(count):
            name, source = read_identifiers(reader, ("name", "source"))
            value = reader.value("value")
            end = reader.position + len(_UNSTATED)
            if reader.data[reader.position : end] == _UNSTATED:
                reader.position = end
                inputs.append(Evaluated(name, source, value))
                continue
            key_id = reader.string("key_id")
            digest = reader.fixed("statement_sha256", _DIGEST_BYTES)
            issued_ms = reader.time_ms("issued_ms")
            inputs.append(Evaluated(name, source, value, key_id, digest, issued_ms))
    except WireError as error:
        raise error.within(f"evaluated[{len(inputs)}]") from None
    reader.end_array("evaluated", count)
    return tuple(inputs)


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
