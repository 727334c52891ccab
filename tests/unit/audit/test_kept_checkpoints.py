"""A kept checkpoint shows what the topics alone can not: that their last records are gone."""

import copy
from hashlib import sha256

import pytest

from gate.audit.audit import AuditResult, audit, json_of
from gate.audit.findings import Fault
from gate.core.proof.checkpoint import Note, read_note
from gate.core.proof.merkle import EMPTY, append, leaf_hash
from gate.core.wire.changelog import (
    is_admission_record,
    read_admission_record,
    read_control_state,
)
from gate.core.wire.record import read_decision_record, read_lineage_record
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition
from tests.builders import a_trust_root
from tests.planted import planted
from tests.unit.audit.recorded_log import RecordedLog
from tests.worlds import TOPICS

LINEAGE_0 = TopicPartition(TOPICS.lineage, 0)


def notes_of(log: RecordedLog) -> list[Note]:
    """The checkpoint of every transaction of partition 0."""
    found = [read_lineage_record(record.value or b"") for record in log.records[LINEAGE_0]]
    return [read_note(record.checkpoint) for record in found]


def an_audit(log: LogReader, *notes: Note) -> AuditResult:
    return audit(log, TOPICS, trust=a_trust_root(), notes=notes)


def faults(result: AuditResult) -> list[Fault]:
    return [item.fault for item in result.findings]


def leaf_index(topic: str, record: LogRecord) -> int:
    value = record.value or b""
    if topic == TOPICS.changelog:
        read = read_admission_record if is_admission_record(value) else read_control_state
        return read(value).leaf_index
    if topic == TOPICS.quarantine:
        return int(dict(record.headers)["leaf-index"])
    return read_decision_record(value).leaf_index


def without_last_transaction(log: RecordedLog) -> RecordedLog:
    """Take partition 0's last transaction out of every topic."""
    shorter = copy.deepcopy(log)
    last = read_lineage_record(shorter.records[LINEAGE_0].pop().value or b"")
    for topic in (TOPICS.approved, TOPICS.denied, TOPICS.changelog, TOPICS.quarantine):
        where = TopicPartition(topic, 0)
        shorter.records[where] = [
            record
            for record in shorter.records[where]
            if leaf_index(topic, record) < last.prev_size
        ]
    return shorter


def test_last_transactions_that_are_gone_are_found_with_a_kept_checkpoint_only(
    log: RecordedLog,
) -> None:
    shorter, newest = without_last_transaction(log), notes_of(log)[-1]
    assert an_audit(shorter).is_ok
    result = an_audit(shorter, newest)
    assert faults(result) == [Fault.KEPT_CHECKPOINT_MISSING]
    assert result.findings[0].expected == (
        f"root {newest.root.hex()} at size {newest.size} of `{newest.origin}`, as it was kept"
    )


def test_every_checkpoint_that_was_given_out_is_consistent(log: RecordedLog) -> None:
    assert an_audit(log, *notes_of(log)).is_ok


def hashes_of(log: RecordedLog) -> list[bytes]:
    found = [read_lineage_record(record.value or b"") for record in log.records[LINEAGE_0]]
    data = b"".join(record.leaf_hashes for record in found)
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def test_a_size_within_a_transaction_is_compared_as_well(log: RecordedLog) -> None:
    hashes, first = hashes_of(log), notes_of(log)[0]
    for size in range(1, len(hashes) + 1):
        root = append(EMPTY, hashes[:size]).root
        assert an_audit(log, first._replace(size=size, root=root)).is_ok, size
        other = first._replace(size=size, root=sha256(root).digest())
        assert faults(an_audit(log, other)) == [Fault.KEPT_CHECKPOINT_DIFFERS], size


def test_a_checkpoint_of_another_epoch_differs(log: RecordedLog) -> None:
    note = notes_of(log)[-1]
    other = note._replace(origin=note.origin.removesuffix("/1") + "/2")
    assert faults(an_audit(log, other)) == [Fault.KEPT_CHECKPOINT_DIFFERS]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"origin": "acme.example/other/other.requests.v1/0/1"}, "found log"),
        ({"origin": "acme.example/payments/payments.requests.v1/9/1"}, "partitions 0, 1"),
        ({"size": 0}, "proves nothing"),
    ],
)
def test_a_checkpoint_that_is_none_of_this_gate_is_refused(
    log: RecordedLog, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigInvalid, match=expected):
        an_audit(log, notes_of(log)[0]._replace(**changes))


def test_without_the_comparison_nothing_would_be_found(log: RecordedLog) -> None:
    shorter, newest = without_last_transaction(log), notes_of(log)[-1]
    with planted("gate.audit.partition_audit", "self._notes.finish(size)", "pass"):
        assert an_audit(shorter, newest).is_ok
    forged = newest._replace(root=leaf_hash(b"other"))
    with planted("gate.audit.kept_checkpoints", "if root != note.root or", "if"):
        assert an_audit(log, forged).is_ok


def test_the_result_gives_the_notes_to_keep(log: RecordedLog) -> None:
    given = json_of(an_audit(log))["checkpoints"]
    assert isinstance(given, list)
    texts = [read_lineage_record(r.value or b"").checkpoint for r in log.records[LINEAGE_0]]
    assert given[0]["note"] == texts[-1]


def test_partitions_that_were_left_out_are_said(log: RecordedLog) -> None:
    result = audit(log, TOPICS, trust=a_trust_root(), partitions=[1])
    assert result.is_ok
    assert [counts.partition for counts in result.partitions] == [1]
    assert json_of(result)["partition_count"] == 2
