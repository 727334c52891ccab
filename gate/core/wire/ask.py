"""The ask: what would be executed, as its own framed record."""

from gate.core.values import Ask
from gate.core.wire import encoder
from gate.core.wire.parameters import read_identifiers, read_parameters
from gate.core.wire.reader import HOSTILE, RECORD_BYTES_MAX, Reader
from gate.core.wire.schemas import ASK, header

_HEADER = header(ASK)


def read_ask(data: bytes) -> Ask:
    """Read an ask, within the limits of a request's fields. Raises `WireError`."""
    reader = Reader(data, ASK, HOSTILE, RECORD_BYTES_MAX)
    actor, action, resource = read_identifiers(reader, ("actor", "action", "resource"))
    parameters = read_parameters(reader, "parameters")
    reader.finish()
    return Ask(actor, action, resource, parameters)


def encode_ask(ask: Ask) -> bytes:
    """Return the ask's bytes: the same that `read_request` cuts from a request."""
    return b"".join(
        (
            _HEADER,
            encoder.string(ask.actor),
            encoder.string(ask.action),
            encoder.string(ask.resource),
            encoder.parameters(ask.parameters),
        )
    )
