"""Copies are found by halving, and the newest without reading the oldest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.client.quarantine import find_copy, newest_copies, read_copy
from gate.ports import Ends, LogRecord, ReadSlice, TopicIdentity, TopicPartition
from tests.unit.audit.recorded_log import RecordedLog

TOPIC = "gate.quarantine.v1"
WHERE = TopicPartition(TOPIC, 0)


def a_copy(offset: int, leaf: int, value: bytes = b"v") -> LogRecord:
    headers = (
        ("leaf-index", b"%d" % leaf),
        ("reason", b"malformed"),
        ("input-position", b"o/r/0/1@%d" % (10 * leaf)),
    )
    return LogRecord(0, offset, 1_000 + offset, True, b"k", value, headers)


def a_log(records: list[LogRecord], *, first: int = 0) -> RecordedLog:
    end = records[-1].offset + 2 if records else first
    identity = TopicIdentity(topic_id="id", partition_count=1, settings={})
    return RecordedLog({TOPIC: identity}, {WHERE: records}, {WHERE: Ends(first, end, end)})


@given(
    leaves=st.lists(st.integers(0, 500), unique=True).map(sorted),
    steps=st.lists(st.integers(1, 20), min_size=1),
    foreign=st.sets(st.integers(0, 40)),
    asked=st.integers(0, 500),
)
def test_a_copy_is_found_if_and_only_if_it_is_there(
    leaves: list[int], steps: list[int], foreign: set[int], asked: int
) -> None:
    records, offset = [], 7
    for position, leaf in enumerate(leaves):
        if position in foreign:
            records.append(LogRecord(0, offset, 0, True, None, b"junk"))
            offset += 1
        records.append(a_copy(offset, leaf))
        offset += steps[position % len(steps)]
    log = a_log(records, first=7)
    for wanted in (asked, *leaves[:5]):
        by_leaf = find_copy(log, TOPIC, 0, leaf_index=wanted)
        by_offset = find_copy(log, TOPIC, 0, input_offset=10 * wanted)
        assert by_leaf == by_offset
        assert (None if by_leaf is None else by_leaf.leaf_index) == (
            wanted if wanted in leaves else None
        )


class CountingLog(RecordedLog):
    """Counts the records that were read."""

    count = 0

    def read(self, partition: TopicPartition, *, offset: int, records_max: int) -> ReadSlice:
        part = super().read(partition, offset=offset, records_max=records_max)
        self.count += len(part.records)
        return part


def test_neither_way_reads_the_whole_topic() -> None:
    records = [a_copy(2 * number, number) for number in range(50_000)]
    log = a_log(records)
    counting = CountingLog(log._topics, log.records, log._ends)
    assert find_copy(counting, TOPIC, 0, leaf_index=31_234) is not None
    assert counting.count < 200
    newest = newest_copies(counting, TOPIC, [0], limit=3)
    assert [copy.leaf_index for copy in newest] == [49_997, 49_998, 49_999]
    assert counting.count < 400


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("leaf-index", b"-1"), ("reason", b"empty"), ("input-position", b"o@1")),
        (("leaf-index", b"1"), ("reason", b"\xff"), ("input-position", b"o@1")),
        (("leaf-index", b"1"), ("reason", b"empty"), ("input-position", b"nothing")),
        (("leaf-index", b"9" * 20), ("reason", b"empty"), ("input-position", b"o@1")),
    ],
)
def test_headers_that_no_gate_wrote_are_no_copy(headers: tuple[tuple[str, bytes], ...]) -> None:
    assert read_copy(LogRecord(0, 0, 0, True, None, b"v", headers)) is None
