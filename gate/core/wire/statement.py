"""The signal statement inside an attestation: bytes and values.

What is read is a claim. That its names ascend, that it is fresh and who signed it, is judged by
`admission`.
"""

from gate.core.values import SignalStatement
from gate.core.wire import encoder
from gate.core.wire.parameters import read_identifiers, read_parameters
from gate.core.wire.reader import HOSTILE, RECORD_BYTES_MAX, Reader
from gate.core.wire.schemas import SIGNAL_STATEMENT, header

_HEADER = header(SIGNAL_STATEMENT)
_IDENTIFIERS = ("domain", "issuer", "subject_type", "subject")


def read_statement(data: bytes) -> SignalStatement:
    """Read a statement. Raises `WireError`."""
    reader = Reader(data, SIGNAL_STATEMENT, HOSTILE, RECORD_BYTES_MAX)
    domain, issuer, subject_type, subject = read_identifiers(reader, _IDENTIFIERS)
    signals = read_parameters(reader, "signals")
    issued_ms = reader.time_ms("issued_ms")
    expires_ms = reader.time_ms("expires_ms")
    reader.finish()
    return SignalStatement(domain, issuer, subject_type, subject, signals, issued_ms, expires_ms)


def encode_statement(statement: SignalStatement) -> bytes:
    """Return the statement's bytes: what its issuer signs."""
    return b"".join(
        (
            _HEADER,
            encoder.string(statement.domain),
            encoder.string(statement.issuer),
            encoder.string(statement.subject_type),
            encoder.string(statement.subject),
            encoder.parameters(statement.signals),
            encoder.long(statement.issued_ms),
            encoder.long(statement.expires_ms),
        )
    )
