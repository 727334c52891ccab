"""Entries are shown safely, and differences field by field."""

import pytest

from gate.audit.show import differing_fields, entry_text
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Control, Decision, Entry, Evaluated, First, Gap
from gate.core.wire.entry import encode_entry, read_entry
from gate.core.wire.record import read_decision_record, read_lineage_record
from gate.ports import TopicPartition
from tests.unit.audit.recorded_log import RecordedLog
from tests.worlds import TOPICS


@pytest.fixture
def entry(recorded_once: RecordedLog) -> Decision:
    record = recorded_once.records[TopicPartition(TOPICS.approved, 0)][0]
    found = read_entry(read_decision_record(record.value or b"").entry)
    assert isinstance(found, Decision)
    return found


def test_a_decision_is_shown_a_line_a_field(entry: Decision) -> None:
    lines = entry_text(entry).splitlines()
    assert lines[0] == "entry: decision"
    assert "outcome: approved" in lines
    assert "constraints: max_amount=15000" in lines
    assert "reasons: approved by rule prime" in lines
    assert not [line for line in lines if line.startswith("first:")]


def test_no_text_of_an_entry_moves_the_cursor(entry: Decision) -> None:
    hostile = "a\x1b[2J\u202eb"
    shown = entry_text(
        entry._replace(
            actor=hostile,
            first=First(1, 2, 3),
            reasons=(Reason(Code.FORBIDDEN, Phase.EVALUATE, hostile, hostile, hostile),),
            evaluated=(Evaluated(hostile, hostile, (hostile, hostile)),),
            constraints=((hostile, hostile),),
        )
    )
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "first: epoch=1 leaf_index=2 input_offset=3" in shown.splitlines()


def test_other_entries_are_shown_too(recorded_once: RecordedLog) -> None:
    records = recorded_once.records[TopicPartition(TOPICS.lineage, 0)]
    entries = [
        read_entry(item.entry)
        for record in records
        for item in read_lineage_record(record.value or b"").entries
    ]
    texts = [entry_text(item) for item in entries]
    assert "limits: array_items_max=256" in texts[0]
    assert "kind: policy enforced" in texts[1]
    assert "kind: trust root" in texts[2]
    assert "order: 5 bytes" in entry_text(Gap(1, 2, 0, "unreadable", b"order"))


def test_only_what_differs_is_named(entry: Decision) -> None:
    other = entry._replace(actor="bob", outcome=0)
    found = differing_fields(encode_entry(entry), encode_entry(other))
    assert found == [("actor", entry.actor, "bob"), ("outcome", "approved", "denied")]
    assert differing_fields(encode_entry(entry), encode_entry(entry)) == []


def test_kinds_missing_and_unreadable_entries_differ_as_a_whole(entry: Decision) -> None:
    control: Entry = Control(1, 1, 0, 0, bytes(32), "acme", "2", 0, bytes(32), 0, ("a",))
    data = encode_entry(entry)
    assert differing_fields(data, encode_entry(control)) == [("entry", "decision", "control")]
    assert differing_fields(None, data) == [("entry", "none", "decision")]
    ((name, left, right),) = differing_fields(b"junk\x1b", data)
    assert (name, right) == ("entry", "decision")
    assert left.startswith("unreadable: ")
