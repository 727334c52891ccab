"""Reading a topic is bounded, complete up to its end, and says how far it is."""

import pytest

from gate.audit.topics_reading import SLICE_RECORDS_MAX, Cursor, Head, Reached, record_at
from gate.errors import Unreachable
from gate.ports import Ends, LogRecord, ReadSlice, TopicIdentity, TopicPartition
from tests.unit.audit.recorded_log import RecordedLog

WHERE = TopicPartition("t", 0)


def a_log(count: int, *, first: int = 0, step: int = 2) -> RecordedLog:
    """Records at every second offset, with holes between."""
    records = [
        LogRecord(0, first + number * step, number, True, None, b"%d" % number)
        for number in range(count)
    ]
    end = first + count * step
    identity = TopicIdentity(topic_id="id", partition_count=1, settings={})
    return RecordedLog({"t": identity}, {WHERE: records}, {WHERE: Ends(first, end, end)})


def test_every_record_is_read_once_in_slices() -> None:
    log = a_log(2 * SLICE_RECORDS_MAX + 5)
    cursor = Cursor(log, WHERE)
    sizes = []
    while found := cursor.next_slice():
        sizes.append(len(found))
    assert sizes == [SLICE_RECORDS_MAX, SLICE_RECORDS_MAX, 5]
    assert list(Cursor(log, WHERE).records()) == log.records[WHERE]


def test_it_begins_and_ends_where_it_is_told() -> None:
    found = [record.offset for record in Cursor(a_log(10), WHERE, start=5, until=12).records()]
    assert found == [6, 8, 10]


def test_it_begins_with_the_first_record_kept() -> None:
    cursor = Cursor(a_log(3, first=7), WHERE)
    assert (cursor.first, [record.offset for record in cursor.records()]) == (7, [7, 9, 11])


def test_progress_reaches_the_end() -> None:
    seen: list[Reached] = []
    list(Cursor(a_log(3), WHERE, progress=seen.append).records())
    assert seen[-1] == Reached(WHERE, 6, 6)


def test_what_is_appended_later_is_left_out() -> None:
    log = a_log(3)
    cursor = Cursor(log, WHERE)
    log.put(WHERE, log.records[WHERE][0])
    assert len(list(cursor.records())) == 3
    assert not cursor.extend()


def test_an_undecided_end_can_be_asked_for_again() -> None:
    log = a_log(3)
    log.open_from = {WHERE: 4}
    cursor = Cursor(log, WHERE)
    assert [record.offset for record in cursor.records()] == [0, 2]
    assert not cursor.is_settled
    assert not cursor.extend()
    log.open_from = {}
    assert cursor.extend()
    assert [record.offset for record in cursor.records()] == [4]


def test_a_log_without_progress_is_given_up() -> None:
    class Stalled(RecordedLog):
        def read(self, partition: TopicPartition, *, offset: int, records_max: int) -> ReadSlice:
            return ReadSlice((), offset)

    log = a_log(1)
    stalled = Stalled({}, log.records, {WHERE: Ends(0, 2, 2)})
    with pytest.raises(Unreachable, match="no progress from offset 0 towards 2"):
        Cursor(stalled, WHERE).next_slice()


def test_a_head_is_seen_before_it_is_passed_and_unreadable_ones_are_not() -> None:
    head = Head(Cursor(a_log(4), WHERE), lambda r: None if r.value == b"1" else r.value)
    seen = []
    while (value := head.peek()) is not None:
        assert head.peek() == value
        seen.append(value)
        head.pop()
    assert seen == [b"0", b"2", b"3"]


def test_what_was_committed_while_reading_is_not_passed_over() -> None:
    """A slice may reach past the end that was asked for: an extended end includes it."""
    log = a_log(4)
    log.open_from = {WHERE: 2}
    cursor = Cursor(log, WHERE)
    log.open_from = {}
    assert [record.offset for record in cursor.records()] == [0]
    assert cursor.extend()
    assert [record.offset for record in cursor.records()] == [2, 4, 6]


def test_a_heads_offset_gives_another_head_the_same_items() -> None:
    def read(record: LogRecord) -> bytes | None:
        return None if record.value == b"1" else record.value

    log = a_log(5)
    head = Head(Cursor(log, WHERE), read)
    while True:
        other = Head(Cursor(log, WHERE, start=head.offset), read)
        assert other.peek() == head.peek()
        peeked = Head(Cursor(log, WHERE, start=head.offset), read)
        assert peeked.peek() == head.peek()
        if head.peek() is None:
            break
        head.pop()


def test_a_record_is_found_at_its_own_offset_only() -> None:
    log = a_log(3, first=4)
    found = [record_at(log, WHERE, offset) for offset in range(12)]
    assert [record.offset for record in found if record is not None] == [4, 6, 8]
