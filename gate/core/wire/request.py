"""The action request: from its bytes, to its bytes, and what a readable one must still satisfy.

A request is read once, from the bytes as sent. Its ask and what its requester signed are cut from
those bytes and never encoded again (`design/README.md` §4). Emptiness and size of the whole are
judged by the caller, before.
"""

import re

from gate.core import limits
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import ActionRequest, Attestation, Parameters, RequestSignature
from gate.core.wire import encoder
from gate.core.wire.parameters import read_identifiers, read_parameters
from gate.core.wire.reader import HOSTILE, RECORD_BYTES_MAX, Reader, WireError
from gate.core.wire.schemas import ACTION_REQUEST, ASK, header
from gate.core.wire.text import has_forbidden, is_nfc

HEADER = header(ACTION_REQUEST)
ASK_HEADER = header(ASK)
_SIGNATURE_BYTES = 64
_ACTION = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")


def read_request(value: bytes) -> ActionRequest:
    """Read a record's value. Raises `WireError`."""
    reader = Reader(value, ACTION_REQUEST, HOSTILE, RECORD_BYTES_MAX)
    audience, request_id = read_identifiers(reader, ("audience", "request_id"))
    ask_start = reader.position
    actor, action, resource = read_identifiers(reader, ("actor", "action", "resource"))
    parameters = read_parameters(reader, "parameters")
    ask_end = reader.position
    attestations, issued_at_ms, expires_at_ms, correlation_id, signature, signed_bytes = read_rest(
        reader
    )
    return ActionRequest(
        audience,
        request_id,
        actor,
        action,
        resource,
        parameters,
        attestations,
        issued_at_ms,
        expires_at_ms,
        correlation_id,
        signature,
        ASK_HEADER + value[ask_start:ask_end],
        signed_bytes,
    )


Rest = tuple[tuple[Attestation, ...], int, int | None, str, RequestSignature | None, bytes]
"""The fields of an `ActionRequest` behind its parameters, and `signed_bytes`."""


def read_rest(reader: Reader) -> Rest:
    """Read what follows the parameters, to the end. Raises `WireError`."""
    attestations = _read_attestations(reader)
    issued_at_ms = reader.time_ms("issued_at_ms")
    expires_at_ms = reader.optional_time_ms("expires_at_ms")
    (correlation_id,) = read_identifiers(reader, ("correlation_id",))
    unsigned_end = reader.position
    signature = None
    signed_bytes = reader.data
    if reader.index("signature", 2):
        key_id = reader.identifier("signature.key_id")
        signature = RequestSignature(key_id, reader.fixed("signature", _SIGNATURE_BYTES))
        signed_bytes = signed_bytes[:unsigned_end] + encoder.NULL
    reader.finish()
    return attestations, issued_at_ms, expires_at_ms, correlation_id, signature, signed_bytes


def _read_attestations(reader: Reader) -> tuple[Attestation, ...]:
    count = reader.count("attestations", limits.ATTESTATIONS_MAX)
    attestations: list[Attestation] = []
    try:
        for _ in range(count):
            statement = reader.bytes_("statement")
            key_id = reader.identifier("key_id")
            signature = reader.fixed("signature", _SIGNATURE_BYTES)
            attestations.append(Attestation(statement, key_id, signature))
    except WireError as error:
        raise error.within(f"attestations[{len(attestations)}]") from None
    reader.end_array("attestations", count)
    return tuple(attestations)


def unsigned_bytes(
    *,
    audience: str,
    request_id: str,
    actor: str,
    action: str,
    resource: str,
    parameters: Parameters,
    attestations: tuple[Attestation, ...] = (),
    issued_at_ms: int,
    expires_at_ms: int | None = None,
    correlation_id: str = "",
) -> bytes:
    """Return what the requester signs (before the pre-authentication encoding).

    It is also the whole request without a signature.
    """
    return b"".join(
        (
            HEADER,
            encoder.string(audience),
            encoder.string(request_id),
            encoder.string(actor),
            encoder.string(action),
            encoder.string(resource),
            encoder.parameters(parameters),
            encoder.array([_attestation(attestation) for attestation in attestations]),
            encoder.long(issued_at_ms),
            encoder.optional_long(expires_at_ms),
            encoder.string(correlation_id),
            encoder.NULL,
        )
    )


