"""The activation of a policy: the payload that activators sign. `design/policy.md` §3.

Canonical JSON (RFC 8785) of exactly these members; 64-bit values are decimal strings:
`format` (`gate-activation/1`), `audience`, `topic_id`, `policy`, `sequence`, `digest` (hex),
`previous` (hex or null), `mode` (`enforce` or `withdraw`), `activation_sequence`, `not_after_ms`,
`bundle` (the signed bundle as a DSSE envelope; null for a withdrawal).
"""

from typing import NamedTuple

from gate.core import dsse, jcs
from gate.core.limits import CONTROL_BYTES_MAX

FORMAT = "gate-activation/1"
_MEMBERS = frozenset(
    {
        "format",
        "audience",
        "topic_id",
        "policy",
        "sequence",
        "digest",
        "previous",
        "mode",
        "activation_sequence",
        "not_after_ms",
        "bundle",
    }
)
_INT64_MAX = (1 << 63) - 1


class ActivationInvalid(ValueError):
    """The payload is no activation; the text names the member and what was expected."""


class Activation(NamedTuple):
    """A readable activation; its signatures are judged elsewhere."""

    audience: str
    topic_id: str
    policy: str
    sequence: int
    digest: bytes
    previous: bytes | None
    mode: str
    activation_sequence: int
    not_after_ms: int
    bundle: dsse.Envelope | None


def read_activation(payload: bytes) -> Activation:
    """Read an activation strictly. Raises `ActivationInvalid`."""
    try:
        members = jcs.parse(payload, bytes_max=CONTROL_BYTES_MAX)
    except jcs.JsonInvalid as fault:
        raise ActivationInvalid(f"activation is not JSON: {fault}") from fault
    if not isinstance(members, dict) or members.keys() != _MEMBERS:
        raise ActivationInvalid(f"expected exactly the members {', '.join(sorted(_MEMBERS))}")
    if jcs.canonical(members) != payload:
        raise ActivationInvalid("expected canonical JSON (RFC 8785)")
    _expect(members["format"] == FORMAT, "format", f"`{FORMAT}`")
    mode, bundle = members["mode"], members["bundle"]
    _expect(mode in ("enforce", "withdraw"), "mode", "`enforce` or `withdraw`")
    _expect((bundle is None) == (mode == "withdraw"), "bundle", "a bundle exactly when enforcing")
    previous = members["previous"]
    try:
        envelope = None if bundle is None else dsse.read_envelope(jcs.canonical(bundle))
    except dsse.EnvelopeInvalid as fault:
        raise ActivationInvalid(f"`bundle`: {fault}") from fault
    return Activation(
        audience=_text(members, "audience"),
        topic_id=_text(members, "topic_id"),
        policy=_text(members, "policy"),
        sequence=_number(members, "sequence"),
        digest=_digest(members, "digest"),
        previous=None if previous is None else _digest(members, "previous"),
        mode=mode,
        activation_sequence=_number(members, "activation_sequence"),
        not_after_ms=_number(members, "not_after_ms"),
        bundle=envelope,
    )


def encode_activation(activation: Activation) -> bytes:
    """Return the payload to be signed; `read_activation` reads it back equal."""
    bundle = activation.bundle
    envelope = None if bundle is None else dsse.encode_envelope(bundle)
    return jcs.canonical(
        {
            "format": FORMAT,
            "audience": activation.audience,
            "topic_id": activation.topic_id,
            "policy": activation.policy,
            "sequence": str(activation.sequence),
            "digest": activation.digest.hex(),
            "previous": None if activation.previous is None else activation.previous.hex(),
            "mode": activation.mode,
            "activation_sequence": str(activation.activation_sequence),
            "not_after_ms": str(activation.not_after_ms),
            "bundle": None
            if envelope is None
            else jcs.parse(envelope, bytes_max=CONTROL_BYTES_MAX),
        }
    )


def _expect(holds: bool, member: str, expected: str) -> None:
    if not holds:
        raise ActivationInvalid(f"`{member}`: expected {expected}")


def _text(members: dict[str, object], name: str) -> str:
    value = members[name]
    if not isinstance(value, str) or not value:
        raise ActivationInvalid(f"`{name}`: expected text")
    return value


def _number(members: dict[str, object], name: str) -> int:
    text = _text(members, name)
    is_decimal = text.isascii() and text.isdigit() and len(text) <= 19
    if not is_decimal or str(int(text)) != text or int(text) > _INT64_MAX:
        raise ActivationInvalid(f"`{name}`: expected a decimal string of at most 2^63-1")
    return int(text)


def _digest(members: dict[str, object], name: str) -> bytes:
    text = _text(members, name)
    if len(text) != 64 or text != text.lower():
        raise ActivationInvalid(f"`{name}`: expected 64 lower-case hex digits")
    try:
        return bytes.fromhex(text)
    except ValueError as fault:
        raise ActivationInvalid(f"`{name}`: expected 64 lower-case hex digits") from fault
