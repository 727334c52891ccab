"""The usual request: steps 1 and 3 in one pass over its bytes (`design/bad-input.md` §1).

A quick way beside the plain one (`wire.request`, `policy.ask`), for requests in which everything is
as it should be. Whatever is not, is left to the plain way, which says what is wrong.
INVARIANT (two ways, one answer): a request that is read here, the plain way reads as the same
values and finds nothing wrong with; a property test compares them.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from gate.core.limits import IDENTIFIER_BYTES_MAX
from gate.core.policy.compiled import Policy
from gate.core.values import ActionRequest, Value
from gate.core.wire.encoder import string
from gate.core.wire.inputs import EncodedInputs
from gate.core.wire.reader import HOSTILE, RECORD_BYTES_MAX, TIME_BYTES, Reader, WireError, time_of
from gate.core.wire.request import ASK_HEADER, HEADER, Rest, read_rest
from gate.core.wire.schemas import ACTION_REQUEST

_NO_REST = b"\x00\x00\x00"
"""No expiry, no correlation id, no signature: how most open requests end."""


class UsualRequest(NamedTuple):
    """A request whose bytes and fields are good, and whose ask passed its policy's declarations."""

    request: ActionRequest
    inputs: Mapping[str, Value]
    evaluated: EncodedInputs


class _Unusual(Exception):
    """Left to the plain way."""


def read_usual(value: bytes, audience: str, policies: Mapping[str, Policy]) -> UsualRequest | None:
    """Read a request to this audience under the policy of its action; None: go the plain way."""
    head = _head(audience)
    if not value.startswith(head):
        return None
    text = value.decode("latin-1")  # a slice of it is the text where the bytes are ASCII
    try:
        request_id, ask_at = _name(value, text, len(head))
        actor, at = _name(value, text, ask_at)
        action, at = _name(value, text, at)
        resource, at = _name(value, text, at)
        policy = policies.get(action)
        if policy is None or policy.read_usual is None:
            return None
        read = policy.read_usual(value, text, at, resource)
        if read is None:
            return None
        parameters, inputs, evaluated, end = read
        attestations, issued_ms, expires_ms, correlation_id, signature, signed = _rest(value, end)
    except (_Unusual, IndexError, WireError):
        return None
    texts = f"{audience}{request_id}{actor}{resource}{correlation_id}"
    if not (texts.isascii() and texts.isprintable() and request_id and actor and resource):
        return None
    request = ActionRequest(
        audience,
        request_id,
        actor,
        action,
        resource,
        parameters,
        attestations,
        issued_ms,
        expires_ms,
        correlation_id,
        signature,
        ASK_HEADER + value[ask_at:end],
        signed,
    )
    return UsualRequest(request, inputs, evaluated)


@lru_cache(maxsize=64)  # a pure function of the audience
def _head(audience: str) -> bytes:
    """Return what a request to this audience begins with."""
    if len(audience.encode()) > IDENTIFIER_BYTES_MAX:
        return b"\x00"  # which no request begins with
    return HEADER + string(audience)


def _name(value: bytes, text: str, at: int) -> tuple[str, int]:
    """Return an identifier and where it ends. Raises `_Unusual`, `IndexError`."""
    size = value[at]
    at += 1
    if size > 0x7F:
        size += (value[at] << 7) - 0x80
        if not 0x80 <= size <= 2 * IDENTIFIER_BYTES_MAX:
            raise _Unusual
        at += 1
    if size & 1:
        raise _Unusual
    end = at + (size >> 1)
    return text[at:end], end


def _rest(value: bytes, at: int) -> Rest:
    """Read what follows the parameters. Raises `WireError`, `IndexError`."""
    end = at + 1 + TIME_BYTES
    if value[at] == 0 and value[end:] == _NO_REST:
        issued_ms = time_of(value[at + 1 : end])
        if issued_ms is not None:
            return (), issued_ms, None, "", None, value
    reader = Reader(value, ACTION_REQUEST, HOSTILE, RECORD_BYTES_MAX)
    reader.position = at
    return read_rest(reader)
