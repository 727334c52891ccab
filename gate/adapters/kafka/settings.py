"""What the gate sets on the Kafka client, and what an operator may add.

Promises that no operator's property reaches a setting on which exactly-once rests: only what is
about finding, entering and talking to the cluster may be given; everything else is refused by
name. `design/transaction.md` §1.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaError, KafkaException

from gate.errors import ConfigInvalid

TRANSACTION_TIMEOUT_MS: Final = 60_000
SESSION_TIMEOUT_MS: Final = 20_000
MAX_POLL_INTERVAL_MS: Final = 180_000
REQUEST_TIMEOUT_S: Final = 10.0

ErrorCallback = Callable[[KafkaError], None]
Properties = dict[str, Any]
Client = TypeVar("Client")

_ALLOWED: Final = frozenset(
    {
        "security.protocol",
        "client.dns.lookup",
        "client.rack",
        "broker.address.family",
        "broker.address.ttl",
        "connections.max.idle.ms",
        "reconnect.backoff.ms",
        "reconnect.backoff.max.ms",
        "socket.connection.setup.timeout.ms",
        "socket.keepalive.enable",
        "socket.nagle.disable",
        "metadata.max.age.ms",
        "debug",
        "log_level",
    }
)
_RUNS_CODE: Final = frozenset(
    {"ssl.engine.location", "ssl_engine_callback_data", "sasl.kerberos.kinit.cmd"}
)
_ALLOWED_PREFIXES: Final = ("sasl.", "ssl.", "enable.ssl.")
_CREATING: Final = re.compile(r"\AFailed to create [a-z ]+: ")
_SHOWN: Final = _ALLOWED | {"sasl.mechanism", "sasl.mechanisms"}
_SHOWN_ENDS: Final = (".location", ".ssl.certificate.verification", ".algorithm")
"""What is never a secret, so that the client's complaint about its value can be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Which cluster, and how to enter it. `properties` may hold secrets and are never shown.

    `session_timeout_ms`: how long a silent member keeps its partitions. `transaction_timeout_ms`:
    how long the brokers leave a transaction open, and with it the deadline of its end. Both are
    fields because a test that waits for the broker to act can not wait that long.
    Raises `ConfigInvalid` for a property that is not an operator's to give.
    """

    bootstrap_servers: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    session_timeout_ms: int = SESSION_TIMEOUT_MS
    transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS

    def __post_init__(self) -> None:
        """Refuse what the gate sets itself, or does not know."""
        for name in sorted(self.properties):
            is_allowed = name in _ALLOWED or name.startswith(_ALLOWED_PREFIXES)
            if not is_allowed or name in _RUNS_CODE:
                raise ConfigInvalid(
                    f"Kafka property `{name}` can not be given: expected one about security or "
                    "the network; what is about transactions, groups and offsets the gate sets"
                )


def client_of(kind: Callable[..., Client], properties: Properties, **named: Any) -> Client:
    """Make a client. Raises `ConfigInvalid` for a value that it refuses, showing no secret."""
    try:
        return kind(properties, **named)
    except KafkaException as raised:
        error = raised.args[0]
        if error.code() != KafkaError._INVALID_ARG:  # noqa: SLF001 - the client's public name
            raise
        text = _CREATING.sub("", str(error.str()))
    mentioned = [name for name in properties if name in text]
    hidden = [name for name in mentioned if not _is_shown(name)]
    if hidden:
        text = f"{', '.join(f'`{name}`' for name in hidden)} is not understood"
    else:
        text += "".join(f"; `{name}` is `{properties[name]}`" for name in mentioned)
    raise ConfigInvalid(
        "`[kafka]` in the configuration: expected properties that the Kafka client takes, "
        f"found: {text}"
    )


def _is_shown(name: str) -> bool:
    return name in _SHOWN or name.endswith(_SHOWN_ENDS)


def _common(connection: Connection, client_id: str, on_error: ErrorCallback) -> Properties:
    return {
        "log_level": 2,
        **connection.properties,
        "bootstrap.servers": connection.bootstrap_servers,
        "client.id": client_id,
        "allow.auto.create.topics": False,
        "error_cb": on_error,
    }


def _reading(connection: Connection, client_id: str, on_error: ErrorCallback) -> Properties:
    """`fetch.queue.backoff.ms`: at the client's default a full queue stops fetching for 1 s."""
    return {
        **_common(connection, client_id, on_error),
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "check.crcs": True,
        "fetch.queue.backoff.ms": 10,
    }


def admin_properties(connection: Connection, on_error: ErrorCallback) -> Properties:
    """Return the properties of a client that asks about topics, offsets and groups."""
    return _common(connection, "gate-admin", on_error)


def input_properties(
    connection: Connection, *, group_id: str, slot: str, on_error: ErrorCallback
) -> Properties:
    """Return the properties of the gate's member of its group: classic, static, eager range.

    `fetch.min.bytes`: a broker collects for `fetch.wait.max.ms`, or each producer's batch would be
    a fetch of its own, at the cost of both.
    """
    return {
        **_reading(connection, slot, on_error),
        "group.id": group_id,
        "group.protocol": "classic",
        "group.instance.id": slot,
        "partition.assignment.strategy": "range",
        "session.timeout.ms": connection.session_timeout_ms,
        "heartbeat.interval.ms": min(3_000, connection.session_timeout_ms // 3),
        "max.poll.interval.ms": MAX_POLL_INTERVAL_MS,
        "queued.max.messages.kbytes": 32 * 1024,
        "fetch.min.bytes": 100_000,
        "fetch.wait.max.ms": 20,
    }


def reader_properties(connection: Connection, on_error: ErrorCallback) -> Properties:
    """Return the properties of a consumer that is assigned by hand and never joins a group.

    `fetch.wait.max.ms` bounds how long the end of a partition goes unreported.
    """
    return {
        **_reading(connection, "gate-reader", on_error),
        "group.id": "gate-reader-never-joins",
        "enable.partition.eof": True,
        "queued.max.messages.kbytes": 16 * 1024,
        "fetch.wait.max.ms": 1,
    }


def unjoined_properties(
    connection: Connection, group_id: str, on_error: ErrorCallback
) -> Properties:
    """Return the properties of a consumer that lends its group's name and never joins.

    `retry.backoff.ms`: how soon it asks again for an offset whose marker is on its way.
    """
    return {
        **_reading(connection, "gate-unjoined", on_error),
        "group.id": group_id,
        "retry.backoff.ms": 2,
        "retry.backoff.max.ms": 20,
    }


def plain_properties(connection: Connection, on_error: ErrorCallback) -> Properties:
    """Return the properties of an idempotent producer without transactions."""
    return {
        **_common(connection, "gate-publisher", on_error),
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 5,
        "batch.size": 60_000,
    }


def transactional_properties(
    connection: Connection, transactional_id: str, on_error: ErrorCallback
) -> Properties:
    """Return the properties of a transactional producer.

    `retry.backoff.ms`: at the client's default of 100 most back-to-back transactions wait 100 ms
    for the markers of the one before.
    """
    return {
        **_common(connection, transactional_id, on_error),
        "transactional.id": transactional_id,
        "transaction.timeout.ms": connection.transaction_timeout_ms,
        "message.timeout.ms": connection.transaction_timeout_ms,
        "enable.idempotence": True,
        "acks": "all",
        "retry.backoff.ms": 2,
        "compression.type": "lz4",
        "linger.ms": 5,
        "queue.buffering.max.kbytes": 64 * 1024,
        "queue.buffering.max.messages": 200_000,
    }
