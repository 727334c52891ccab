"""The table of topics, what is found against it, and the forms that others make topics of."""

from pathlib import Path

import pytest
import yaml

from gate.client.topic_findings import INTERNAL_TOPICS, Finding, Level, find_all
from gate.client.topic_forms import script, strimzi
from gate.client.topic_plan import Action, plan_topics
from gate.config import load_config
from gate.config.topic_table import topic_specs, topic_table
from gate.core.genesis import first_genesis
from gate.core.topics import (
    PartitionStanding,
    SettingFound,
    Topics,
    TopicStanding,
    TopicsWanted,
    topics_of,
)
from gate.core.values import Genesis
from gate.errors import ConfigInvalid
from gate.wiring.connection_security import check_secure

TOPICS = topics_of("gate")
ROOT = Path(__file__).parents[3]


def wanted(*, insecure_dev: bool = False, partitions: int = 2) -> TopicsWanted:
    table = topic_table(insecure_dev=insecure_dev)
    internal = topic_table(insecure_dev=False)
    return TopicsWanted(
        topics=TOPICS,
        specs=topic_specs(TOPICS, partitions, insecure_dev=insecure_dev),
        replicas=table.replicas,
        insecure_dev=insecure_dev,
        internal_replicas=internal.replicas,
        internal_settings=internal.durable,
    )


def standing(
    of: TopicsWanted, name: str, *, replicas: int | None = None, **changed: str | None
) -> TopicStanding:
    """As the table has it, but for what is changed; `None` takes a setting away."""
    (spec,) = (spec for spec in of.specs if spec.name == name)
    settings = {**spec.settings, **{key.replace("_", "."): v for key, v in changed.items()}}
    return TopicStanding(
        topic_id=f"id-of-{name}",
        partitions=tuple(
            PartitionStanding(n, replicas or of.replicas, replicas or of.replicas, True)
            for n in range(spec.partition_count)
        ),
        settings={key: SettingFound(v, True) for key, v in settings.items() if v is not None},
    )


def as_wanted(of: TopicsWanted) -> dict[str, TopicStanding | None]:
    return {name: standing(of, name) for name in TOPICS}


def found_with(of: TopicsWanted, name: str, found: TopicStanding | None) -> tuple[Finding, ...]:
    return find_all(of, {**as_wanted(of), name: found})


def brief(findings: tuple[Finding, ...]) -> list[tuple[object, ...]]:
    return [(f.level.value, f.about, f.expected, f.found, f.stops_start) for f in findings]


def test_the_table_asks_for_what_the_design_asks() -> None:
    table = topic_table(insecure_dev=False)

    assert table.replicas == 3
    assert list(table.settings) == list(Topics._fields)
    for settings in table.settings.values():
        assert settings["min.insync.replicas"] == "2"
        assert settings["unclean.leader.election.enable"] == "false"
    requests, changelog = table.settings["requests"], table.settings["changelog"]
    assert requests["message.timestamp.type"] == "LogAppendTime"
    assert (requests["max.message.bytes"], requests["compression.type"]) == (
        "262144",
        "uncompressed",
    )
    assert changelog["cleanup.policy"] == "compact"
    for kept in ("approved", "denied", "lineage", "quarantine"):
        assert (table.settings[kept]["cleanup.policy"], table.settings[kept]["retention.ms"]) == (
            "delete",
            "-1",
        )


def test_development_asks_for_one_replica_and_nothing_else_less() -> None:
    durable, development = topic_table(insecure_dev=False), topic_table(insecure_dev=True)

    assert development.replicas == 1
    for name, settings in development.settings.items():
        assert settings == {**durable.settings[name], "min.insync.replicas": "1"}


def test_the_table_of_the_package_is_that_of_deploy() -> None:
    assert (ROOT / "gate/topics.toml").resolve() == ROOT / "deploy/topics.toml"


def test_topics_as_the_table_has_them_have_no_finding() -> None:
    of = wanted()

    assert find_all(of, as_wanted(of)) == ()
    assert {step.action for step in plan_topics(of, as_wanted(of), None).steps} == {Action.NOTHING}


