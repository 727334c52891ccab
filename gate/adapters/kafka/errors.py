"""One classifier for the client's errors: in which order its flags count, and what they ask for.

Promises the order of `design/transaction.md` §4: fatal, requires abort, retriable, none of them
(which counts as fatal). Keeps the first distinct reasons of the error callback, so that a timeout
can say why.
"""

from enum import Enum
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from gate.errors import (
    Fenced,
    GateError,
    OutcomeUnknown,
    TransactionAborted,
    Unreachable,
)

_REASONS_MAX: Final = 4

_LOST_GROUP: Final = frozenset({KafkaError.FENCED_INSTANCE_ID})
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001 - the client's public name of a local error
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)
_RIGHTS: Final = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "READ on a topic that it reads, WRITE on one it writes",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "READ on the group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "DESCRIBE on the cluster",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "WRITE on the transactional id",
}
_LINE: Final = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
    }
)


class Kind(Enum):
    """What the client says about an error, in the order in which it counts."""

    FENCED = "fenced"
    FATAL = "fatal"
    ABORT = "abort"
    RETRY = "retry"
    NONE = "none"


def error_of(raised: KafkaException) -> KafkaError:
    """Return the error inside an exception of the client."""
    found = raised.args[0]
    assert isinstance(found, KafkaError), f"expected a client's error, found `{found!r}`"
    return found


def kind_of(error: KafkaError) -> Kind:
    """Classify an error. A group that went to another process of this slot counts as fenced."""
    if error.code() in _FENCED or error.code() in _LOST_GROUP:
        return Kind.FENCED
    if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - a consumer's has no flag
        return Kind.FATAL
    if error.txn_requires_abort():
        return Kind.ABORT
    if error.retriable():
        return Kind.RETRY
    return Kind.NONE


def is_line(error: KafkaError) -> bool:
    """Say whether an error is about the way to the brokers."""
    return error.code() in _LINE


def is_denied(error: KafkaError) -> bool:
    """Say whether the principal lacks a right: only an administrator of the cluster cures that."""
    return error.code() in _RIGHTS


def denied(error: KafkaError, doing: str, right: str = "") -> Unreachable:
    """Return the error for a right that is missing; `doing` names what it is missing on."""
    named = right or _RIGHTS[error.code()]
    return Unreachable(f"the brokers deny {doing}: {told(error)}: grant this principal {named}")


def told(error: KafkaError) -> str:
    """Return name and text of an error for a message."""
    return f"{error.name()}: {error.str()}"


def in_transaction(error: KafkaError, doing: str) -> GateError:
    """Return what an error of an open transaction asks for, before its commit was called.

    A right that is missing says so itself (`denied`), except where it has cost the producer: then
    opening another will say it.
    """
    kind = kind_of(error)
    text = f"{doing}: {told(error)}"
    if kind is Kind.FENCED:
        return Fenced(f"slot_in_use: {text}")
    if kind is Kind.ABORT and is_denied(error):
        return denied(error, doing)
    if kind in {Kind.ABORT, Kind.RETRY}:
        return TransactionAborted(text)
    return OutcomeUnknown(text)


def at_the_end(error: KafkaError, doing: str) -> GateError:
    """Return what an error of commit or abort asks for; `Kind.RETRY` is past its deadline here."""
    kind = kind_of(error)
    text = f"{doing}: {told(error)}"
    if kind is Kind.FENCED:
        return Fenced(f"slot_in_use: {text}")
    if kind is Kind.ABORT:
        return denied(error, doing) if is_denied(error) else TransactionAborted(text)
    return OutcomeUnknown(text)


class Reasons:
    """The first distinct reasons that the error callback told, for the message of a failure."""

    def __init__(self) -> None:
        self._told: dict[str, None] = {}
        self.has_line_error = False
        self.is_down = False

    def __call__(self, error: KafkaError) -> None:
        """Take one error; called by the client inside its calls, and never raises."""
        if is_line(error):
            self.has_line_error = True
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self.is_down = True
        if len(self._told) < _REASONS_MAX:
            self._told.setdefault(told(error))

    def clear(self) -> None:
        """Forget everything."""
        self._told.clear()
        self.has_line_error = self.is_down = False

    def unreachable(self, doing: str, why: str, servers: str) -> Unreachable:
        """Return the error for a cluster that does not answer, with what was told before."""
        causes = ": ".join(dict.fromkeys([why, *self._told]))
        return Unreachable(f"Kafka at `{servers}` can not be reached: {doing}: {causes}")
