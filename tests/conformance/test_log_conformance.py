"""What every implementation of the log's ports promises; `harness.py` builds each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gate.errors import Fenced, Lost, TransactionAborted, Unreadable
from gate.ports import (
    Ends,
    LogRecord,
    OffsetCommit,
    OutputRecord,
    TopicIdentity,
    TopicPartition,
    TopicSpec,
)
from tests.conformance.harness import (
    APPROVED,
    CHANGELOG,
    GROUP,
    PARTITION_COUNT,
    REQUESTS,
    SETTINGS,
    EmbeddedHarness,
    Harness,
    KafkaHarness,
    SimulatedHarness,
)
from tests.kafka.local import kafka

__all__ = ["kafka"]


@pytest.fixture(params=["embedded", "simulated", pytest.param("kafka", marks=pytest.mark.kafka)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    made: Harness
    if request.param == "kafka":
        made = KafkaHarness(request.getfixturevalue("kafka").bootstrap)
    elif request.param == "embedded":
        made = EmbeddedHarness(tmp_path)
    else:
        made = SimulatedHarness()
    reason = made.left_out.get(request.node.originalname)
    if reason is not None:
        pytest.xfail(reason)
    made.make_topics()
    yield made
    made.close()


def request(number: int, partition: int = 0) -> OutputRecord:
    return OutputRecord(REQUESTS, partition, b"key %d" % number, b"value %d" % number)


def approval(number: int, partition: int = 0) -> OutputRecord:
    return OutputRecord(APPROVED, partition, b"key %d" % number, b"value %d" % number)


def values(records: list[LogRecord]) -> list[bytes | None]:
    return [record.value for record in records]


# --- transactions


def test_a_committed_transaction_is_visible_in_every_partition(log: Harness) -> None:
    log.commit(log.opened(), [approval(1), approval(2, 2), approval(3), approval(4, 2)])

    assert values(log.everything(APPROVED, 0)) == [b"value 1", b"value 3"]
    assert values(log.everything(APPROVED, 1)) == []
    assert values(log.everything(APPROVED, 2)) == [b"value 2", b"value 4"]


def test_an_open_transaction_is_invisible(log: Harness) -> None:
    output = log.opened()
    output.begin()
    output.produce(approval(1))

    assert log.everything(APPROVED, 0) == []
    output.commit()
    assert values(log.everything(APPROVED, 0)) == [b"value 1"]


def test_an_aborted_transaction_is_never_visible(log: Harness) -> None:
    member, output = log.joined(), log.opened()
    output.begin()
    output.produce(approval(1))
    output.send_offsets([OffsetCommit(0, 7, "aborted")], member.group_identity())
    output.abort()
    log.commit(output, [approval(2)], [OffsetCommit(1, 8, "kept")], member.group_identity())

    assert values(log.everything(APPROVED, 0)) == [b"value 2"]
    assert log.reader().committed(GROUP, REQUESTS, [0, 1]) == {
        0: None,
        1: OffsetCommit(1, 8, "kept"),
    }


def test_abort_without_a_transaction_does_nothing(log: Harness) -> None:
    output = log.opened()
    output.abort()
    log.commit(output, [approval(1)])
    output.abort()

    assert values(log.everything(APPROVED, 0)) == [b"value 1"]


def test_a_transaction_left_open_by_a_dead_process_is_aborted_by_its_successor(
    log: Harness,
) -> None:
    dead = log.opened()
    dead.begin()
    dead.produce(approval(1))

    log.commit(log.opened(), [approval(2)])

    assert values(log.everything(APPROVED, 0)) == [b"value 2"]
    ends = log.reader().ends([TopicPartition(APPROVED, 0)])[TopicPartition(APPROVED, 0)]
    assert ends.last_stable == ends.high_watermark


def test_offsets_and_metadata_come_with_the_records(log: Harness) -> None:
    member, output = log.joined(), log.opened()
    offsets = [OffsetCommit(0, 5, "target of 0"), OffsetCommit(2, 9, "target of 2")]
    output.begin()
    output.produce(approval(1))
    output.send_offsets(offsets, member.group_identity())
    output.commit()

    assert log.reader().committed(GROUP, REQUESTS, [0, 1, 2]) == {
        0: offsets[0],
        1: None,
        2: offsets[1],
    }


def test_metadata_of_4095_characters_is_kept(log: Harness) -> None:
    member, output = log.joined(), log.opened()
    offset = OffsetCommit(0, 1, "x" * 4095)
    log.commit(output, [], [offset], member.group_identity())

    assert log.reader().committed(GROUP, REQUESTS, [0]) == {0: offset}


def test_a_later_commit_replaces_an_offset_also_backwards(log: Harness) -> None:
    member, output = log.joined(), log.opened()
    for next_offset in (5, 9, 2):
        offset = OffsetCommit(0, next_offset, str(next_offset))
        log.commit(output, [], [offset], member.group_identity())

    assert log.reader().committed(GROUP, REQUESTS, [0]) == {0: OffsetCommit(0, 2, "2")}


def test_a_transaction_leaves_a_hole_where_its_marker_is(log: Harness) -> None:
    output = log.opened()
    log.commit(output, [approval(1), approval(2)])
    log.commit(output, [approval(3)])

    assert [record.offset for record in log.everything(APPROVED, 0)] == [0, 1, 3]
    where = TopicPartition(APPROVED, 0)
    assert log.reader().ends([where]) == {where: Ends(0, 5, 5)}


def test_a_record_for_an_unknown_partition_aborts_the_transaction(log: Harness) -> None:
    output = log.opened()
    for record in (approval(1, PARTITION_COUNT), approval(1)._replace(topic="unknown")):
        output.begin()
        output.produce(approval(2))
        with pytest.raises(TransactionAborted):
            output.produce(record)
        output.abort()

    assert log.everything(APPROVED, 0) == []


# --- fencing


def test_a_newer_process_fences_the_producer(log: Harness) -> None:
    member, old = log.joined(), log.opened()
    old.begin()
    old.produce(approval(1))
    old.send_offsets([OffsetCommit(0, 3, "")], member.group_identity())
    log.opened()

    with pytest.raises(Fenced):
        old.commit()

    assert log.everything(APPROVED, 0) == []
    assert log.reader().committed(GROUP, REQUESTS, [0]) == {0: None}


def test_a_fenced_producer_never_commits_again(log: Harness) -> None:
    old = log.opened()
    log.opened()

    with pytest.raises(Fenced):
        log.commit(old, [approval(1)])

    assert log.everything(APPROVED, 0) == []


def test_producers_of_other_ids_do_not_fence_each_other(log: Harness) -> None:
    first = log.opened("gate.0")
    second = log.opened("gate.1")
    log.commit(first, [approval(1)])
    log.commit(second, [approval(2)])

    assert values(log.everything(APPROVED, 0)) == [b"value 1", b"value 2"]


def test_renew_discards_what_was_open_and_goes_on(log: Harness) -> None:
    output = log.opened()
    output.begin()
    output.produce(approval(1))
    output.renew()
    log.commit(output, [approval(2)])

    assert values(log.everything(APPROVED, 0)) == [b"value 2"]


def test_offsets_of_a_replaced_member_are_refused_with_the_records(log: Harness) -> None:
    old, output = log.joined(), log.opened()
    identity = old.group_identity()
    log.joined()

    with pytest.raises((Fenced, TransactionAborted)):
        log.commit(output, [approval(1)], [OffsetCommit(0, 3, "")], identity)

    assert log.everything(APPROVED, 0) == []
    assert log.reader().committed(GROUP, REQUESTS, [0]) == {0: None}


def test_a_replaced_member_is_fenced_at_its_next_poll(log: Harness) -> None:
    old = log.joined()
    log.joined()

    with pytest.raises(Fenced):
        old.poll(records_max=1, timeout_ms=0)


def test_a_member_has_a_generation_and_an_id_once_it_polled(log: Harness) -> None:
    member = log.input()
    before = member.group_identity()
    member.poll(records_max=1, timeout_ms=0)
    after = member.group_identity()

    assert (before.group_id, before.generation, before.member_id) == (GROUP, -1, "")
    assert after.generation >= 0
    assert after.member_id != ""


def test_a_group_is_empty_before_joining_and_after_leaving(log: Harness) -> None:
    reader = log.reader()
    assert reader.group_is_empty(GROUP)
    member = log.joined()
    assert not reader.group_is_empty(GROUP)
    member.close()
    assert reader.group_is_empty(GROUP)


# --- input


def test_an_assigned_partition_is_paused_until_resumed(log: Harness) -> None:
    log.publisher().publish([request(1), request(2, 1)])
    member = log.joined()
    assert member.poll(records_max=10, timeout_ms=0) == ((), (), [])

    member.resume(1, offset=0)
    assert values(list(member.poll(records_max=10, timeout_ms=0).records)) == [b"value 2"]
    member.resume(0, offset=0)
    assert values(list(member.poll(records_max=10, timeout_ms=0).records)) == [b"value 1"]


def test_polls_deliver_each_record_once_in_the_order_of_its_partition(log: Harness) -> None:
    published = [request(number, number % PARTITION_COUNT) for number in range(50)]
    log.publisher().publish(published)
    member = log.joined()
    for partition in range(PARTITION_COUNT):
        member.resume(partition, offset=0)
    found: list[LogRecord] = []
    while records := member.poll(records_max=7, timeout_ms=0).records:
        assert len(records) <= 7
        found += records

    for partition in range(PARTITION_COUNT):
        expected = [record.value for record in published if record.partition == partition]
        of_partition = [record for record in found if record.partition == partition]
        assert values(of_partition) == expected
        assert [record.offset for record in of_partition] == list(range(len(expected)))


def test_a_busy_partition_does_not_starve_the_others(log: Harness) -> None:
    log.publisher().publish([request(number, 0) for number in range(50)] + [request(99, 1)])
    member = log.joined()
    member.resume(0, offset=0)
    member.resume(1, offset=0)
    found = [member.poll(records_max=5, timeout_ms=0).records for _ in range(2)]

    assert b"value 99" in values([record for records in found for record in records])


def test_resume_repositions_a_running_partition(log: Harness) -> None:
    log.publisher().publish([request(number) for number in range(5)])
    member = log.joined()
    member.resume(0, offset=3)
    first = member.poll(records_max=10, timeout_ms=0).records
    member.resume(0, offset=1)
    again = member.poll(records_max=2, timeout_ms=0).records

    assert [record.offset for record in first] == [3, 4]
    assert [record.offset for record in again] == [1, 2]


def test_pause_stops_delivery(log: Harness) -> None:
    log.publisher().publish([request(1), request(2)])
    member = log.joined()
    member.resume(0, offset=0)
    member.poll(records_max=1, timeout_ms=0)
    member.pause(0)

    assert member.poll(records_max=1, timeout_ms=0).records == []


def test_poll_passes_markers_and_waits_no_longer_than_told(log: Harness) -> None:
    publisher = log.publisher()
    publisher.publish([request(1)], transactional_id="sender")
    publisher.publish([request(2)], transactional_id="sender")
    member = log.joined()
    member.resume(0, offset=0)
    found = member.poll(records_max=10, timeout_ms=0).records
    before_ms = log.clock.monotonic_ms()
    empty = member.poll(records_max=10, timeout_ms=100).records

    assert [record.offset for record in found] == [0, 2]
    assert empty == []
    assert 100 <= log.clock.monotonic_ms() - before_ms <= 110


def test_poll_below_the_first_offset_raises_lost(log: Harness) -> None:
    log.publisher().publish([request(number) for number in range(5)])
    log.truncate(TopicPartition(REQUESTS, 0), 3)
    member = log.joined()
    member.resume(0, offset=2)

    with pytest.raises(Lost):
        member.poll(records_max=1, timeout_ms=0)


def test_a_poll_that_fails_has_consumed_nothing(log: Harness) -> None:
    log.publisher().publish([request(0, 0), request(1, 1), request(2, 2)])
    log.damage(TopicPartition(REQUESTS, 1), 0)
    member = log.joined()
    for number in range(PARTITION_COUNT):
        member.resume(number, offset=0)
    for _ in range(PARTITION_COUNT):
        with pytest.raises(Unreadable) as damage:
            member.poll(records_max=10, timeout_ms=0)
        assert (damage.value.partition, damage.value.offset) == (1, 0)
    member.pause(1)

    found = member.poll(records_max=10, timeout_ms=0).records

    assert sorted(values(found)) == [b"value 0", b"value 2"]


def test_what_lies_before_a_damaged_record_is_delivered(log: Harness) -> None:
    log.publisher().publish([request(number) for number in range(4)])
    log.damage(TopicPartition(REQUESTS, 0), 2)
    member = log.joined()
    member.resume(0, offset=0)

    found = member.poll(records_max=10, timeout_ms=0).records

    assert values(found) == [b"value 0", b"value 1"]
    with pytest.raises(Unreadable) as damage:
        member.poll(records_max=10, timeout_ms=0)
    assert (damage.value.partition, damage.value.offset) == (0, 2)


# --- reading


def test_a_record_comes_back_whole(log: Harness) -> None:
    big = bytes(range(256)) * 1024
    headers = (("gate-leaf", b"17"), ("gate-leaf", b""), ("grün", b"\x00\xff"))
    sent = [
        OutputRecord(CHANGELOG, 1, None, None),
        OutputRecord(CHANGELOG, 1, b"", b""),
        OutputRecord(CHANGELOG, 1, b"\x00" * 16, big, headers),
    ]
    before_ms = log.clock.now_ms()
    log.commit(log.opened(), sent)
    after_ms = log.clock.now_ms()

    found = log.everything(CHANGELOG, 1)
    assert [record[0:2] + record[3:] for record in found] == [
        (1, 0, True, None, None, ()),
        (1, 1, True, b"", b"", ()),
        (1, 2, True, b"\x00" * 16, big, headers),
    ]
    assert all(type(record.is_append_time) is bool for record in found)
    assert all(before_ms <= record.append_time_ms <= after_ms for record in found)


def test_append_time_is_the_clock_of_the_log(log: Harness) -> None:
    publisher = log.publisher()
    publisher.publish([request(1)])
    log.clock.advance(1_000_000)
    publisher.publish([request(2)])

    first, second = log.everything(REQUESTS, 0)
    assert 1_000_000 <= second.append_time_ms - first.append_time_ms <= 1_000_100


def test_a_slice_makes_progress_past_markers(log: Harness) -> None:
    output = log.opened()
    log.commit(output, [approval(1)])
    log.commit(output, [approval(2)])
    where, reader = TopicPartition(APPROVED, 0), log.reader()

    first = reader.read(where, offset=0, records_max=1)
    rest = reader.read(where, offset=first.next_offset, records_max=10)
    none = reader.read(where, offset=rest.next_offset, records_max=10)

    assert (values(list(first.records)), values(list(rest.records))) == ([b"value 1"], [b"value 2"])
    assert rest.next_offset == 4
    assert none == ([], 4)
    assert reader.read(where, offset=3, records_max=1) == ([], 4)


@pytest.mark.parametrize("offset", [0, 2, 6])
def test_reading_outside_the_log_raises_lost(log: Harness, offset: int) -> None:
    log.publisher().publish([request(number) for number in range(5)])
    where = TopicPartition(REQUESTS, 0)
    log.truncate(where, 3)
    reader = log.reader()

    with pytest.raises(Lost):
        reader.read(where, offset=offset, records_max=1)
    assert reader.ends([where]) == {where: Ends(3, 5, 5)}
    assert [record.offset for record in log.everything(REQUESTS, 0)] == [3, 4]


def test_last_is_the_last_committed_record(log: Harness) -> None:
    output, reader, where = log.opened(), log.reader(), TopicPartition(APPROVED, 0)
    assert reader.last(where) is None
    log.commit(output, [approval(1), approval(2)])
    output.begin()
    output.produce(approval(3))
    output.abort()

    found = reader.last(where)
    assert found is not None
    assert (found.offset, found.key, found.value) == (1, b"key 2", b"value 2")
    assert reader.last(TopicPartition(APPROVED, 1)) is None


def test_last_records_of_many_partitions_come_in_one_call(log: Harness) -> None:
    output, reader = log.opened(), log.reader()
    for number in range(30):  # aborted ones and markers of many transactions lie behind the last
        output.begin()
        output.produce(approval(number, partition=number % 2))
        output.commit() if number < 3 else output.abort()
    log.publisher().publish([request(1, 2), request(2, 2)])
    wanted = [TopicPartition(topic, n) for topic in (REQUESTS, APPROVED) for n in range(3)]

    found = reader.last_of(wanted)
    assert found == {where: reader.last(where) for where in wanted}
    assert {where: record and record.key for where, record in found.items()} == {
        **dict.fromkeys(wanted),
        TopicPartition(REQUESTS, 2): b"key 2",
        TopicPartition(APPROVED, 0): b"key 2",
        TopicPartition(APPROVED, 1): b"key 1",
    }


def test_ends_of_many_partitions_come_in_one_call(log: Harness) -> None:
    log.publisher().publish([request(1, 1), request(2, 1)])
    wanted = [TopicPartition(topic, n) for topic in (REQUESTS, APPROVED) for n in range(3)]

    found = log.reader().ends(wanted)
    assert list(found) == wanted
    assert found[TopicPartition(REQUESTS, 1)] == Ends(0, 2, 2)
    assert found[TopicPartition(APPROVED, 1)] == Ends(0, 0, 0)


# --- publishing


def test_publish_returns_the_offsets_in_order(log: Harness) -> None:
    publisher = log.publisher()
    first = publisher.publish([request(1), request(2, 1), request(3)])
    second = publisher.publish([request(4), request(5, 1)], transactional_id="sender")
    third = publisher.publish([request(6)])

    assert [list(first), list(second), list(third)] == [[0, 0, 1], [2, 1], [4]]


def test_publish_to_an_unknown_partition_publishes_nothing(log: Harness) -> None:
    with pytest.raises(TransactionAborted):
        log.publisher().publish([request(1), request(2, 77)])

    assert log.everything(REQUESTS, 0) == []


def test_a_second_publisher_of_an_id_fences_the_first(log: Harness) -> None:
    first, second = log.publisher(), log.publisher()
    first.publish([request(1)], transactional_id="gate-control")
    second.publish([request(2)], transactional_id="gate-control")

    with pytest.raises(Fenced):
        first.publish([request(3)], transactional_id="gate-control")
    second.publish([request(4)], transactional_id="gate-control")
    assert values(log.everything(REQUESTS, 0)) == [b"value 1", b"value 2", b"value 4"]


def test_publish_with_offsets_sets_a_memberless_groups_offsets(log: Harness) -> None:
    offsets = [OffsetCommit(0, 0, "target"), OffsetCommit(1, 3, "other")]
    log.publisher().publish_with_offsets(
        [approval(1)],
        transactional_id="gate-init",
        group_id=GROUP,
        topic=REQUESTS,
        offsets=offsets,
        check=lambda: None,
    )

    assert values(log.everything(APPROVED, 0)) == [b"value 1"]
    assert log.reader().committed(GROUP, REQUESTS, [0, 1]) == dict(enumerate(offsets))


def test_publish_with_offsets_checks_after_it_has_ended_what_another_left_open(
    log: Harness,
) -> None:
    """Two that begin at once: the second sees the first's commit, or has ended its transaction."""
    left = log.opened("gate-init")
    left.begin()
    left.produce(approval(1))
    seen: list[object] = []

    def check() -> None:
        seen.append(log.reader().last(TopicPartition(APPROVED, 0)))
        raise Refused

    with pytest.raises(Refused):
        log.publisher().publish_with_offsets(
            [approval(2)],
            transactional_id="gate-init",
            group_id=GROUP,
            topic=REQUESTS,
            offsets=[OffsetCommit(0, 0, "first")],
            check=check,
        )

    assert seen == [None]
    assert log.everything(APPROVED, 0) == []


