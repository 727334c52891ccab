"""`gate topics` on a real broker: each finding caused, told with its cure, and cured."""

import subprocess
from pathlib import Path

import pytest
from confluent_kafka.admin import AclOperation, AdminClient, ResourceType

from gate.cli import start_check
from gate.config.topic_table import topic_table
from gate.core.topics import Topics
from tests.kafka.cli_gate import kafka_gate_folder, on_kafka
from tests.kafka.cli_topics import PARTITIONS, OwnGate, own_gate, with_topics
from tests.kafka.local import LocalKafka, jvm
from tests.kafka.place import place
from tests.kafka.processes import KafkaProcessWorld
from tests.kafka.test_rights import denied
from tests.kafka.world import remove_topics
from tests.unit.cli.harness import Shell
from tests.worlds import TOPICS

__all__ = ["kafka_gate_folder", "on_kafka", "own_gate", "place", "with_topics"]

STOPS = [
    ("requests", "message.timestamp.type", "CreateTime", "LogAppendTime"),
    ("changelog", "cleanup.policy", "compact,delete", "compact"),
    ("lineage", "unclean.leader.election.enable", "true", "false"),
]
DRIFTS = [
    ("lineage", "retention.ms", "86400000", "-1"),
    ("requests", "max.message.bytes", "1048588", "262144"),
    ("requests", "compression.type", "producer", "uncompressed"),
]


def bad(shell: Shell, *command: str) -> list[dict[str, str]]:
    return [line for line in shell(*command, "--output", "json").json() if line["level"] == "bad"]


def test_topics_that_are_missing_are_found_and_made(own_gate: OwnGate) -> None:
    checked = own_gate("topics", "check", "--output", "json")
    assert checked.code == 1
    own = [line for line in checked.json() if line["topic"] in own_gate.topics]
    assert [(line["topic"], line["found"], line["cure"]) for line in own] == [
        (name, "no such topic", "make it with `gate topics apply`") for name in own_gate.topics
    ]

    applied = own_gate("topics", "apply", "--yes", "--output", "json")
    assert (applied.code, {line["action"] for line in applied.json()}) == (0, {"create"})
    assert own_gate("topics", "check").code == 0
    for kind in Topics._fields:
        expected = topic_table(insecure_dev=True).settings[kind]
        found = own_gate.settings(getattr(own_gate.topics, kind))
        assert {key: found[key] for key in expected} == expected

    again = own_gate("topics", "apply", "--yes", "--output", "json")
    assert (again.code, {line["action"] for line in again.json()}) == (0, {"nothing"})


@pytest.mark.parametrize("command", [("run",), ("init-lineage", "--from", "beginning")])
def test_a_gate_without_topics_does_not_start_and_says_how_to_make_them(
    own_gate: OwnGate, command: tuple[str, ...]
) -> None:
    ended = own_gate(*command)
    assert (ended.code, ended.out) == (3, "")
    assert f"no topics of a gate `{own_gate.name}`: make them with `gate topics apply`" in ended.err


def test_a_wrong_partition_count_is_refused_and_nothing_is_changed(own_gate: OwnGate) -> None:
    own_gate.make(own_gate.topics.denied, PARTITIONS + 1)

    for command in (("plan",), ("apply", "--yes"), ("apply", "--dry-run")):
        ended = own_gate("topics", *command, "--output", "json")
        refused = [line for line in ended.json() if line["action"] == "refuse"]
        assert (ended.code, [line["topic"] for line in refused]) == (1, [own_gate.topics.denied])
        assert "partitions: expected 2, found 3: a count can not be changed" in refused[0]["why"]
    made = own_gate.admin.list_topics(timeout=10).topics.keys() & set(own_gate.topics)
    assert made == {own_gate.topics.denied}
    ended = own_gate("init-lineage", "--from", "end")
    assert (ended.code, "partitions: expected 2, found 3" in ended.err) == (3, True)


@pytest.mark.parametrize(("topic", "key", "value", "expected"), STOPS + DRIFTS)
def test_a_changed_setting_is_found_and_set_right(
    with_topics: OwnGate, topic: str, key: str, value: str, expected: str
) -> None:
    name = getattr(with_topics.topics, topic)
    with_topics.set(name, {key: value})

    (found,) = bad(with_topics, "topics", "check")
    assert (found["topic"], found["about"], found["expected"], found["found"], found["cure"]) == (
        name,
        key,
        expected,
        value,
        "set it with `gate topics apply`",
    )
    applied = with_topics("topics", "apply", "--yes", "--output", "json")
    changed = [line for line in applied.json() if line["action"] != "nothing"]
    assert [(line["action"], line["settings"]) for line in changed] == [("alter", {key: expected})]
    assert with_topics.settings(name)[key] == expected
    assert with_topics("topics", "check").code == 0