def encode_request(
    *,
    audience: str,
    request_id: str,
    actor: str,
    action: str,
    resource: str,
    parameters: Parameters,
    attestations: tuple[Attestation, ...] = (),
    issued_at_ms: int,
    expires_at_ms: int | None = None,
    correlation_id: str = "",
    signature: RequestSignature | None = None,
) -> bytes:
    """Return the request's bytes; the signature is over `unsigned_bytes` of the same fields."""
    unsigned = unsigned_bytes(
        audience=audience,
        request_id=request_id,
        actor=actor,
        action=action,
        resource=resource,
        parameters=parameters,
        attestations=attestations,
        issued_at_ms=issued_at_ms,
        expires_at_ms=expires_at_ms,
        correlation_id=correlation_id,
    )
    return unsigned if signature is None else with_signature(unsigned, signature)


def with_signature(unsigned: bytes, signature: RequestSignature) -> bytes:
    """Return the request whose `unsigned_bytes` these are, signed."""
    key_id = encoder.string(signature.key_id)
    raw = encoder.fixed(signature.signature, _SIGNATURE_BYTES)
    return unsigned[: -len(encoder.NULL)] + encoder.PRESENT + key_id + raw


def _attestation(attestation: Attestation) -> bytes:
    return (
        encoder.bytes_(attestation.statement)
        + encoder.string(attestation.key_id)
        + encoder.fixed(attestation.signature, _SIGNATURE_BYTES)
    )


def check_request(request: ActionRequest, audience: str) -> tuple[Reason, ...]:
    """Return what is wrong with a readable request's fields, in field order; empty: nothing.

    `design/bad-input.md` §1, step 1: `invalid_field`, `wrong_audience`. `audience` is this gate's
    own. String values are not looked at: a policy bounds them.
    """
    stated, request_id, actor, action, resource, parameters, _, _, _, correlation_id, _, _, _ = (
        request
    )
    texts = [request_id, actor, resource, correlation_id]
    last = ""
    for name, _ in parameters:
        if name <= last:
            return _findings(request, audience)
        last = name
        texts.append(name)
    joined = "".join(texts)
    if (
        stated == audience
        and request_id
        and actor
        and resource
        and _ACTION.fullmatch(action)
        and joined.isascii()
        and joined.isprintable()
    ):
        return ()
    return _findings(request, audience)


def _findings(request: ActionRequest, audience: str) -> tuple[Reason, ...]:
    invalid = [
        ("request_id", not _is_identifier(request.request_id)),
        ("actor", not _is_identifier(request.actor)),
        ("action", _ACTION.fullmatch(request.action) is None),
        ("resource", not _is_identifier(request.resource)),
    ]
    last = ""
    for number, (name, _) in enumerate(request.parameters):
        invalid.append((f"parameters[{number}].name", name <= last or not _is_clean(name)))
        last = name
    invalid.append(("correlation_id", not _is_clean(request.correlation_id)))
    findings = []
    if not _is_clean(request.audience):
        findings.append(Reason(Code.INVALID_FIELD, Phase.DECODE, field="audience"))
    if request.audience != audience:
        findings.append(Reason(Code.WRONG_AUDIENCE, Phase.DECODE, field="audience"))
    findings += [
        Reason(Code.INVALID_FIELD, Phase.DECODE, field=field) for field, is_bad in invalid if is_bad
    ]
    return tuple(findings)


def _is_clean(text: str) -> bool:
    return not has_forbidden(text) and is_nfc(text)


def _is_identifier(text: str) -> bool:
    return bool(text) and _is_clean(text)
