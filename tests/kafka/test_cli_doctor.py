"""`gate doctor` on a real broker: a healthy gate, and each thing that can be wrong, caused."""

import time

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from gate import wiring
from gate.cli.doctor_check import Status
from gate.cli.doctor_kafka import checks_of_cluster
from gate.cli.topic_standing import look
from gate.config import load_config
from gate.ports import TopicPartition
from tests.kafka.cli_gate import kafka_gate_folder, on_kafka, unique
from tests.kafka.cli_topics import OwnGate, own_gate, with_topics
from tests.kafka.place import Place, place, wait_for
from tests.kafka.test_rights import EVERYBODY, denied
from tests.unit.cli.harness import Shell

__all__ = ["kafka_gate_folder", "on_kafka", "own_gate", "place", "with_topics"]

Found = dict[str, dict[str, str]]


def diagnosed(shell: Shell) -> tuple[int, Found]:
    """Return the exit code, and the last line of each check."""
    ended = shell("doctor", "--output", "json")
    assert not ended.err.startswith("error"), ended.err
    return ended.code, {line["check"]: line for line in ended.json()}


def settings(shell: Shell):
    return load_config(shell.folder / "gate.toml").config


def ends(shell: Shell) -> dict[TopicPartition, int]:
    config = settings(shell)
    where = [
        TopicPartition(topic, number)
        for topic in wiring.topics(config)
        for number in range(config.log.partitions)
    ]
    with wiring.open_reader(config) as reader:
        return {partition: found.high_watermark for partition, found in reader.ends(where).items()}


def test_a_healthy_gate_is_well_and_nothing_is_written(on_kafka: Shell) -> None:
    before = ends(on_kafka)
    code, found = diagnosed(on_kafka)

    assert code == 0
    assert {line["status"] for line in found.values()} <= {"ok", "warning", "unknown"}
    for name in (
        "checkpoint key",
        "lineage secret",
        "state folder",
        "slot",
        "topics",
        "lineage",
        "offsets",
        "configuration",
        "trust root",
        "own key",
        "policy",
        "brokers",
        "broker version",
        "cluster id",
        "broker settings",
        "isolation",
        "aborting",
        "fencing",
        "open transactions",
        "group",
        "access",
    ):
        assert found[name]["status"] == "ok", found[name]
    assert "Kafka 4.0 or newer" in found["broker version"]["found"]
    assert "which wrote to no topic" in found["fencing"]["found"]
    assert found["internal topics"]["status"] == "warning"
    assert ends(on_kafka) == before


def test_a_foreign_open_transaction_is_found_where_it_is(with_topics: OwnGate) -> None:
    requests = with_topics.topics.requests
    producer = Producer(
        {
            "bootstrap.servers": with_topics.bootstrap,
            "transactional.id": unique("foreign"),
            "log_level": 2,
        }
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(requests, b"v", b"k", 1)
    producer.flush(10)
    try:
        code, found = diagnosed(with_topics)
        line = found["open transactions"]
        assert (code, line["status"]) == (1, "bad")
        assert f"`{requests}` 1: last stable offset 0, high watermark 1" in line["found"]
        assert "kafka-transactions.sh" in line["cure"]
    finally:
        producer.abort_transaction(20)
    code, found = diagnosed(with_topics)
    assert (code, found["open transactions"]["status"]) == (0, "ok")


def test_a_member_without_a_slot_is_found(with_topics: OwnGate) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": with_topics.bootstrap,
            "group.id": with_topics.name,
            "session.timeout.ms": 1_500,
            "heartbeat.interval.ms": 300,
            "log_level": 2,
        }
    )
    joined: list[int] = []
    consumer.subscribe(
        [with_topics.topics.requests], on_assign=lambda _, given: joined.append(len(given))
    )
    wait_for(lambda: consumer.poll(0.1) or joined, seconds=20)
    try:
        code, found = diagnosed(with_topics)
    finally:
        consumer.close()
    assert (code, found["group"]["status"]) == (1, "bad")
    assert "which has no slot" in found["group"]["found"]
    assert "stop that consumer" in found["group"]["cure"]


def test_a_gate_before_its_first_start_is_told_what_to_do(with_topics: OwnGate) -> None:
    _, found = diagnosed(with_topics)
    assert (found["lineage"]["status"], found["lineage"]["cure"]) == (
        "warning",
        "run `gate init-lineage`",
    )
    assert found["cluster id"]["status"] == "unknown"


def test_a_topic_that_is_missing_or_changed_is_found(own_gate: OwnGate) -> None:
    code, found = diagnosed(own_gate)
    assert (code, found["topics"]["cure"]) == (1, "make it with `gate topics apply`")
    assert "isolation" not in found  # there is no topic to name an offset of

    assert own_gate("topics", "apply", "--yes").code == 0
    own_gate.set(own_gate.topics.requests, {"message.timestamp.type": "CreateTime"})
    code, found = diagnosed(own_gate)
    assert (code, found["topics"]["status"]) == (1, "bad")
    assert "message.timestamp.type: CreateTime" in found["topics"]["found"]


