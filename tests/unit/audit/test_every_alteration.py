"""Whatever single record of an output is dropped, repeated, exchanged or altered is found."""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gate.audit.audit import audit
from gate.core.wire.changelog import (
    encode_control_state,
    is_admission_record,
    read_control_state,
)
from gate.core.wire.record import read_lineage_record
from gate.ports import LogRecord, TopicPartition
from tests.builders import a_trust_root
from tests.unit.audit.recorded_log import RecordedLog
from tests.worlds import TOPICS

OUTPUTS = [TopicPartition(topic, 0) for topic in TOPICS.outputs]


def a_copy(log: RecordedLog) -> RecordedLog:
    return RecordedLog(log._topics, log.records, log._ends)


def is_sound(log: RecordedLog) -> bool:
    return audit(log, TOPICS, trust=a_trust_root()).is_ok


@pytest.mark.parametrize("where", OUTPUTS, ids=lambda where: where.topic)
def test_every_dropped_record_is_found(recorded_once: RecordedLog, where: TopicPartition) -> None:
    for position in range(len(recorded_once.records[where])):
        log = a_copy(recorded_once)
        log.drop(where, position)
        assert not is_sound(log), position


@pytest.mark.parametrize("where", OUTPUTS, ids=lambda where: where.topic)
def test_every_repeated_record_is_found(recorded_once: RecordedLog, where: TopicPartition) -> None:
    for record in recorded_once.records[where]:
        log = a_copy(recorded_once)
        log.put(where, record)
        assert not is_sound(log), record.offset


@pytest.mark.parametrize("where", OUTPUTS, ids=lambda where: where.topic)
def test_every_exchange_of_neighbours_is_found(
    recorded_once: RecordedLog, where: TopicPartition
) -> None:
    for position in range(len(recorded_once.records[where]) - 1):
        log = a_copy(recorded_once)
        log.swap(where, position)
        assert not is_sound(log), position


def test_every_dropped_input_record_is_found(recorded_once: RecordedLog) -> None:
    where = TopicPartition(TOPICS.requests, 0)
    for position in range(len(recorded_once.records[where])):
        log = a_copy(recorded_once)
        log.drop(where, position)
        assert not is_sound(log), position


def is_covered(where: TopicPartition, record: LogRecord, at: int) -> bool:
    """Say whether the topics alone show a change there.

    The recovery target is under a key that only the gate has; the key spaces of an activation are
    judged by deciding again.
    """
    value = record.value or b""
    if where.topic == TOPICS.lineage:
        target = read_lineage_record(value).target.encode()
        return at < value.index(target) - 2
    return not (record.key or b"").startswith(b"policy/")


def test_every_altered_position_of_a_control_part_is_found(recorded_once: RecordedLog) -> None:
    where = TopicPartition(TOPICS.changelog, 0)
    for position, record in enumerate(recorded_once.records[where]):
        if not is_control_part(record):
            continue
        part = read_control_state(record.value or b"")
        for other in (
            part._replace(input_offset=part.input_offset + 1),
            part._replace(leaf_index=part.leaf_index + 1),
            part._replace(sequence=part.sequence + 1),
        ):
            log = a_copy(recorded_once)
            value = encode_control_state(other)
            log.change(where, position, lambda r, value=value: r._replace(value=value))
            assert not is_sound(log), (record.key, other[:3])


def is_control_part(record: LogRecord) -> bool:
    return not is_admission_record(record.value or b"")


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_altered_byte_is_found(recorded_once: RecordedLog, data: st.DataObject) -> None:
    everywhere = [*OUTPUTS, TopicPartition(TOPICS.requests, 0)]
    where = data.draw(st.sampled_from(everywhere))
    position = data.draw(st.integers(0, len(recorded_once.records[where]) - 1))
    record = recorded_once.records[where][position]
    value = record.value or b""
    assume(value)
    at = data.draw(st.integers(0, len(value) - 1))
    assume(is_covered(where, record, at))
    flipped = bytes([value[at] ^ data.draw(st.integers(1, 255))])
    log = a_copy(recorded_once)
    log.change(where, position, lambda r: r._replace(value=value[:at] + flipped + value[at + 1 :]))
    assert not is_sound(log)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_cut_record_is_found(recorded_once: RecordedLog, data: st.DataObject) -> None:
    where = data.draw(st.sampled_from(OUTPUTS))
    position = data.draw(st.integers(0, len(recorded_once.records[where]) - 1))
    value = recorded_once.records[where][position].value or b""
    assume(value)
    end = data.draw(st.integers(0, len(value) - 1))
    log = a_copy(recorded_once)
    log.change(where, position, lambda r: r._replace(value=value[:end]))
    assert not is_sound(log)