class Refused(Exception):
    pass


def test_publish_with_offsets_is_refused_while_the_group_has_a_member(log: Harness) -> None:
    log.joined()

    with pytest.raises(Fenced):
        log.publisher().publish_with_offsets(
            [approval(1)],
            transactional_id="gate-init",
            group_id=GROUP,
            topic=REQUESTS,
            offsets=[OffsetCommit(0, 0, "target")],
            check=lambda: None,
        )
    assert log.everything(APPROVED, 0) == []
    assert log.reader().committed(GROUP, REQUESTS, [0]) == {0: None}


# --- topics


def test_a_topic_keeps_its_identity(log: Harness) -> None:
    before = log.reader().topic(REQUESTS)
    log.make_topics()
    log.admin().create_topics([TopicSpec(name=REQUESTS, partition_count=9, settings={})])
    after = log.reader().topic(REQUESTS)

    assert before is not None
    assert before == after
    assert before == TopicIdentity(
        topic_id=before.topic_id, partition_count=PARTITION_COUNT, settings=SETTINGS
    )


def test_topics_and_clusters_have_distinct_ids(log: Harness) -> None:
    reader = log.reader()
    found = [reader.topic(name) for name in (REQUESTS, APPROVED, CHANGELOG)]

    assert len({topic.topic_id for topic in found if topic is not None}) == 3
    assert reader.cluster_id() == log.reader().cluster_id() != ""
    assert reader.topic("unknown") is None


def test_a_group_of_another_name_has_its_own_offsets(log: Harness) -> None:
    member, output = log.joined(), log.opened()
    log.commit(output, [], [OffsetCommit(0, 5, "")], member.group_identity())

    assert log.reader().committed("another", REQUESTS, [0]) == {0: None}