def test_a_right_too_few_and_rights_too_many_are_found(with_topics: OwnGate, place: Place) -> None:
    topic = with_topics.topics.approved
    with denied(place, ResourceType.TOPIC, AclOperation.WRITE, topic):
        code, found = diagnosed(with_topics)
    few = found[f"own rights on {topic}"]
    many = found[f"own rights on {with_topics.topics.requests}"]

    assert (code, few["status"], few["cure"]) == (1, "bad", "grant WRITE")
    assert (many["status"], "no ALTER, DELETE, ALTER_CONFIGS, CREATE, WRITE" in many["cure"]) == (
        "warning",
        True,
    )


def allow(place: Place, topic: str, *principals: str) -> None:
    bindings = [
        AclBinding(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.PREFIXED,
            principal,
            "*",
            AclOperation.ALL,
            AclPermissionType.ALLOW,
        )
        for principal in principals
    ]
    for future in place.admin.create_acls(bindings).values():
        future.result(10)
    time.sleep(0.2)


def forget(place: Place, topic: str) -> None:
    every = AclBindingFilter(
        ResourceType.TOPIC,
        topic,
        ResourcePatternType.PREFIXED,
        None,
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    for future in place.admin.delete_acls([every]).values():
        future.result(10)


def test_another_who_may_write_decisions_is_found_by_a_prefix_too(
    with_topics: OwnGate, place: Place
) -> None:
    name = f"writers of {with_topics.topics.lineage}"
    try:
        _, found = diagnosed(with_topics)
        assert found[name]["found"] == "no rights are given on it at all"
        assert found[name]["status"] == "warning"

        allow(place, with_topics.name, EVERYBODY)
        _, found = diagnosed(with_topics)
        assert (found[name]["status"], EVERYBODY in found[name]["found"]) == ("ok", True)

        allow(place, with_topics.name, "User:mallory")
        code, found = diagnosed(with_topics)
        assert (code, found[name]["status"]) == (1, "bad")
        assert found[name]["found"] == f"{EVERYBODY}, User:mallory"
    finally:
        forget(place, with_topics.name)


def test_an_empty_answer_about_writers_is_not_believed_without_the_right_to_ask(
    with_topics: OwnGate, place: Place
) -> None:
    """The broker gives it, without an error, to who may not ask."""
    with denied(place, ResourceType.BROKER, AclOperation.DESCRIBE, "kafka-cluster"):
        _, found = diagnosed(with_topics)
    line = found[f"writers of {with_topics.topics.lineage}"]
    assert (line["status"], line["found"], line["cure"]) == (
        "unknown",
        "no answer that can be believed",
        "grant DESCRIBE on the cluster to whoever runs this",
    )


def test_broker_settings_without_the_right_to_see_them_are_unknown(
    with_topics: OwnGate, place: Place
) -> None:
    with denied(place, ResourceType.BROKER, AclOperation.DESCRIBE_CONFIGS, "kafka-cluster"):
        code, found = diagnosed(with_topics)
    assert code == 0
    assert {found[name]["status"] for name in ("broker settings", "access")} == {"unknown"}


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        (ResourceType.TRANSACTIONAL_ID, AclOperation.WRITE),
        (ResourceType.GROUP, AclOperation.READ),
    ],
)
def test_transactions_that_may_not_be_tried_are_unknown(
    with_topics: OwnGate, place: Place, kind: ResourceType, operation: AclOperation
) -> None:
    with denied(place, kind, operation, f"{with_topics.name}-doctor"):
        code, found = diagnosed(with_topics)
    assert (code, found["fencing"]["status"]) == (0, "unknown")
    assert "AUTHORIZATION_FAILED" in found["fencing"]["found"]
    assert f"READ on group `{with_topics.name}-doctor`" in found["fencing"]["cure"]


class _Behind:
    """A clock that is an hour behind the brokers'."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 - 3_600_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def sleep_ms(self, duration_ms: int) -> None:
        time.sleep(duration_ms / 1000)


def test_a_clock_that_is_behind_and_another_cluster_are_found(
    on_kafka: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(on_kafka)
    found = look(config)
    assert found.genesis is not None
    monkeypatch.setattr(wiring, "clock", _Behind)
    elsewhere = found.genesis._replace(cluster_id="elsewhere")
    with wiring.open_reader(config) as reader:
        checks = {
            check.name: check
            for check in checks_of_cluster(config, reader, found.standing, elsewhere)
        }

    assert checks["clock"].status is Status.BAD
    assert "in the future" in checks["clock"].found
    assert checks["cluster id"].status is Status.BAD
    assert checks["cluster id"].expected == "elsewhere as Genesis says"


def test_no_secret_is_shown(on_kafka: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATE_KAFKA__SASL_PASSWORD", "marker-of-a-secret")
    ended = on_kafka("doctor")
    assert ended.code == 0
    assert "marker-of-a-secret" not in ended.out + ended.err


@pytest.mark.slow
def test_brokers_that_do_not_answer_end_it_with_the_reason(
    on_kafka: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    ended = on_kafka("doctor", "--output", "json")
    assert ended.code == 4
    assert [line["check"] for line in ended.json()] == [
        "checkpoint key",
        "lineage secret",
        "state folder",
        "slot",
    ]
    assert "Connection refused" in ended.err
