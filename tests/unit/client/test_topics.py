"""What clients read from topics: what is in force, decisions, answers to control records."""

from pathlib import Path

import pytest

from gate import wiring
from gate.client.control import (
    TRUST_ROOT,
    Answer,
    ControlPublication,
    PartitionAnswer,
    control_value,
)
from gate.client.decisions import DecisionWatch, Found, Unread
from gate.client.followed_trust import FollowedTrust
from gate.client.in_force import read_in_force
from gate.config import Config, load_config
from gate.core.proof.verdict import RefusalCode, Refused, Verified
from gate.core.topics import topics_of
from gate.core.values import DecisionRecord
from gate.core.wire.record import encode_decision_record, read_decision_record
from gate.errors import ConfigInvalid, TransactionAborted, Unreadable
from gate.ports import EventKind, OutputRecord, TopicPartition
from gate.runtime.first_start import Beginning

TOPICS = topics_of("gate")
DECIDED = (TOPICS.approved, TOPICS.denied)


class Quiet:
    """Implements `gate.ports.Telemetry`."""

    def emit(self, kind: EventKind, **fields: object) -> None:
        pass


@pytest.fixture
def config(tmp_path: Path) -> Config:
    folder = tmp_path / "gate"
    wiring.create_development_set(folder, domain="d.example", now_ms=wiring.clock().now_ms())
    return load_config(folder / "gate.toml").config


@pytest.fixture
def begun(config):
    wiring.begin_lineage(config, Beginning.BEGINNING)
    return config


def _run(config: Config) -> None:
    with wiring.open_gate(config, Quiet()) as gate:
        gate.run(should_stop=lambda: False, until_caught_up=True)


def test_before_the_first_start_nothing_is_in_force(config):
    wiring.create_topics(config)
    with wiring.open_reader(config) as reader:
        with pytest.raises(ConfigInvalid, match="run `gate init-lineage` first"):
            read_in_force(reader, TOPICS)
        with pytest.raises(ConfigInvalid, match=r"gate has no topic `other\.changelog\.v1`"):
            read_in_force(reader, topics_of("other"))


def test_after_the_first_start_the_first_trust_root_is_in_force(begun):
    with wiring.open_reader(begun) as reader:
        found = read_in_force(reader, TOPICS, partition=3)
    assert found.state.trust_root.sha256 == wiring.first_root(begun).root.sha256
    assert (found.state.genesis.partition, found.bundles, found.state.in_force) == (3, {}, {})


def test_a_changelog_that_does_not_read_is_told(begun):
    with wiring.open_publisher(begun) as publisher:
        publisher.publish([OutputRecord(TOPICS.changelog, 0, b"root/2", b"nonsense")])
    with wiring.open_reader(begun) as reader, pytest.raises(Unreadable, match="does not read"):
        read_in_force(reader, TOPICS)


def test_before_the_gate_runs_nobody_has_answered(begun):
    value = control_value(TRUST_ROOT, wiring.first_root(begun).envelope)
    with wiring.open_reader(begun) as reader, wiring.open_publisher(begun) as publisher:
        run = ControlPublication(
            value, gate="gate", topics=TOPICS, reader=reader, publisher=publisher
        )
        run.poll()
    assert not run.is_decided
    assert list(run.answers.values()) == [
        PartitionAnswer(number, 0, Answer.UNDECIDED) for number in range(4)
    ]


def test_a_repeated_trust_root_is_accepted_and_a_broken_one_refused(begun):
    good = control_value(TRUST_ROOT, wiring.first_root(begun).envelope)
    bad = control_value(TRUST_ROOT, b"{}")
    with wiring.open_reader(begun) as reader, wiring.open_publisher(begun) as publisher:
        runs = [
            ControlPublication(
                value, gate="gate", topics=TOPICS, reader=reader, publisher=publisher
            )
            for value in (good, bad)
        ]
        _run(begun)
        for run in runs:
            run.poll()
    accepted, refused = runs
    assert list(accepted.answers.values()) == [
        PartitionAnswer(number, 0, Answer.ACCEPTED) for number in range(4)
    ]
    assert [item.answer for item in refused.answers.values()] == [Answer.REFUSED] * 4
    assert {item.culprit for item in refused.answers.values()} == {"trust_root"}
    assert accepted.is_decided
    assert refused.is_decided


def test_a_second_control_tool_fences_the_first(begun):
    value = control_value(TRUST_ROOT, wiring.first_root(begun).envelope)
    with (
        wiring.open_reader(begun) as reader,
        wiring.open_publisher(begun) as first,
        wiring.open_publisher(begun) as second,
    ):
        for publisher in (first, second):
            ControlPublication(
                value, gate="gate", topics=TOPICS, reader=reader, publisher=publisher
            )
        with pytest.raises(TransactionAborted, match="another control tool took over"):
            ControlPublication(value, gate="gate", topics=TOPICS, reader=reader, publisher=first)


def test_a_watch_gives_new_decisions_and_what_their_verification_said(begun):
    first = wiring.first_root(begun).root
    with wiring.open_reader(begun) as reader, wiring.open_publisher(begun) as publisher:
        trust = FollowedTrust(reader, TOPICS, first)
        watch = DecisionWatch(reader, DECIDED, range(4), trust)
        (offset,) = publisher.publish([OutputRecord(TOPICS.requests, 1, b"k", b"nonsense")])
        assert list(watch.poll()) == []
        _run(begun)
        (found,) = watch.poll()
        assert isinstance(found, Found)
        assert found.place == (1, offset)
        assert isinstance(found.verdict, Verified)
        assert found.decision.reasons[0].code.name == "FRAMING_UNKNOWN"
        assert list(watch.poll()) == []
        record = reader.last(TopicPartition(TOPICS.denied, 1))
        genuine = read_decision_record(record.value)
        publisher.publish(
            [
                OutputRecord(TOPICS.denied, 1, b"k", b"nonsense"),
                OutputRecord(TOPICS.denied, 1, b"k", encode_decision_record(_forged(genuine))),
            ]
        )
        nonsense, forged = watch.poll()
        assert isinstance(nonsense, Unread)
        assert (nonsense.where, nonsense.offset) == (TopicPartition(TOPICS.denied, 1), 2)
        assert isinstance(forged, Found)
        assert isinstance(forged.verdict, Refused)
        assert forged.verdict.code is RefusalCode.BAD_SIGNATURE


def _forged(record: DecisionRecord) -> DecisionRecord:
    (line,) = record.signatures
    return record._replace(signatures=(line[:-1] + bytes([line[-1] ^ 1]),))
