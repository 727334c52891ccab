"""DSSE 1.0.2: signatures over typed bytes, for everything signed except checkpoints.

Promises: what is signed is the pre-authentication encoding of the payload type and the payload
as they are, so bytes signed as one thing never pass as another; an envelope is read from strict
JSON only, and a listed key's bad signature makes the whole envelope invalid.

Leaves to others: which keys count, and thresholds (`trust`); what a payload means.
`design/decision.md` §4a lists what each payload is bound to.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gate.core import jcs
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.signature import SIGNATURE_BYTES, PublicKey
from gate.core.values import KeyId

_PREFIX = "application/vnd.governance-gate."
REQUEST = _PREFIX + "request.v1+avro"
SIGNAL = _PREFIX + "signal.v1+avro"
APPROVAL = _PREFIX + "approval.v1+avro"
POLICY = _PREFIX + "policy.v1+json"
ACTIVATION = _PREFIX + "activation.v1+json"
TRUST_ROOT = _PREFIX + "trust-root.v1+json"
ORDER = _PREFIX + "order.v1+json"

SIGNATURES_MAX = 16

_ENVELOPE = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE = frozenset({"keyid", "sig"})


class EnvelopeInvalid(ValueError):
    """An envelope that can not be read, or carries a bad signature; `str()` says why."""


class Envelope(NamedTuple):
    """A payload with its unverified signatures, as pairs of key id and 64 bytes."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[KeyId, bytes], ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_envelope(data: bytes) -> Envelope:
    """Return the envelope of strict JSON of at most `CONTROL_BYTES_MAX` bytes.

    At most `SIGNATURES_MAX` signatures, at most one of each key. Raises `EnvelopeInvalid`.
    """
    try:
        value = jcs.parse(data, bytes_max=CONTROL_BYTES_MAX)
    except jcs.JsonInvalid as error:
        raise EnvelopeInvalid(f"envelope: {error}") from error
    return envelope_of(value)


def envelope_of(value: object) -> Envelope:
    """Return the envelope of a parsed JSON value. Raises `EnvelopeInvalid`."""
    try:
        return _envelope(value)
    except jcs.JsonInvalid as error:
        raise EnvelopeInvalid(str(error)) from error


def encode_envelope(envelope: Envelope) -> bytes:
    """Return the envelope as canonical JSON; signatures stay in their order."""
    return jcs.canonical(json_of(envelope))


def json_of(envelope: Envelope) -> dict[str, object]:
    """Return the envelope as a JSON value; the inverse of `envelope_of`."""
    return {
        "payload": jcs.encode_base64(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [
            {"keyid": key_id, "sig": jcs.encode_base64(signature)}
            for key_id, signature in envelope.signatures
        ],
    }


def valid_signers(
    envelope: Envelope, expected_type: str, keys: Mapping[KeyId, PublicKey]
) -> tuple[KeyId, ...]:
    """Return the ids of the keys in `keys` that signed, distinct and ascending.

    Signatures of other keys are passed over. Raises `EnvelopeInvalid` for another payload type,
    or for a signature that one of `keys` did not make.
    """
    if envelope.payload_type != expected_type:
        raise EnvelopeInvalid(
            f"expected payload type `{expected_type}`, got {jcs.quoted(envelope.payload_type)}"
        )
    message = pae(envelope.payload_type, envelope.payload)
    signers = set()
    for key_id, signature in envelope.signatures:
        key = keys.get(key_id)
        if key is None:
            continue
        if not key.verify(message, signature):
            raise EnvelopeInvalid(f"signature of key `{key_id}` is wrong: sign the payload again")
        signers.add(key_id)
    return tuple(sorted(signers))


def _envelope(value: object) -> Envelope:
    found = jcs.members(value, "envelope", _ENVELOPE)
    payload_type, lines = found["payloadType"], found["signatures"]
    if type(payload_type) is not str:
        raise jcs.JsonInvalid("`envelope.payloadType`: expected a string")
    if type(lines) is not list or len(lines) > SIGNATURES_MAX:
        raise jcs.JsonInvalid(
            f"`envelope.signatures`: expected an array of at most {SIGNATURES_MAX} signatures"
        )
    signatures = tuple(
        _signature(line, f"envelope.signatures[{index}]") for index, line in enumerate(lines)
    )
    if len({key_id for key_id, _ in signatures}) != len(signatures):
        raise jcs.JsonInvalid("`envelope.signatures`: a key signed twice, keep one signature")
    return Envelope(payload_type, _base64(found["payload"], "envelope.payload"), signatures)


def _signature(value: object, path: str) -> tuple[KeyId, bytes]:
    found = jcs.members(value, path, _SIGNATURE)
    key_id = found["keyid"]
    if type(key_id) is not str or len(key_id) != 32 or not set(key_id) <= set("0123456789abcdef"):
        raise jcs.JsonInvalid(f"`{path}.keyid`: expected 32 lower-case hexadecimal digits")
    signature = _base64(found["sig"], f"{path}.sig")
    if len(signature) != SIGNATURE_BYTES:
        raise jcs.JsonInvalid(f"`{path}.sig`: expected 64 bytes, got {len(signature)}")
    return KeyId(key_id), signature


def _base64(value: object, path: str) -> bytes:
    if type(value) is not str:
        raise jcs.JsonInvalid(f"`{path}`: expected base64 text, got {jcs.kind_of(value)}")
    try:
        return jcs.decode_base64(value)
    except jcs.JsonInvalid as error:
        raise jcs.JsonInvalid(f"`{path}`: {error}") from error
