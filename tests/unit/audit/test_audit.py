"""Each claim of the audit: a sound gate has no finding, and every planted fault is named."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gate.adapters.memory import MemoryPartition, MemoryStateStore
from gate.audit.audit import audit, json_of, text_of
from gate.audit.findings import Fault
from gate.core.proof.checkpoint import note_key_id, read_note, signed_note
from gate.core.values import (
    APPROVED,
    AdmissionRecord,
    Decision,
    DecisionRecord,
    LineageEntry,
    LineageRecord,
)
from gate.core.wire.changelog import (
    encode_admission_record,
    is_admission_record,
    read_admission_record,
)
from gate.core.wire.entry import encode_entry, read_entry
from gate.core.wire.record import (
    encode_decision_record,
    encode_lineage_record,
    read_decision_record,
    read_lineage_record,
)
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition
from tests.builders import a_bundle, a_key, a_request, a_trust_root, an_activation
from tests.planted import planted
from tests.unit.audit.recorded_log import RecordedLog
from tests.worlds import TOPICS, EmbeddedWorld

APPROVED_0 = TopicPartition(TOPICS.approved, 0)
DENIED_0 = TopicPartition(TOPICS.denied, 0)
LINEAGE_0 = TopicPartition(TOPICS.lineage, 0)
QUARANTINE_0 = TopicPartition(TOPICS.quarantine, 0)
CHANGELOG_0 = TopicPartition(TOPICS.changelog, 0)
REQUESTS_0 = TopicPartition(TOPICS.requests, 0)

Found = tuple[Fault, str, int]


def findings(log: LogReader) -> list[Found]:
    """Fault, topic and leaf index of each finding."""
    result = audit(log, TOPICS, trust=a_trust_root())
    assert result.is_ok == (not result.findings)
    return [(item.fault, item.topic, item.leaf_index) for item in result.findings]


def decision(record: LogRecord) -> tuple[DecisionRecord, Decision]:
    found = read_decision_record(record.value or b"")
    entry = read_entry(found.entry)
    assert isinstance(entry, Decision)
    return found, entry


def leaf_of(record: LogRecord) -> int:
    return decision(record)[0].leaf_index


def lineage_change(**changes: object) -> Callable[[LogRecord], LogRecord]:
    def change(record: LogRecord) -> LogRecord:
        found = read_lineage_record(record.value or b"")
        return record._replace(value=encode_lineage_record(found._replace(**changes)))

    return change


def record_of(record: LogRecord) -> LineageRecord:
    return read_lineage_record(record.value or b"")


def admissions(log: RecordedLog) -> list[int]:
    """Positions of partition 0's admission records in its changelog."""
    return [
        position
        for position, record in enumerate(log.records[CHANGELOG_0])
        if is_admission_record(record.value or b"")
    ]


def test_a_sound_gate_has_no_finding_and_everything_is_counted(log: RecordedLog) -> None:
    result = audit(log, TOPICS, trust=a_trust_root())
    assert (result.is_ok, result.is_anchored, result.findings) == (True, True, ())
    document = json_of(result)
    assert document["totals"] == {
        "partitions": 2,
        "input_records": 35,
        "input_gone": 0,
        "entries": 37,
        "genesis": 2,
        "approved": 16,
        "denied": 11,
        "control": 8,
        "gaps": 0,
        "quarantined": 6,
        "keys": 16,
        "keys_approved_twice": 0,
        "checkpoints": sum(
            len(log.records[TopicPartition(TOPICS.lineage, number)]) for number in (0, 1)
        ),
        "pending": 0,
    }
    assert json.loads(json.dumps(document)) == document
    text = text_of(result)
    assert text.endswith("ok: nothing found\n")
    assert "denied by replay_conflict: 1" in text


def test_without_a_trust_root_the_result_says_what_was_taken_as_given(log: RecordedLog) -> None:
    result = audit(log, TOPICS, trust=None)
    assert (result.is_ok, result.is_anchored) == (True, False)
    assert "taken as given" in text_of(result)


def test_another_trust_root_than_the_auditors_is_found(log: RecordedLog) -> None:
    other = a_trust_root(issued_ms=1)
    result = audit(log, TOPICS, trust=other)
    assert {item.fault for item in result.findings} == {Fault.TRUST_ROOT_DIFFERS}
    assert len(result.findings) == 2


