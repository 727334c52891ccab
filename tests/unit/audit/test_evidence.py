"""Evidence: decisions are found by name, their files verify, and are decided again."""

from collections.abc import Callable

import pytest

from gate.audit.decide_again import decide_again
from gate.audit.evidence import Match, build_evidence, find_decisions
from gate.core.proof.evidence import Evidence, InputRecord, encode_evidence
from gate.core.proof.verdict import RefusalCode, Refused, Status, Verified
from gate.core.proof.verify import verify_evidence
from gate.core.reasons import Code
from gate.core.values import DecisionRecord
from gate.core.wire.entry import encode_entry
from gate.core.wire.record import encode_decision_record, read_decision_record
from gate.errors import ConfigInvalid
from gate.ports import LogRecord, TopicPartition
from tests.builders import a_trust_root
from tests.unit.audit.recorded_log import RecordedLog
from tests.worlds import TOPICS

REQUESTS_0 = TopicPartition(TOPICS.requests, 0)
LINEAGE_0 = TopicPartition(TOPICS.lineage, 0)
APPROVED_0 = TopicPartition(TOPICS.approved, 0)


def every_decision(log: RecordedLog) -> list[Match]:
    found = []
    for topic in (TOPICS.approved, TOPICS.denied):
        for partition in (0, 1):
            for record in log.records[TopicPartition(topic, partition)]:
                kept = read_decision_record(record.value or b"")
                found += find_decisions(log, TOPICS, f"{kept.log}#{kept.leaf_index}")
    return found


def the_one(log: RecordedLog, request_id: str) -> Match:
    (match,) = find_decisions(log, TOPICS, request_id)
    return match


def verified(evidence: Evidence) -> Verified | Refused:
    return verify_evidence(encode_evidence(evidence), a_trust_root(), decide_again=decide_again)


def test_every_decision_is_found_by_its_own_name_and_once(log: RecordedLog) -> None:
    found = every_decision(log)
    assert len(found) == len({match.reference for match in found}) == 27


def test_every_decision_of_a_request_is_listed(log: RecordedLog) -> None:
    assert len(find_decisions(log, TOPICS, "r-1")) == 16
    assert the_one(log, "again").entry.reasons[0].code is Code.REPLAYED


@pytest.mark.parametrize(
    "reference",
    ["none", "", "acme.example/payments/payments.requests.v1/0/1#999", "a/b/c/0/1#1", "r-1#1"],
)
def test_what_is_not_there_is_not_found(log: RecordedLog, reference: str) -> None:
    assert find_decisions(log, TOPICS, reference) == ()


@pytest.mark.parametrize("is_later", [False, True])
def test_every_decision_verifies_and_is_decided_again(log: RecordedLog, is_later: bool) -> None:
    for match in every_decision(log):
        result = verified(build_evidence(log, TOPICS, match, is_later=is_later))
        assert isinstance(result, Verified), (match.reference, result)
        assert (result.status, result.entry) == (Status.SIGNED, match.entry)
        is_refused_control = match.entry.reasons[0].code is Code.CONTROL_REJECTED
        assert result.re_decided == (not is_refused_control)


def test_a_later_checkpoint_is_the_newest(log: RecordedLog) -> None:
    result = verified(build_evidence(log, TOPICS, the_one(log, "early"), is_later=True))
    assert isinstance(result, Verified)
    assert result.tree_size == 23


def test_the_newest_decision_has_no_later_checkpoint(log: RecordedLog) -> None:
    (match,) = find_decisions(log, TOPICS, "acme.example/payments/payments.requests.v1/0/1#22")
    assert build_evidence(log, TOPICS, match, is_later=True).later == ()


def test_input_that_is_no_longer_kept_is_left_out_and_nothing_decided_again(
    log: RecordedLog,
) -> None:
    match = the_one(log, "again")
    log.cut_before(REQUESTS_0, match.entry.input_offset + 1)
    evidence = build_evidence(log, TOPICS, match)
    result = verified(evidence)
    assert isinstance(result, Verified)
    assert (evidence.input, result.re_decided) == (None, False)


@pytest.mark.parametrize("missing", ["control", "policy", "input"])
def test_without_an_attachment_nothing_is_decided_again(log: RecordedLog, missing: str) -> None:
    match = the_one(log, "large")
    evidence = build_evidence(log, TOPICS, match)
    assert getattr(evidence, missing) is not None
    assert decide_again(match.entry, evidence) == match.record.entry
    assert decide_again(match.entry, evidence._replace(**{missing: None})) is None


def test_an_engine_of_another_name_is_not_decided_again(log: RecordedLog) -> None:
    match = the_one(log, "large")
    evidence = build_evidence(log, TOPICS, match)
    assert decide_again(match.entry._replace(engine="gate-engine/2"), evidence) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry._replace(actor_verified=not entry.actor_verified),
        lambda entry: entry._replace(evaluated=()),
        lambda entry: entry._replace(expires_ms=entry.expires_ms + 1),
        lambda entry: entry._replace(admission_key=entry.admission_key + b"x"),
        lambda entry: entry._replace(constraints=()),
    ],
)
def test_a_gate_that_lied_in_a_signed_entry_is_caught(
    log: RecordedLog, change: Callable[..., object]
) -> None:
    (match,) = find_decisions(log, TOPICS, "acme.example/payments/payments.requests.v1/0/1#4")
    evidence = build_evidence(log, TOPICS, match)
    lie = change(match.entry)
    assert decide_again(lie, evidence) != encode_entry(lie)  # type: ignore[arg-type]
    assert decide_again(match.entry, evidence) == encode_entry(match.entry)


def test_another_input_is_refused_by_the_verifier(log: RecordedLog) -> None:
    evidence = build_evidence(log, TOPICS, the_one(log, "again"))
    result = verified(evidence._replace(input=InputRecord(b"L-1", b"other")))
    assert isinstance(result, Refused)
    assert result.code is RefusalCode.INPUT_MISMATCH


def test_a_record_that_proves_nothing_gives_no_file(log: RecordedLog) -> None:
    match = the_one(log, "again")
    for changes in ({"inclusion_path": b""}, {"signatures": ()}):
        broken = match._replace(record=match.record._replace(**changes))
        with pytest.raises(ConfigInvalid, match="proves nothing"):
            build_evidence(log, TOPICS, broken)


def test_a_hole_in_the_lineage_gives_no_later_checkpoint(log: RecordedLog) -> None:
    match = the_one(log, "early")
    log.drop(LINEAGE_0, 3)
    with pytest.raises(ConfigInvalid, match="run the audit"):
        build_evidence(log, TOPICS, match, is_later=True)


def test_several_signatures_are_all_in_the_note(log: RecordedLog) -> None:
    match = the_one(log, "again")
    other = b"\x01\x02\x03\x04" + bytes(64)
    record = match.record._replace(signatures=(*match.record.signatures, other))
    result = verified(build_evidence(log, TOPICS, match._replace(record=record)))
    assert isinstance(result, Verified)


def test_records_that_can_not_be_read_are_passed_over(log: RecordedLog) -> None:
    def garbled(record: LogRecord) -> LogRecord:
        found: DecisionRecord = read_decision_record(record.value or b"")
        return record._replace(value=encode_decision_record(found._replace(entry=b"r-1")))

    log.change(APPROVED_0, 0, garbled)
    assert len(find_decisions(log, TOPICS, "r-1")) == 15
