"""What may be configured on the Kafka client, and what the gate reads of it."""

import socket
from collections.abc import Callable

import pytest

from gate.adapters.kafka import Connection, KafkaAdmin, KafkaInput, KafkaOutput, KafkaReader
from gate.adapters.kafka.membership import read_membership
from gate.adapters.kafka.offsets import GroupOffsets
from gate.adapters.kafka.settings import (
    admin_properties,
    input_properties,
    plain_properties,
    reader_properties,
    transactional_properties,
    unjoined_properties,
)
from gate.errors import ConfigInvalid, Unreachable


def nothing(error: object) -> None:
    del error


def every_client(connection: Connection) -> list[dict[str, object]]:
    return [
        admin_properties(connection, nothing),
        input_properties(connection, group_id="g", slot="s", on_error=nothing),
        reader_properties(connection, nothing),
        unjoined_properties(connection, "g", nothing),
        plain_properties(connection, nothing),
        transactional_properties(connection, "t", nothing),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "isolation.level",
        "enable.idempotence",
        "acks",
        "transactional.id",
        "group.id",
        "group.instance.id",
        "auto.offset.reset",
        "enable.auto.commit",
        "bootstrap.servers",
        "allow.auto.create.topics",
        "unknown",
        "ssl.engine.location",
        "sasl.kerberos.kinit.cmd",
    ],
)
def test_what_exactly_once_rests_on_or_runs_code_can_not_be_given(name: str) -> None:
    with pytest.raises(ConfigInvalid, match=name.replace(".", r"\.")):
        Connection(bootstrap_servers="b:1", properties={name: "x"})


def test_security_reaches_every_client_and_is_never_shown() -> None:
    given = {"security.protocol": "SASL_SSL", "sasl.password": "hidden", "ssl.ca.location": "/ca"}
    connection = Connection(bootstrap_servers="b:1", properties=given)

    assert all(given.items() <= properties.items() for properties in every_client(connection))
    assert "hidden" not in repr(connection)


def test_reading_clients_see_only_what_is_committed() -> None:
    reading = [p for p in every_client(Connection(bootstrap_servers="b:1")) if "group.id" in p]
    expected = {
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "check.crcs": True,
        "allow.auto.create.topics": False,
    }

    assert len(reading) == 3
    assert all(expected.items() <= properties.items() for properties in reading)


def test_membership_is_read_from_the_clients_token() -> None:
    token = b"CGMDv2:\x1f\x00\x00\x00pay\x00gate-0-2c50\x00\x00gate-0\x00"
    found = read_membership(token, "pay")

    assert (found.group_id, found.generation, found.member_id, found.token) == (
        "pay",
        31,
        "gate-0-2c50",
        token,
    )


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"CGMDv2:",
        b"CGMDv3:\x1f\x00\x00\x00pay\x00m\x00\x01",
        b"CGMDv2:\x1f\x00\x00\x00other\x00m\x00\x01",
        b"CGMDv2:\x1f\x00\x00\x00pay",
    ],
)
def test_a_token_of_another_layout_is_refused(token: bytes) -> None:
    with pytest.raises(ConfigInvalid, match="layout"):
        read_membership(token, "pay")


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_unreachable_and_says_why() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    reader = KafkaReader(Connection(bootstrap_servers=f"127.0.0.1:{port}"))

    with pytest.raises(Unreachable, match=r"(?s)can not be reached.*_TRANSPORT"):
        reader.topic("any")
    with pytest.raises(Unreachable, match=r"(?s)can not be reached.*leaders of topic"):
        reader._know("any")  # as when the brokers go between ends and records
    reader.close()


SSL = {"security.protocol": "ssl"}


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        ({"security.protocol": "sssl"}, 'Invalid value "sssl" for .* "security.protocol"'),
        ({**SSL, "ssl.ca.location": "/nope"}, "ssl.ca.location failed: .* is `/nope`"),
        ({**SSL, "ssl.key.pem": "hunter2"}, "`ssl.key.pem` is not understood"),
        ({"sasl.made.up": "hunter2"}, "`sasl.made.up` is not understood"),
        (
            {"security.protocol": "sasl_plaintext", "sasl.mechanism": "NOPE"},
            "found: Unsupported SASL mechanism: NOPE",
        ),
    ],
)
@pytest.mark.parametrize("kind", [KafkaReader, KafkaAdmin, KafkaInput, KafkaOutput, GroupOffsets])
def test_a_value_that_the_client_refuses_is_a_fault_of_the_configuration(
    kind: type, properties: dict[str, str], told: str
) -> None:
    """Expected by every client alike; a property that may hold a secret shows nothing of it."""
    connection = Connection(bootstrap_servers="127.0.0.1:1", properties=properties)
    make: dict[type, Callable[[], object]] = {
        KafkaReader: lambda: KafkaReader(connection),
        KafkaAdmin: lambda: KafkaAdmin(connection, replication_factor=1),
        KafkaInput: lambda: KafkaInput(connection, group_id="g", slot="s", topic="t"),
        KafkaOutput: lambda: KafkaOutput(connection, transactional_id="t", input_topic="i").open(),
        GroupOffsets: lambda: GroupOffsets(connection, "g"),
    }
    with pytest.raises(ConfigInvalid, match=told) as refused:
        make[kind]()
    assert "hunter2" not in str(refused.value)