def test_a_newer_trust_root_judges_the_newest_checkpoint(log: RecordedLog) -> None:
    newest = {"version": 9, "previous": "00" * 32}
    assert audit(log, TOPICS, trust=a_trust_root(**newest)).is_ok
    keys = [
        {
            "key": a_key("checkpoint").public.hex(),
            "origins": ["acme.example/payments/"],
            "status": "revoked",
        }
    ]
    revoked = a_trust_root(**newest, checkpoint_keys=keys)
    result = audit(log, TOPICS, trust=revoked)
    assert {item.fault for item in result.findings} == {Fault.TRUST_ROOT_DIFFERS}


def test_a_gate_that_is_not_there_is_refused(log: RecordedLog) -> None:
    with pytest.raises(ConfigInvalid, match="check the gate's name"):
        audit(log, TOPICS._replace(denied="other.denied.v1"), trust=None)


# (a) every input record in exactly one entry


def test_an_input_record_that_was_changed_is_found(log: RecordedLog) -> None:
    leaf = leaf_of(log.records[DENIED_0][0])
    log.change(REQUESTS_0, 0, lambda record: record._replace(value=b"other"))
    assert findings(log) == [(Fault.INPUT_DIFFERS, TOPICS.requests, leaf)]


def test_an_input_record_whose_time_was_changed_is_found(log: RecordedLog) -> None:
    leaf = leaf_of(log.records[DENIED_0][0])
    log.change(REQUESTS_0, 0, lambda record: record._replace(append_time_ms=7))
    assert findings(log) == [(Fault.INPUT_DIFFERS, TOPICS.requests, leaf)]


def test_an_entry_for_a_record_that_was_never_there_is_found(log: RecordedLog) -> None:
    leaf = leaf_of(log.records[DENIED_0][0])
    log.drop(REQUESTS_0, 0)
    assert findings(log) == [(Fault.INPUT_UNKNOWN, TOPICS.requests, leaf)]