@pytest.mark.parametrize(
    ("topic", "changed", "expected"),
    [
        ("requests", {"message_timestamp_type": "CreateTime"},
         ("bad", "message.timestamp.type", "LogAppendTime", "CreateTime", True)),
        ("changelog", {"cleanup_policy": "compact,delete"},
         ("bad", "cleanup.policy", "compact", "compact,delete", True)),
        ("lineage", {"unclean_leader_election_enable": "true"},
         ("bad", "unclean.leader.election.enable", "false", "true", True)),
        ("lineage", {"min_insync_replicas": "1"},
         ("bad", "min.insync.replicas", "at least 2", "1", True)),
        ("lineage", {"min_insync_replicas": "4"},
         ("bad", "min.insync.replicas", "at most 3, as there are replicas", "4", True)),
        ("lineage", {"retention_ms": "1000"}, ("bad", "retention.ms", "-1", "1000", False)),
        ("approved", {"retention_bytes": None}, ("bad", "retention.bytes", "-1", "nothing", False)),
        ("denied", {"segment_bytes": "1048576"},
         ("warning", "segment.bytes", "none, as the table has none", "1048576", False)),
    ],
)  # fmt: skip
def test_a_setting_that_differs_is_found(topic, changed, expected) -> None:
    of, name = wanted(), getattr(TOPICS, topic)
    findings = found_with(of, name, standing(of, name, **changed))

    assert brief(findings) == [expected]
    assert findings[0].topic == name
    assert "gate topics apply" in findings[0].cure or "kafka-" in findings[0].cure


def test_too_few_replicas_are_found_although_the_min_isr_is_as_it_should_be() -> None:
    of = wanted()
    findings = found_with(of, TOPICS.lineage, standing(of, TOPICS.lineage, replicas=1))

    assert brief(findings) == [
        ("bad", "replicas", "3", "1 of partition 0", True),
        ("bad", "min.insync.replicas", "at most 1, as there are replicas", "2", True),
    ]


def test_a_replica_that_is_behind_is_a_warning_and_a_lost_leader_is_bad() -> None:
    of = wanted()
    found = standing(of, TOPICS.denied)
    behind = (PartitionStanding(0, 3, 2, True), PartitionStanding(1, 3, 0, False))
    changed = TopicStanding(topic_id="t", partitions=behind, settings=found.settings)

    assert brief(found_with(of, TOPICS.denied, changed)) == [
        ("warning", "partition 0", "3 replicas in sync", "2", False),
        ("bad", "partition 1", "3 replicas in sync", "no leader", False),
    ]


def test_what_may_not_be_seen_is_unknown_and_stops_nothing() -> None:
    of = wanted()
    hidden = TopicStanding(topic_id="", partitions=None, settings=None)
    half = TopicStanding(
        topic_id="t", partitions=standing(of, TOPICS.denied).partitions, settings=None
    )

    (first,), (second,) = (
        found_with(of, TOPICS.denied, hidden),
        found_with(of, TOPICS.denied, half),
    )
    assert (first.level, first.stops_start, second.level, second.stops_start) == (
        Level.UNKNOWN,
        False,
        Level.UNKNOWN,
        False,
    )
    assert (first.cure, second.cure) == (
        "grant DESCRIBE on the topic",
        "grant DESCRIBE_CONFIGS on the topic",
    )


@pytest.mark.parametrize(("insecure_dev", "level"), [(True, Level.WARNING), (False, Level.BAD)])
def test_topics_of_kafkas_own_are_judged_and_stop_nothing(insecure_dev, level) -> None:
    of = wanted(insecure_dev=insecure_dev)
    weak = TopicStanding(
        topic_id="t",
        partitions=(PartitionStanding(0, 1, 1, True),),
        settings={"min.insync.replicas": SettingFound("1", False)},
    )
    findings = find_all(of, {**as_wanted(of), INTERNAL_TOPICS[0]: weak, INTERNAL_TOPICS[1]: None})

    assert [(f.level, f.topic, f.about, f.stops_start) for f in findings] == [
        (level, INTERNAL_TOPICS[0], "replicas", False),
        (level, INTERNAL_TOPICS[0], "min.insync.replicas", False),
        (Level.UNKNOWN, INTERNAL_TOPICS[1], "topic", False),
    ]


def test_a_plan_makes_what_is_missing_and_sets_only_what_differs() -> None:
    of = wanted()
    found = {
        **as_wanted(of),
        TOPICS.denied: None,
        TOPICS.lineage: standing(of, TOPICS.lineage, retention_ms="1", segment_bytes="1048576"),
    }
    plan = plan_topics(of, found, None)

    by_name = {step.spec.name: step for step in plan.steps}
    assert by_name[TOPICS.denied].action is Action.CREATE
    assert (by_name[TOPICS.lineage].action, by_name[TOPICS.lineage].settings) == (
        Action.ALTER,
        {"retention.ms": "-1"},
    )
    assert [step.spec.name for step in plan.changes] == [TOPICS.denied, TOPICS.lineage]
    assert [(f.topic, f.about) for f in plan.left] == [(TOPICS.lineage, "segment.bytes")]