@pytest.mark.parametrize(("topic", "key", "value", "expected"), STOPS)
@pytest.mark.parametrize("command", [("run",), ("init-lineage", "--from", "end")])
def test_a_gate_does_not_start_on_topics_that_are_not_fit(
    with_topics: OwnGate,
    command: tuple[str, ...],
    topic: str,
    key: str,
    value: str,
    expected: str,
) -> None:
    with_topics.set(getattr(with_topics.topics, topic), {key: value})
    ended = with_topics(*command)

    assert (ended.code, ended.out, "gate_started" in ended.err) == (3, "", False)
    assert f"{key}: expected {expected}, found {value}: set it with `gate topics apply`" in (
        ended.err
    )


def test_a_drift_that_harms_no_decision_does_not_keep_a_gate_from_starting(
    on_kafka: Shell, own_gate: OwnGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATE_GATE")
    monkeypatch.delenv("GATE_LOG__PARTITIONS")
    monkeypatch.chdir(on_kafka.folder)
    own_gate.set("gate.denied.v1", {"retention.ms": "86400000000"})
    try:
        ended = on_kafka("run", "--until-caught-up")
        assert ended.code == 0
        assert "bad: topic `gate.denied.v1`: retention.ms: expected -1, found 8640" in ended.err
    finally:
        assert on_kafka("topics", "apply", "--yes").code == 0


def test_a_setting_that_the_table_does_not_name_is_told_and_left_alone(
    with_topics: OwnGate,
) -> None:
    name = with_topics.topics.approved
    with_topics.set(name, {"segment.ms": "3600000"})
    checked = with_topics("topics", "check", "--output", "json")

    (found,) = (line for line in checked.json() if line["topic"] == name)
    assert (checked.code, found["level"], found["about"], found["found"]) == (
        0,
        "warning",
        "segment.ms",
        "3600000",
    )
    assert f"--entity-name {name} --delete-config segment.ms" in found["cure"]
    assert with_topics("topics", "apply", "--yes").code == 0
    assert with_topics.settings(name)["segment.ms"] == "3600000"


def test_a_min_isr_above_the_replicas_is_found(
    with_topics: OwnGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka accepts it, and caps it: only the replica count shows that it means nothing."""
    name = with_topics.topics.lineage
    with_topics.set(name, {"min.insync.replicas": "2"})
    checked = with_topics("topics", "check", "--output", "json")
    found = [line for line in checked.json() if line["topic"] == name]
    assert (checked.code, [(line["level"], line["expected"]) for line in found]) == (
        0,
        [("warning", "at most 1, as there are replicas")],
    )

    monkeypatch.setenv("GATE_INSECURE_DEV", "false")
    found = [line for line in bad(with_topics, "topics", "check") if line["topic"] == name]
    assert [(line["about"], line["found"], line["stops_start"]) for line in found] == [
        ("replicas", "1 of partition 0", True),
        ("min.insync.replicas", "2", True),
    ]
    ended = with_topics("run")
    assert (ended.code, "kafka-reassign-partitions.sh" in ended.err) == (3, True)


def test_one_broker_can_not_carry_what_is_no_development(
    own_gate: OwnGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_INSECURE_DEV", "false")
    ended = own_gate("topics", "apply", "--yes")
    assert (ended.code, "INVALID_REPLICATION_FACTOR" in ended.err) == (3, True)
    assert "or for development set `insecure_dev = true`" in ended.err


def test_topics_of_kafkas_own_are_judged(with_topics: OwnGate, monkeypatch) -> None:
    monkeypatch.setenv("GATE_INSECURE_DEV", "false")
    found = {
        (line["topic"], line["about"], line["expected"])
        for line in with_topics("topics", "check", "--output", "json").json()
        if line["topic"] == "__transaction_state"
    }
    assert found == {
        ("__transaction_state", "replicas", "3"),
        ("__transaction_state", "min.insync.replicas", "2"),
    }


def test_that_one_replica_is_accepted_is_said_at_every_start(on_kafka: Shell) -> None:
    ended = on_kafka("run", "--until-caught-up")
    assert ended.code == 0
    assert ended.err.count("insecure_dev: topics of one replica are accepted") == 1


def test_a_right_that_is_missing_hides_settings_and_stops_nothing(on_kafka: Shell, place) -> None:
    with denied(place, ResourceType.TOPIC, AclOperation.DESCRIBE_CONFIGS, "gate.lineage.v1"):
        checked = on_kafka("topics", "check", "--output", "json")
        ended = on_kafka("run", "--until-caught-up")

    (found,) = (line for line in checked.json() if line["topic"] == "gate.lineage.v1")
    assert (checked.code, found["level"], found["cure"]) == (
        0,
        "unknown",
        "grant DESCRIBE_CONFIGS on the topic",
    )
    assert ended.code == 0
    assert "unknown: topic `gate.lineage.v1`: settings: expected it to be seen" in ended.err


def test_without_the_right_to_alter_apply_names_it(with_topics: OwnGate, place) -> None:
    name = with_topics.topics.lineage
    with_topics.set(name, {"retention.ms": "86400000"})
    with denied(place, ResourceType.TOPIC, AclOperation.ALTER_CONFIGS, name):
        ended = with_topics("topics", "apply", "--yes")
    assert ended.code == 4
    assert f"altering topic `{name}`" in ended.err
    assert "grant this principal ALTER_CONFIGS and DESCRIBE_CONFIGS" in ended.err


def test_a_configuration_is_checked_against_the_topics(
    on_kafka: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_kafka("config", "check").code == 0
    monkeypatch.setenv("GATE_LOG__PARTITIONS", "7")
    ended = on_kafka("config", "check")
    assert (ended.code, "partitions: expected 7, found 6" in ended.err) == (3, True)


def test_a_configuration_without_topics_is_checked_alone(own_gate: OwnGate) -> None:
    ended = own_gate("config", "check")
    assert ended.code == 3  # the trust root of `gate init` is for a gate named `gate`
    assert "make the topics with `gate topics apply`" in ended.err


def test_topics_that_a_gate_has_used_are_not_made_again(
    kafka: LocalKafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = KafkaProcessWorld(kafka.bootstrap, tmp_path / "begun", partitions=PARTITIONS)
    world.init()
    gate, options = Shell(tmp_path, capsys), ("--config", world.config)
    assert gate("topics", "check", *options).code == 0

    remove_topics(kafka.bootstrap, [TOPICS.approved])
    ended = gate("topics", "apply", "--yes", "--output", "json", *options)
    refused = [line for line in ended.json() if line["action"] == "refuse"]
    assert (ended.code, [line["topic"] for line in refused]) == (1, [TOPICS.approved])
    assert "its records are gone" in refused[0]["why"]
    assert (
        TOPICS.approved
        not in AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 2})
        .list_topics(timeout=10)
        .topics
    )

    remove_topics(kafka.bootstrap, [TOPICS.requests])
    hand = OwnGate(tmp_path, capsys, kafka.bootstrap, "unused")
    hand.make(TOPICS.requests, PARTITIONS)
    (found,) = (
        line for line in bad(gate, "topics", "check", *map(str, options))
        if line["about"] == "topic id"
    )  # fmt: skip
    assert "it was deleted and made again" in found["found"]
    started = gate("run", *options)
    assert (started.code, "topic id: expected" in started.err) == (3, True)
    world.close()


def test_it_is_the_check_that_keeps_a_gate_from_starting(
    kafka: LocalKafka,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control: with the check taken out, the same gate starts."""
    world = KafkaProcessWorld(kafka.bootstrap, tmp_path / "begun", partitions=PARTITIONS)
    world.init()
    gate = Shell(tmp_path, capsys)
    command = ("run", "--until-caught-up", "--config", world.config)
    hand = OwnGate(tmp_path, capsys, kafka.bootstrap, "unused")
    hand.set(TOPICS.changelog, {"cleanup.policy": "delete"})

    refused = gate(*command)
    monkeypatch.setattr(start_check, "check_topics", lambda config: None)
    started = gate(*command)

    assert (refused.code, "gate_started" in refused.err) == (3, False)
    assert (started.code, "gate_started" in started.err) == (0, True)
    world.close()


@pytest.mark.slow
def test_the_script_makes_with_kafkas_own_tools_what_apply_would(
    own_gate: OwnGate, tmp_path: Path
) -> None:
    """The tools by the names that their package gives them."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, main_class in (
        ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
        ("kafka-configs.sh", "kafka.admin.ConfigCommand"),
    ):
        command = " ".join(f"'{part}'" for part in [*jvm("-XX:TieredStopAtLevel=1"), main_class])
        (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tools / name).chmod(0o755)
    own_gate.make(own_gate.topics.denied, PARTITIONS)  # the script sets its settings then
    printed = own_gate("topics", "plan", "--format", "script")
    (tmp_path / "topics.sh").write_text(printed.out)

    ended = subprocess.run(
        ["sh", "topics.sh", "--bootstrap-server", own_gate.bootstrap],
        cwd=tmp_path,
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    assert ended.returncode == 0, ended.stderr
    checked = own_gate("topics", "check", "--output", "json")
    own = [line for line in checked.json() if line["topic"] in own_gate.topics]
    assert (checked.code, own) == (0, [])


@pytest.mark.slow
def test_a_configuration_is_checked_alone_where_no_broker_answers(
    on_kafka: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    ended = on_kafka("config", "check")
    assert (ended.code, ended.out) == (0, "ok: `dev.example/gate`\n")
    assert "not compared with the log: Kafka at `127.0.0.1:9` can not be reached" in ended.err
    assert on_kafka("topics", "check").code == 4