def test_a_record_that_the_gate_passed_over_is_found(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    world.init()
    world.submit((b"L-1", b"one"), (b"L-1", b"two"), (b"L-1", b"three"))
    with planted(
        "gate.core.lineage",
        "for record, prepared in keyed.items:",
        "for record, prepared in keyed.items[1:]:",
    ):
        world.run()
    result = audit(world.reader(), TOPICS, trust=a_trust_root())
    assert [(item.fault, item.offset) for item in result.findings] == [(Fault.INPUT_UNDECIDED, 0)]


def test_a_decision_under_another_record_key_is_found(log: RecordedLog) -> None:
    changed = log.change(APPROVED_0, 1, lambda record: record._replace(key=b"other"))
    assert findings(log) == [(Fault.INPUT_DIFFERS, TOPICS.approved, leaf_of(changed))]


def test_input_that_is_no_longer_kept_is_counted_not_found(log: RecordedLog) -> None:
    log.cut_before(REQUESTS_0, log.records[REQUESTS_0][5].offset)
    result = audit(log, TOPICS, trust=a_trust_root())
    assert (result.is_ok, result.partitions[0].input_gone) == (True, 5)
    assert "no longer kept" in text_of(result)


# (b) no key approved twice


class ForgetfulPartition(MemoryPartition):
    """A store that has lost every admission record, and does not know it."""

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return [None for _ in keys]


class ForgetfulStore(MemoryStateStore):
    def __init__(self) -> None:
        super().__init__()
        self._made = ForgetfulPartition()

    def open(self, partition: int) -> MemoryPartition:
        return self._made


def test_a_key_that_is_approved_twice_is_found(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    world.init()
    world.stores = ForgetfulStore()
    world.control(an_activation(a_bundle(), topic_id=world.topic_id))
    world.submit((b"L-1", a_request()), (b"L-2", a_request(loan_id="L-2")))
    world.run()
    world.submit((b"L-1", a_request(request_id="again")))
    world.run()
    result = audit(world.reader(), TOPICS, trust=a_trust_root())
    assert [(item.fault, item.leaf_index) for item in result.findings] == [
        (Fault.KEY_APPROVED_TWICE, 4)
    ]
    assert (result.keys, result.keys_approved_twice) == (2, 1)
    assert "partition 0 leaf 2" in result.findings[0].expected


def test_a_key_that_is_approved_in_two_partitions_is_found(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path, partitions=2)
    world.init()
    world.control(an_activation(a_bundle(), topic_id=world.topic_id))
    for number in (0, 1):
        world.submit((b"L-1", a_request()), partition=number)
    with planted(
        "gate.core.admission",
        "or partition_of(key, setting.partition_count) != setting.partition",
        "or partition_of(key, setting.partition_count) < 0",
    ):
        world.run()
    result = audit(world.reader(), TOPICS, trust=a_trust_root())
    assert [(item.fault, item.partition) for item in result.findings] == [
        (Fault.KEY_APPROVED_TWICE, 1)
    ]


# (d) indexes, topics, proofs, links


def test_a_decision_that_was_dropped_is_found(log: RecordedLog) -> None:
    dropped = log.drop(APPROVED_0, 2)
    assert findings(log) == [(Fault.LEAF_MISSING, TOPICS.lineage, leaf_of(dropped))]


def test_a_decision_that_stands_twice_is_found(log: RecordedLog) -> None:
    again = log.put(APPROVED_0, log.records[APPROVED_0][2])
    assert findings(log) == [(Fault.LEAF_TWICE, TOPICS.approved, leaf_of(again))]


def test_a_denial_in_the_approved_topic_is_found(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    world.init()
    world.submit((b"L-1", b""), (b"L-1", b""))
    with planted("gate.core.sealing", '"approved" if approved else "denied",', '"approved",'):
        world.run()
    assert findings(world.reader()) == [
        (Fault.WRONG_TOPIC, TOPICS.approved, 1),
        (Fault.WRONG_TOPIC, TOPICS.approved, 2),
    ]


def test_a_decision_in_another_partition_is_found(log: RecordedLog) -> None:
    moved = log.drop(APPROVED_0, 2)
    log.put(TopicPartition(TOPICS.approved, 1), moved)
    assert findings(log) == [
        (Fault.LEAF_MISSING, TOPICS.lineage, leaf_of(moved)),
        (Fault.PROOF_REFUSED, TOPICS.approved, leaf_of(moved)),
    ]


def test_an_entry_that_was_altered_is_found(log: RecordedLog) -> None:
    def alter(record: LogRecord) -> LogRecord:
        found, entry = decision(record)
        altered = found._replace(entry=encode_entry(entry._replace(actor="mallory")))
        return record._replace(value=encode_decision_record(altered))

    changed = log.change(APPROVED_0, 2, alter)
    assert findings(log) == [(Fault.PROOF_REFUSED, TOPICS.approved, leaf_of(changed))]


def test_an_ask_that_was_exchanged_is_found(log: RecordedLog) -> None:
    def alter(record: LogRecord) -> LogRecord:
        found = decision(record)[0]._replace(ask=b"another ask")
        return record._replace(value=encode_decision_record(found))

    changed = log.change(APPROVED_0, 2, alter)
    assert findings(log) == [(Fault.PROOF_REFUSED, TOPICS.approved, leaf_of(changed))]


@pytest.mark.parametrize("index", [0, 4, 10**9])
def test_a_decision_under_another_index_hides_none_behind_it(log: RecordedLog, index: int) -> None:
    right = leaf_of(log.records[APPROVED_0][2])

    def alter(record: LogRecord) -> LogRecord:
        found = decision(record)[0]._replace(leaf_index=index, tree_size=max(index * 2, 8))
        return record._replace(value=encode_decision_record(found))

    assert index != right
    log.change(APPROVED_0, 2, alter)
    assert sorted(fault.value for fault, _, _ in findings(log)) == ["leaf_missing", "proof_refused"]


def test_a_decision_signed_by_a_foreign_key_is_found(log: RecordedLog) -> None:
    def alter(record: LogRecord) -> LogRecord:
        found = decision(record)[0]
        foreign = a_key("mallory")
        key_id = note_key_id(found.log, foreign.public)
        signature = key_id + foreign.sign(b"anything")
        changed = found._replace(signatures=(signature,))
        return record._replace(value=encode_decision_record(changed))

    changed = log.change(DENIED_0, 1, alter)
    assert findings(log) == [(Fault.PROOF_REFUSED, TOPICS.denied, leaf_of(changed))]


def test_bytes_that_are_no_decision_are_found(log: RecordedLog) -> None:
    log.put(DENIED_0, LogRecord(0, 0, 0, True, None, b"junk"))
    assert findings(log) == [(Fault.UNREADABLE, TOPICS.denied, -1)]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    world.init()
    with planted(
        "gate.core.sealing",
        "prev_input_offset=judged.leaves[-1].input.offset",
        "prev_input_offset=-1",
    ):
        for _ in range(3):
            world.submit((b"L-1", b""))
            world.run()
    assert findings(world.reader()) == [
        (Fault.LINK_BROKEN, TOPICS.lineage, 2),
        (Fault.LINK_BROKEN, TOPICS.lineage, 3),
    ]


# (d) checkpoints


def test_a_lineage_record_that_is_missing_is_found(log: RecordedLog) -> None:
    dropped = record_of(log.drop(LINEAGE_0, 3))
    found = findings(log)
    assert found[0] == (Fault.LINEAGE_BROKEN, TOPICS.lineage, -1)
    assert dropped.prev_size > 0
    assert {fault for fault, _, _ in found} == {Fault.LINEAGE_BROKEN}


def test_lineage_records_that_were_swapped_are_found(log: RecordedLog) -> None:
    log.swap(LINEAGE_0, 2)
    found = findings(log)
    assert found.count((Fault.LINEAGE_BROKEN, TOPICS.lineage, -1)) >= 2


def test_a_lineage_record_that_stands_twice_is_found(log: RecordedLog) -> None:
    log.put(LINEAGE_0, log.records[LINEAGE_0][-1])
    assert findings(log) == [(Fault.LINEAGE_BROKEN, TOPICS.lineage, -1)]


def test_a_lineage_without_genesis_is_found(log: RecordedLog) -> None:
    log.drop(LINEAGE_0, 0)
    assert (Fault.GENESIS_DIFFERS, TOPICS.lineage, -1) in findings(log)


def test_an_empty_lineage_is_found(log: RecordedLog) -> None:
    log.records[LINEAGE_0].clear()
    assert (Fault.LINEAGE_BROKEN, TOPICS.lineage, -1) in findings(log)


def test_a_consistency_proof_that_does_not_hold_is_found(log: RecordedLog) -> None:
    log.change(LINEAGE_0, 3, lineage_change(consistency=bytes(32)))
    assert findings(log) == [(Fault.NOT_CONSISTENT, TOPICS.lineage, -1)]


def test_another_root_than_that_of_the_leaf_hashes_is_found(log: RecordedLog) -> None:
    log.change(LINEAGE_0, 3, lineage_change(root=bytes(32)))
    assert {fault for fault, _, _ in findings(log)} == {Fault.ROOT_DIFFERS, Fault.NOT_CONSISTENT}


def test_another_frontier_is_found(log: RecordedLog) -> None:
    found = record_of(log.records[LINEAGE_0][3])
    log.change(LINEAGE_0, 3, lineage_change(frontier=bytes(len(found.frontier))))
    assert {fault for fault, _, _ in findings(log)} == {Fault.ROOT_DIFFERS}


def test_a_leaf_hash_that_is_not_of_the_entry_is_found(log: RecordedLog) -> None:
    found = record_of(log.records[LINEAGE_0][3])
    log.change(LINEAGE_0, 3, lineage_change(leaf_hashes=bytes(32) + found.leaf_hashes[32:]))
    kinds = [fault for fault, _, _ in findings(log)]
    assert Fault.LEAF_DIFFERS in kinds
    assert Fault.ROOT_DIFFERS in kinds


def test_a_checkpoint_by_a_foreign_key_is_found(log: RecordedLog) -> None:
    note = read_note(record_of(log.records[LINEAGE_0][3]).checkpoint)
    mallory = a_key("mallory")
    key_id = note_key_id(note.origin, mallory.public)
    foreign = signed_note(note.body, note.origin, key_id, mallory.sign(note.body))
    log.change(LINEAGE_0, 3, lineage_change(checkpoint=foreign))
    assert findings(log) == [(Fault.NOT_SIGNED, TOPICS.lineage, -1)]


def test_a_checkpoint_of_another_record_is_found(log: RecordedLog) -> None:
    other = record_of(log.records[LINEAGE_0][2]).checkpoint
    log.change(LINEAGE_0, 3, lineage_change(checkpoint=other))
    assert findings(log) == [(Fault.ROOT_DIFFERS, TOPICS.lineage, -1)]


def test_offsets_that_do_not_continue_are_found(log: RecordedLog) -> None:
    log.change(LINEAGE_0, 3, lineage_change(first_offset=0))
    assert findings(log) == [(Fault.LINEAGE_BROKEN, TOPICS.lineage, -1)]


def test_a_decision_among_the_lineages_own_entries_is_found(log: RecordedLog) -> None:
    moved = log.drop(DENIED_0, 0)
    found, entry = decision(moved)
    position = next(
        number
        for number, record in enumerate(log.records[LINEAGE_0])
        if record_of(record).tree_size == found.tree_size
    )
    kept = record_of(log.records[LINEAGE_0][position])
    assert (kept.entries, entry.outcome == APPROVED) == ((), False)
    moved_in = (LineageEntry(found.leaf_index, found.entry),)
    log.change(LINEAGE_0, position, lineage_change(entries=moved_in))
    assert (Fault.WRONG_TOPIC, TOPICS.lineage, found.leaf_index) in findings(log)


# changelog


def test_a_changelog_record_that_is_missing_is_found(log: RecordedLog) -> None:
    position = admissions(log)[1]
    dropped = log.drop(CHANGELOG_0, position)
    leaf = read_admission_record(dropped.value or b"").leaf_index
    assert findings(log) == [(Fault.CHANGELOG_MISSING, TOPICS.changelog, leaf)]


def test_the_last_changelog_record_that_is_missing_is_found(log: RecordedLog) -> None:
    dropped = log.drop(CHANGELOG_0, admissions(log)[-1])
    leaf = read_admission_record(dropped.value or b"").leaf_index
    assert findings(log) == [(Fault.CHANGELOG_MISSING, TOPICS.changelog, leaf)]


def test_a_changelog_record_that_stands_twice_is_found(log: RecordedLog) -> None:
    again = log.put(CHANGELOG_0, log.records[CHANGELOG_0][admissions(log)[0]])
    leaf = read_admission_record(again.value or b"").leaf_index
    assert findings(log) == [(Fault.CHANGELOG_UNKNOWN, TOPICS.changelog, leaf)]


@pytest.mark.parametrize(
    "changes", [{"ask_sha256": bytes(32)}, {"input_offset": 0}, {"epoch": 2}, {"leaf_index": 3}]
)
def test_an_admission_record_that_differs_is_found(
    log: RecordedLog, changes: dict[str, object]
) -> None:
    def alter(record: LogRecord) -> LogRecord:
        found: AdmissionRecord = read_admission_record(record.value or b"")._replace(**changes)
        return record._replace(value=encode_admission_record(found))

    log.change(CHANGELOG_0, admissions(log)[1], alter)
    assert [fault for fault, _, _ in findings(log)] == [Fault.CHANGELOG_DIFFERS]


def test_an_admission_record_under_another_key_is_found(log: RecordedLog) -> None:
    log.change(CHANGELOG_0, admissions(log)[1], lambda r: r._replace(key=bytes(16)))
    assert [fault for fault, _, _ in findings(log)] == [Fault.CHANGELOG_DIFFERS]


@pytest.mark.parametrize("beginning", [b"genesis", b"root/1", b"root/2", b"policy/", b"bundle/"])
def test_a_control_part_that_was_exchanged_is_found(log: RecordedLog, beginning: bytes) -> None:
    records = log.records[CHANGELOG_0]
    position = next(
        number for number, record in enumerate(records) if (record.key or b"").startswith(beginning)
    )
    log.change(CHANGELOG_0, position, lambda r: r._replace(value=(r.value or b"")[:-1] + b"!"))
    kinds = {fault for fault, _, _ in findings(log)}
    expected = {b"root/1": Fault.TRUST_ROOT_DIFFERS, b"root/2": Fault.TRUST_ROOT_DIFFERS}
    assert expected.get(beginning, Fault.CHANGELOG_DIFFERS) in kinds


# quarantine


def test_a_quarantine_copy_that_is_missing_is_found(log: RecordedLog) -> None:
    dropped = log.drop(QUARANTINE_0, 1)
    leaf = int(dict(dropped.headers)["leaf-index"])
    assert findings(log) == [(Fault.QUARANTINE_MISSING, TOPICS.quarantine, leaf)]


def test_a_quarantine_copy_that_was_touched_is_found(log: RecordedLog) -> None:
    changed = log.change(QUARANTINE_0, 1, lambda record: record._replace(value=b"tidied up"))
    leaf = int(dict(changed.headers)["leaf-index"])
    assert findings(log) == [(Fault.QUARANTINE_DIFFERS, TOPICS.quarantine, leaf)]


def test_a_cut_quarantine_copy_that_was_touched_is_found(log: RecordedLog) -> None:
    where = TopicPartition(TOPICS.quarantine, 1)
    assert len(log.records[where][0].value or b"") == 4096
    log.change(where, 0, lambda record: record._replace(value=b"y" * 4096))
    assert [fault for fault, _, _ in findings(log)] == [Fault.QUARANTINE_DIFFERS]


def test_a_quarantine_copy_of_nothing_is_found(log: RecordedLog) -> None:
    headers = (("leaf-index", b"2"),)
    log.put(QUARANTINE_0, LogRecord(0, 0, 0, True, None, b"", headers))
    assert findings(log) == [(Fault.QUARANTINE_UNKNOWN, TOPICS.quarantine, 2)]


def test_a_quarantine_copy_with_another_reason_is_found(log: RecordedLog) -> None:
    def alter(record: LogRecord) -> LogRecord:
        headers = {**dict(record.headers), "reason": b"empty"}
        return record._replace(headers=tuple(headers.items()))

    log.change(QUARANTINE_0, 0, alter)
    assert [fault for fault, _, _ in findings(log)] == [Fault.QUARANTINE_DIFFERS]


def test_a_quarantine_copy_without_an_index_is_found(log: RecordedLog) -> None:
    log.put(QUARANTINE_0, LogRecord(0, 0, 0, True, None, b""))
    assert findings(log) == [(Fault.UNREADABLE, TOPICS.quarantine, -1)]


# what is not decided yet


def test_an_audit_beside_a_running_gate_finds_nothing(log: RecordedLog) -> None:
    """At whatever lineage record the audit begins, all that follows is pending."""
    for position, record in enumerate(log.records[LINEAGE_0]):
        if position == 0:
            continue
        running = copy.copy(log)
        running.open_from = {LINEAGE_0: record.offset}
        result = audit(running, TOPICS, trust=a_trust_root())
        assert result.findings == ()
        assert sum(result.partitions[0].pending.values()) > 0


def test_undecided_ends_of_other_topics_are_pending_not_missing(log: RecordedLog) -> None:
    log.open_from = {
        APPROVED_0: log.records[APPROVED_0][-1].offset,
        CHANGELOG_0: log.records[CHANGELOG_0][-1].offset,
        QUARANTINE_0: log.records[QUARANTINE_0][-1].offset,
    }
    result = audit(log, TOPICS, trust=a_trust_root())
    assert result.findings == ()
    assert result.partitions[0].pending == {
        "decisions": 1,
        "changelog": 0,
        "quarantine": 1,
        "input": 0,
    }


def test_progress_is_reported_for_every_topic(log: RecordedLog) -> None:
    seen = set()
    audit(log, TOPICS, trust=None, progress=lambda reached: seen.add(reached.partition.topic))
    assert seen == set(TOPICS)


def test_findings_are_safe_to_show(log: RecordedLog) -> None:
    log.change(LINEAGE_0, 3, lineage_change(log="acme\x1b[2Jevil"))
    text = text_of(audit(log, TOPICS, trust=None))
    assert "\x1b" not in text
    assert "\\x1b[2Jevil" in text


@pytest.mark.parametrize("size", [30, 2**62])
def test_sizes_that_nobody_signed_lead_nowhere(log: RecordedLog, size: int) -> None:
    """A forged lineage record neither moves the audit on nor keeps it from ending."""
    forged = lineage_change(prev_size=size, tree_size=size + 1, leaf_hashes=bytes(32), entries=())
    log.put(LINEAGE_0, forged(log.records[LINEAGE_0][-1]))
    assert findings(log) == [(Fault.LINEAGE_BROKEN, TOPICS.lineage, -1)]


def test_the_audit_shares_only_the_verifier_with_the_gate() -> None:
    code = (
        "import sys, gate.audit.audit;"
        "print(*sorted(name for name in sys.modules if name.startswith('gate.core.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = done.stdout.split()
    deciding = (
        "admission",
        "control",
        "genesis",
        "lineage",
        "policy",
        "sealing",
        "signals",
        "state",
    )
    assert "gate.core.proof.records" in loaded
    assert [name for name in loaded if name.split(".")[2] in deciding] == []
