"""Turns the client's messages into records of the log."""

from typing import Any

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from gate.ports import LogRecord


def record_of(message: Any) -> LogRecord:
    """Return the record in a client's message that is no error.

    A header without a value counts as empty. Untyped, as the client's types allow for errors.
    """
    kind, time_ms = message.timestamp()
    headers = message.headers()
    return LogRecord(
        message.partition(),
        message.offset(),
        time_ms,
        kind == TIMESTAMP_LOG_APPEND_TIME,
        message.key(),
        message.value(),
        tuple([(name, value or b"") for name, value in headers]) if headers else (),
    )
