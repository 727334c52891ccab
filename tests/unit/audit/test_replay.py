"""Replay: the same leaves whatever the cuts; every alteration of a leaf is shown."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.audit.replay import Replay
from gate.core.state import derive_keys
from gate.core.values import Decision, DecisionRecord
from gate.core.wire.entry import encode_entry, read_entry
from gate.core.wire.record import encode_decision_record, read_decision_record
from gate.errors import ConfigInvalid
from gate.ports import LogRecord, TopicPartition
from tests.planted import planted
from tests.unit.audit.recorded_log import RecordedLog
from tests.worlds import SECRET, TOPICS, EmbeddedWorld

APPROVED_0 = TopicPartition(TOPICS.approved, 0)
REQUESTS_0 = TopicPartition(TOPICS.requests, 0)
LEAVES_0 = 22


def leaves(log: RecordedLog, cuts: Sequence[int], *, has_secret: bool = False) -> list[bytes]:
    keys = derive_keys(SECRET) if has_secret else None
    replay = Replay(log, TOPICS, 0, keys=keys, cuts=cuts)
    return [item.decided or b"" for batch in replay.batches() for item in batch]


def recorded_leaves(log: RecordedLog) -> list[bytes]:
    replay = Replay(log, TOPICS, 0)
    return [item.recorded or b"" for batch in replay.batches() for item in batch]


@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=8), has_secret=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_leaves_do_not_depend_on_batch_cuts(
    recorded_once: RecordedLog, cuts: list[int], has_secret: bool
) -> None:
    found = leaves(recorded_once, cuts, has_secret=has_secret)
    assert found == recorded_leaves(recorded_once)
    assert len(found) == LEAVES_0


@pytest.mark.parametrize("partition", [0, 1])
def test_a_sound_partition_replays_to_the_same_bytes(log: RecordedLog, partition: int) -> None:
    replayed = Replay(log, TOPICS, partition, keys=derive_keys(SECRET)).run()
    assert replayed.is_ok
    assert replayed.has_computed_salts
    assert (replayed.differences, replayed.stopped) == ((), "")
    assert (
        replayed.next_offset == log.records[TopicPartition(TOPICS.requests, partition)][-1][1] + 1
    )


def altered(log: RecordedLog, position: int, **changes: object) -> int:
    """Change an approved entry as nobody with the signing key would; return its leaf index."""

    def change(record: LogRecord) -> LogRecord:
        found = read_decision_record(record.value or b"")
        entry = read_entry(found.entry)
        assert isinstance(entry, Decision)
        changed = found._replace(entry=encode_entry(entry._replace(**changes)))
        return record._replace(value=encode_decision_record(changed))

    changed: DecisionRecord = read_decision_record(
        log.change(APPROVED_0, position, change).value or b""
    )
    return changed.leaf_index


def test_an_altered_leaf_is_shown_field_by_field(log: RecordedLog) -> None:
    leaf = altered(log, 2, actor="mallory", resource="loan/\x1b[2J")
    replayed = Replay(log, TOPICS, 0).run()
    assert (replayed.is_ok, replayed.differences_count) == (False, 1)
    (difference,) = replayed.differences
    assert difference.leaf_index == leaf
    assert [name for name, _, _ in difference.fields] == ["actor", "resource"]
    assert difference.fields[0] == ("actor", "mallory", "loan-desk")
    assert difference.fields[1][1] == "loan/\\x1b[2J"


def test_an_altered_salt_is_seen_in_the_leaf_hash_or_with_the_secret(log: RecordedLog) -> None:
    altered(log, 2, salt=bytes(16))
    (given_salt,) = Replay(log, TOPICS, 0).run().differences
    (computed,) = Replay(log, TOPICS, 0, keys=derive_keys(SECRET)).run().differences
    assert [name for name, _, _ in given_salt.fields] == ["leaf_hash"]
    assert [name for name, _, _ in computed.fields] == ["salt"]


def test_a_dropped_decision_is_one_difference(log: RecordedLog) -> None:
    dropped = read_decision_record(log.drop(APPROVED_0, 2).value or b"")
    (difference,) = Replay(log, TOPICS, 0).run().differences
    assert difference.leaf_index == dropped.leaf_index
    assert difference.fields == (("entry", "none", "decision"),)


def test_another_input_gives_other_leaves(log: RecordedLog) -> None:
    log.change(REQUESTS_0, 0, lambda record: record._replace(value=b"junk"))
    replayed = Replay(log, TOPICS, 0).run()
    assert replayed.differences_count == 1
    assert "reasons" in [name for name, _, _ in replayed.differences[0].fields]


def test_less_input_than_leaves_differs(log: RecordedLog) -> None:
    log.drop(REQUESTS_0, -1)
    replayed = Replay(log, TOPICS, 0).run()
    assert (replayed.is_ok, replayed.differences_count) == (False, 1)
    assert replayed.differences[0].fields == (("entry", "decision", "none"),)


def test_a_replay_ends_where_it_is_told(log: RecordedLog) -> None:
    until = log.records[REQUESTS_0][4].offset
    replayed = Replay(log, TOPICS, 0, until=until).run()
    assert (replayed.is_ok, replayed.leaves) == (True, 4)
    assert replayed.next_offset <= until


def test_another_secret_is_refused(log: RecordedLog) -> None:
    with pytest.raises(ConfigInvalid, match="not the one that Genesis commits to"):
        Replay(log, TOPICS, 0, keys=derive_keys(bytes(32)))


def test_input_that_is_no_longer_kept_stops_it(log: RecordedLog) -> None:
    log.cut_before(REQUESTS_0, log.records[REQUESTS_0][3].offset)
    replayed = Replay(log, TOPICS, 0).run()
    assert (replayed.is_ok, replayed.leaves) == (False, 0)
    assert "no longer kept" in replayed.stopped


def test_nothing_decided_is_refused(log: RecordedLog) -> None:
    log.records[TopicPartition(TOPICS.lineage, 0)].clear()
    with pytest.raises(ConfigInvalid, match="nothing was decided yet"):
        Replay(log, TOPICS, 0)


def test_a_gate_that_decided_otherwise_is_caught(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    world.init()
    world.submit((b"L-1", b"x"), (b"L-1", b""))
    with planted("gate.core.admission", "if not value:", "if value == b'x':"):
        world.run()
    replayed = Replay(world.reader(), TOPICS, 0).run()
    assert replayed.differences_count == 2
