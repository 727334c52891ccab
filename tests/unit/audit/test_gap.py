"""A Gap covers input that nobody decided; replay ends at it."""

from pathlib import Path

import pytest

from gate.audit.audit import audit
from gate.audit.findings import Fault
from gate.audit.replay import Replay
from gate.core.proof.checkpoint import checkpoint_body, note_key_id, signed_note
from gate.core.proof.merkle import append, frontier_bytes, leaf_hash, read_frontier
from gate.core.values import ControlStateRecord, Gap, LineageEntry, LineageRecord
from gate.core.wire.changelog import encode_control_state
from gate.core.wire.entry import encode_gap
from gate.core.wire.record import encode_lineage_record, read_lineage_record
from gate.ports import LogRecord, TopicPartition
from tests.builders import RUNTIME_LINE, a_key, a_trust_root
from tests.unit.audit.recorded_log import RecordedLog, recorded
from tests.worlds import TOPICS, EmbeddedWorld

REQUESTS = TopicPartition(TOPICS.requests, 0)
LINEAGE = TopicPartition(TOPICS.lineage, 0)
CHANGELOG = TopicPartition(TOPICS.changelog, 0)


def seal_gap(log: RecordedLog, gap: Gap) -> None:
    """Add a signed lineage record with this Gap as its only leaf, and its changelog part."""
    last = read_lineage_record(log.records[LINEAGE][-1].value or b"")
    before = read_frontier(last.tree_size, last.frontier)
    assert before is not None
    entry = encode_gap(gap)
    hashes = [leaf_hash(entry)]
    grown = append(before, hashes)
    body = checkpoint_body(last.log, grown.frontier.size, grown.root, RUNTIME_LINE)
    key = a_key("checkpoint")
    record = LineageRecord(
        log=last.log,
        prev_size=last.tree_size,
        tree_size=grown.frontier.size,
        root=grown.root,
        consistency=grown.consistency,
        frontier=frontier_bytes(grown.frontier),
        leaf_hashes=hashes[0],
        entries=(LineageEntry(last.tree_size, entry),),
        first_offset=last.next_offset,
        next_offset=gap.last_offset + 1,
        checkpoint=signed_note(body, last.log, note_key_id(last.log, key.public), key.sign(body)),
        target="",
    )
    part = ControlStateRecord(3, last.tree_size, -1, entry)
    name = f"gap/{last.tree_size}".encode()
    log.put(LINEAGE, LogRecord(0, 0, 0, True, None, encode_lineage_record(record)))
    log.put(CHANGELOG, LogRecord(0, 0, 0, True, name, encode_control_state(part)))


@pytest.fixture
def log(tmp_path: Path) -> RecordedLog:
    """Two records decided, two that no decision will ever cover."""
    world = EmbeddedWorld(tmp_path)
    world.init()
    world.submit((b"L-1", b"one"), (b"L-1", b"two"))
    world.run()
    world.submit((b"L-1", b"lost"), (b"L-1", b"lost too"))
    return recorded(world.reader(), TOPICS)


def test_what_a_gap_covers_is_in_exactly_one_entry(log: RecordedLog) -> None:
    seal_gap(log, Gap(2, 3, 1, "unreadable", b"order"))
    result = audit(log, TOPICS, trust=a_trust_root())
    counts = result.partitions[0]
    assert result.findings == ()
    assert (counts.gaps, counts.denied, counts.next_offset, counts.tree_size) == (1, 2, 4, 4)


def test_what_a_gap_leaves_out_is_found(log: RecordedLog) -> None:
    seal_gap(log, Gap(3, 3, 1, "unreadable", b"order"))
    result = audit(log, TOPICS, trust=a_trust_root())
    assert [(item.fault, item.offset) for item in result.findings] == [(Fault.INPUT_UNDECIDED, 2)]


def test_a_gap_over_what_was_decided_is_found(log: RecordedLog) -> None:
    seal_gap(log, Gap(1, 3, 0, "unreadable", b"order"))
    result = audit(log, TOPICS, trust=a_trust_root())
    kinds = [item.fault for item in result.findings]
    assert kinds == [Fault.LINK_BROKEN, Fault.INPUT_UNKNOWN]


def test_a_gap_that_does_not_link_is_found(log: RecordedLog) -> None:
    seal_gap(log, Gap(2, 3, 0, "unreadable", b"order"))
    result = audit(log, TOPICS, trust=a_trust_root())
    assert [item.fault for item in result.findings] == [Fault.LINK_BROKEN]


def test_a_gap_without_its_changelog_part_is_found(log: RecordedLog) -> None:
    seal_gap(log, Gap(2, 3, 1, "unreadable", b"order"))
    log.drop(CHANGELOG, -1)
    result = audit(log, TOPICS, trust=a_trust_root())
    assert [item.fault for item in result.findings] == [Fault.CHANGELOG_MISSING]


def test_a_replay_ends_at_a_gap_and_says_so(log: RecordedLog) -> None:
    seal_gap(log, Gap(2, 3, 1, "unreadable", b"order"))
    replayed = Replay(log, TOPICS, 0).run()
    assert (replayed.leaves, replayed.differences, replayed.stopped) == (2, (), "leaf 3 is a gap")
    assert not replayed.is_ok