def begun(topic_id: str = f"id-of-{TOPICS.requests}") -> Genesis:
    return first_genesis(
        domain="dev.example",
        gate="gate",
        cluster_id="c",
        topic=TOPICS.requests,
        topic_id=topic_id,
        partition=0,
        partition_count=2,
        first_offset=0,
        lineage_secret_sha256=bytes(32),
        trust_root_sha256=bytes(32),
    )


@pytest.mark.parametrize("partitions", [1, 3])
def test_another_partition_count_is_refused_and_nothing_set(partitions) -> None:
    of = wanted()
    other = standing(wanted(partitions=partitions), TOPICS.denied, retention_ms="1")
    plan = plan_topics(of, {**as_wanted(of), TOPICS.denied: other}, None)

    assert plan.is_refused
    assert plan.changes == ()
    (refused,) = (step for step in plan.steps if step.action is Action.REFUSE)
    assert f"partitions: expected 2, found {partitions}" in refused.why


def test_a_topic_that_a_gate_has_used_is_not_made_again() -> None:
    of = wanted()
    missing = {**as_wanted(of), TOPICS.approved: None}

    assert not plan_topics(of, missing, None).is_refused
    plan = plan_topics(of, missing, begun())
    assert plan.changes == ()
    (refused,) = (step for step in plan.steps if step.action is Action.REFUSE)
    assert (refused.spec.name, "its records are gone" in refused.why) == (TOPICS.approved, True)


def test_a_requests_topic_with_another_id_than_genesis_says_is_refused() -> None:
    of = wanted()
    plan = plan_topics(of, as_wanted(of), begun())
    assert not plan.is_refused

    again = plan_topics(of, as_wanted(of), begun("before"))
    (refused,) = (step for step in again.steps if step.action is Action.REFUSE)
    assert "expected before as Genesis says" in refused.why


def test_manifests_for_strimzi_hold_exactly_the_table() -> None:
    of = wanted()
    made = list(yaml.safe_load_all(strimzi(of, "my-kafka")))

    assert [item["spec"] for item in made] == [
        {
            "topicName": spec.name,
            "partitions": 2,
            "replicas": 3,
            "config": dict(spec.settings),
        }
        for spec in of.specs
    ]
    assert {item["metadata"]["labels"]["strimzi.io/cluster"] for item in made} == {"my-kafka"}
    assert {(item["apiVersion"], item["kind"]) for item in made} == {
        ("kafka.strimzi.io/v1", "KafkaTopic")
    }


def test_a_resource_of_kubernetes_has_no_letter_that_it_refuses() -> None:
    of = wanted()
    odd = of._replace(specs=topic_specs(topics_of("My_Gate"), 2, insecure_dev=False))
    made = list(yaml.safe_load_all(strimzi(odd, "k")))

    assert made[0]["metadata"]["name"] == "my-gate.requests.v1"
    assert made[0]["spec"]["topicName"] == "My_Gate.requests.v1"


def test_the_script_names_every_topic_twice_and_stops_at_an_error() -> None:
    lines = script(wanted()).splitlines()

    assert lines[0] == "#!/bin/sh"
    assert "set -eu" in lines
    assert [line.split()[0] for line in lines[4:]] == ["kafka-topics.sh", "kafka-configs.sh"] * 6


def test_an_embedded_log_is_made_checked_and_mended_by_the_same_commands(shell) -> None:
    assert shell("topics", "check").code == 1
    applied = shell("topics", "apply", "--yes", "--output", "json")
    assert (applied.code, {line["action"] for line in applied.json()}) == (0, {"create"})
    assert shell("topics", "check") == (0, "", f"ok: {', '.join(TOPICS)}\n")
    again = shell("topics", "apply", "--yes", "--output", "json")
    assert (again.code, {line["action"] for line in again.json()}) == (0, {"nothing"})


def test_apply_without_a_terminal_asks_for_yes_and_changes_nothing(shell) -> None:
    ended = shell("topics", "apply")
    assert (ended.code, "--yes" in ended.err) == (2, True)
    assert shell("topics", "apply", "--dry-run").code == 0
    assert not (shell.folder / "log.sqlite").exists()


def test_a_form_is_printed_without_asking_a_broker(shell) -> None:
    ended = shell("topics", "plan", "--format", "script")
    assert (ended.code, ended.err) == (0, "")
    assert "kafka-topics.sh" in ended.out


def test_doctor_looks_at_an_embedded_gate(gate) -> None:
    ended = gate("doctor", "--output", "json")
    found = {line["check"]: line["status"] for line in ended.json()}

    assert ended.code == 0
    assert found == {
        "checkpoint key": "ok",
        "lineage secret": "ok",
        "state folder": "ok",
        "slot": "ok",
        "topics": "ok",
        "lineage": "ok",
        "offsets": "ok",
        "configuration": "ok",
        "trust root": "ok",
        "own key": "ok",
        "policy": "ok",
    }


def test_doctor_before_the_first_start_says_what_to_do(shell) -> None:
    ended = shell("doctor", "--output", "json")

    assert ended.code == 0
    assert ended.json()[-1]["cure"] == "run `gate init-lineage`"


@pytest.mark.parametrize(
    ("variable", "value", "check", "cure"),
    [
        ("KEYS__CHECKPOINT", "keys/author.key", "own key", "copy the key from another node"),
        ("KEYS__CHECKPOINT", "keys/none.key", "checkpoint key", "see there"),
        ("STATE__FOLDER", "gate.toml", "state folder", "name another `state.folder`"),
        ("DOMAIN", "other.example", "configuration", "see there"),
    ],
)
def test_doctor_finds_what_is_wrong_here(gate, monkeypatch, variable, value, check, cure) -> None:
    monkeypatch.setenv(f"GATE_{variable}", value)
    ended = gate("doctor", "--output", "json")
    (found,) = (line for line in ended.json() if line["check"] == check)

    assert (ended.code, found["status"]) == (1, "bad")
    assert cure in found["cure"]


def test_doctor_finds_a_key_that_others_may_read(gate) -> None:
    (gate.folder / "keys/checkpoint.key").chmod(0o644)
    (found,) = (
        line
        for line in gate("doctor", "--output", "json").json()
        if line["check"] == "checkpoint key"
    )
    assert (found["status"], "600" in found["expected"]) == ("bad", True)


def test_doctor_finds_a_topic_of_the_table_changed(gate) -> None:
    from gate import wiring

    admin = wiring.open_admin(load_config(gate.folder / "gate.toml").config)
    admin.alter_topic(TOPICS.lineage, {"retention.ms": "1"})

    ended = gate("doctor", "--output", "json")
    (found,) = (line for line in ended.json() if line["status"] == "bad")
    assert (ended.code, found["check"], found["cure"]) == (
        1,
        "topics",
        "set it with `gate topics apply`",
    )
    assert gate("topics", "apply", "--yes").code == 0
    assert gate("doctor").code == 0


TOKENS = "sasl.oauthbearer.token.endpoint.url"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.ssl.certificate.verification", "false"),
        ("enable.ssl.certificate.verification", "0"),
        ("ssl.endpoint.identification.algorithm", "none"),
        (TOKENS, "http://idp.example/token?password=hidden"),
        (TOKENS, "http://127.0.0.1.example/hidden"),
        (TOKENS, "http://[hidden"),
        (TOKENS, "ftp://localhost/hidden"),
    ],
)
def test_an_insecure_property_is_refused_by_name_and_its_value_not_shown(name, value) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        check_secure({name: value})
    assert f"`{name}`" in str(refused.value)
    assert "insecure_dev" in str(refused.value)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable.ssl.certificate.verification", "true"),
        ("ssl.endpoint.identification.algorithm", "https"),
        (TOKENS, "https://idp.example/token"),
        (TOKENS, "http://127.0.0.1:8080/token"),
        (TOKENS, "http://[::1]:8080/token"),
        (TOKENS, "http://localhost/token"),
        ("security.protocol", "PLAINTEXT"),
    ],
)
def test_a_secure_property_is_taken(name, value) -> None:
    check_secure({name: value})


def test_insecure_dev_takes_what_is_refused_else(tmp_path, shell, monkeypatch) -> None:
    made = tmp_path / "on-kafka"
    assert shell("init", made, "--kafka", "127.0.0.1:1").code == 0
    monkeypatch.chdir(made)
    monkeypatch.setenv("GATE_KAFKA__SSL_ENDPOINT_IDENTIFICATION_ALGORITHM", "none")
    monkeypatch.setenv("GATE_INSECURE_DEV", "false")
    ended = shell("topics", "check")
    assert (ended.code, "`ssl.endpoint.identification.algorithm`" in ended.err) == (3, True)
