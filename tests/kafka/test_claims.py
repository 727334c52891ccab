"""What the adapter relies on of Kafka 4.3 and its client, each shown on a real broker.

A broker or a client that behaves differently fails here first. The claims have the numbers of the
study that found them (`real-kafka.md` §2):

| claim | shown by |
|---|---|
| 1 metadata commits with the transaction | `test_metadata_commits_with_its_transaction_or_not_at_all` |
| 1 size of metadata | `test_metadata_above_4095_characters_aborts_and_the_next_goes_through`; NUL and `None` are not relied on: a target is base64 |
| 1 pending offsets | `test_offsets_of_an_open_transaction_are_pending_not_old`, `test_who_does_not_ask_for_stable_offsets_is_told_old_ones` |
| 2 aborted records, LSO | `test_an_open_transaction_holds_the_last_stable_offset`, `test_what_comes_after_an_open_transaction_waits_for_its_end` |
| 3 second producer | `test_a_fenced_producer_answers_fenced_to_every_call`, `test_an_empty_transaction_of_a_fenced_producer_checks_nothing` |
| 3 group metadata | `test_another_generation_is_refused_with_the_records`, `test_a_member_whose_slot_was_taken_is_refused_and_told`, `test_a_member_that_closed_may_still_commit`, `test_who_never_joined_may_commit_beside_a_member`, `test_a_static_member_that_never_joined_is_refused`; the new group protocol is not used |
| 4 kill -9 in a transaction | `test_a_killed_process_leaves_nothing_behind_its_successor` |
| 5 timeout of a transaction | `test_a_transaction_that_outlives_its_timeout_is_aborted_and_its_outcome_unknown`, `test_a_timeout_above_the_brokers_is_refused_when_opened` |
| 6 LogAppendTime | `test_claims_topics.py`; switched off under a gate: `test_hostile.py` |
| 7 size of batches, codecs | `test_claims_topics.py` |
| 8 new group protocol | not used; classic and static: `test_a_static_member_that_comes_back_has_another_id_of_the_same_generation`, `test_a_static_member_that_closed_keeps_its_place_until_its_session_ends` |
| 9 empty transaction | `test_an_empty_transaction_of_a_fenced_producer_checks_nothing`; how fast transactions are is not relied on |
| 10 topics made again, deleted, grown | `test_claims_topics.py`; under a gate: `test_hostile.py` |
| 11 broker killed | `test_broker_kill.py` |
| 12 offsets out of range | `test_offsets_that_are_gone_are_lost_once_and_resume_goes_on`, `test_an_offset_beyond_the_end_is_lost`; no committed offset: not relied on, `resume` always names one |

Rights that are missing: `test_rights.py`.
"""  # noqa: E501 - a table

import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError
from confluent_kafka import TopicPartition as ClientPartition

from gate.adapters.kafka import KafkaInput, KafkaOutput
from gate.adapters.kafka.membership import read_membership
from gate.adapters.kafka.settings import unjoined_properties
from gate.errors import (
    Fenced,
    Lost,
    OutcomeUnknown,
    Pending,
    TransactionAborted,
    Unreachable,
)
from gate.ports import (
    Ends,
    GroupIdentity,
    OffsetCommit,
    TopicPartition,
)
from tests.kafka.place import PARTITIONS, Place, is_pending, place, take, wait_for
from tests.planted import planted

__all__ = ["place"]

ROOT = Path(__file__).parents[2]


# --- offsets


def test_metadata_commits_with_its_transaction_or_not_at_all(place: Place) -> None:
    """Claim 1: the recovery target is exactly as old as the offset beside it."""
    member, output = place.member(), place.output()
    for offset, metadata, is_committed in ((5, "first", True), (7, "second", False)):
        output.begin()
        output.produce(place.record(metadata.encode()))
        output.send_offsets([OffsetCommit(0, offset, metadata)], member.group_identity())
        output.commit() if is_committed else output.abort()
    wait_for(lambda: not is_pending(place))

    assert place.committed() == OffsetCommit(0, 5, "first")


def test_who_does_not_ask_for_stable_offsets_is_told_old_ones(place: Place) -> None:
    """Claim 1: why recovery always asks for stable offsets."""
    member, output = place.member(), place.output()
    for offset in (5, 7):
        output.begin()
        output.produce(place.record())
        output.send_offsets([OffsetCommit(0, offset, "")], member.group_identity())
        if offset == 5:
            output.commit()
            wait_for(lambda: not is_pending(place))
    asked = ConsumerGroupTopicPartitions(place.name, [ClientPartition(place.name, 0)])
    answered = place.admin.list_consumer_group_offsets([asked], require_stable=False)
    old = answered[place.name].result(10).topic_partitions[0].offset
    with pytest.raises(Pending):
        place.committed()
    output.abort()

    assert old == 5


def test_offsets_of_an_open_transaction_are_pending_not_old(place: Place) -> None:
    member, output = place.member(), place.output()
    output.begin()
    output.produce(place.record())
    output.send_offsets([OffsetCommit(0, 5, "target")], member.group_identity())
    with pytest.raises(Pending):
        place.committed()
    output.abort()
    place.settle()
    wait_for(lambda: not is_pending(place))

    assert place.committed() is None


@pytest.mark.parametrize("metadata", ["x" * 4096, "🜁" * 2048])
def test_metadata_above_4095_characters_aborts_and_the_next_goes_through(
    place: Place, metadata: str
) -> None:
    member, output = place.member(), place.output()
    output.begin()
    output.produce(place.record(b"1"))
    with pytest.raises(TransactionAborted, match="OFFSET_METADATA_TOO_LARGE"):
        output.send_offsets([OffsetCommit(0, 5, metadata)], member.group_identity())
    output.abort()
    output.begin()
    output.produce(place.record(b"2"))
    output.send_offsets([OffsetCommit(0, 6, "short")], member.group_identity())
    output.commit()
    wait_for(lambda: not is_pending(place))

    assert (place.values(), place.committed()) == ([b"2"], OffsetCommit(0, 6, "short"))


def test_another_generation_is_refused_with_the_records(place: Place) -> None:
    member, output = place.member(), place.output()
    identity = member.group_identity()
    stale = with_generation(identity, identity.generation + 1)
    output.begin()
    output.produce(place.record())
    with pytest.raises(TransactionAborted, match="ILLEGAL_GENERATION"):
        output.send_offsets([OffsetCommit(0, 5, "")], stale)
    output.abort()

    assert place.values() == []


def with_generation(identity: GroupIdentity, generation: int) -> GroupIdentity:
    token = bytes(identity.token)  # type: ignore[call-overload]
    changed = token[:7] + struct.pack("=i", generation) + token[11:]
    return GroupIdentity(
        group_id=identity.group_id,
        generation=generation,
        member_id=identity.member_id,
        token=changed,
    )


def test_who_never_joined_may_commit_beside_a_member(place: Place) -> None:
    """Why the runtime refuses to commit with generation -1: a broker does not."""
    place.member()
    stranger = Consumer(unjoined_properties(place.connection, place.name, lambda _: None))
    identity = read_membership(stranger.consumer_group_metadata(), place.name)
    commit_offset(place.output(), identity)
    wait_for(lambda: not is_pending(place))

    assert (identity.generation, identity.member_id) == (-1, "")
    assert place.committed() == OffsetCommit(0, 9, "")


def test_a_member_whose_slot_was_taken_is_refused_and_told(place: Place) -> None:
    """Claim 3: the broker fences a static member by its slot, and the client says it at a poll."""
    old, output = place.member(), place.output()
    identity = old.group_identity()
    place.member()
    with pytest.raises(Fenced, match="FENCED_INSTANCE_ID"):
        commit_offset(output, identity)
    with pytest.raises(Fenced, match="slot_in_use"):
        wait_for(lambda: old.poll(records_max=1, timeout_ms=20) is None)


def test_a_member_that_closed_may_still_commit(place: Place) -> None:
    """Claim 3: closing fences nobody; only a successor, or the end of the session, does."""
    member = place.member()
    identity = member.group_identity()
    member.close()
    commit_offset(place.output(), identity)
    wait_for(lambda: not is_pending(place))

    assert place.committed() == OffsetCommit(0, 9, "")


CLOSING = """
import sys, time
from gate.adapters.kafka import KafkaInput
from tests.kafka.place import Place, wait_for

for attempt in range(6):
    place = Place(sys.argv[1])
    member = place.member()
    other = KafkaInput(place.connection, group_id=place.name, slot="t", topic=place.name)
    time.sleep(0.45 + 0.1 * attempt)
    member.close()
    place.close()
print("closed")
"""


@pytest.mark.slow
def test_a_member_closes_while_a_rebalance_waits_to_be_told(place: Place) -> None:
    """The client once waited for itself, holding the interpreter's lock: hence a process.

    Without the poll in `close` about one attempt in four never ended.
    """
    servers = place.connection.bootstrap_servers
    done = subprocess.run(
        [sys.executable, "-c", CLOSING, servers],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


def test_a_static_member_that_never_joined_is_refused(place: Place) -> None:
    place.member()
    stranger = KafkaInput(place.connection, group_id=place.name, slot="t", topic=place.name)
    place.parts.append(stranger)

    refused = "UNKNOWN_MEMBER_ID|FENCED_INSTANCE_ID"  # before and after it began to join
    with pytest.raises((Fenced, TransactionAborted), match=refused):
        commit_offset(place.output(), stranger.group_identity())


def commit_offset(output: KafkaOutput, identity: GroupIdentity) -> None:
    output.begin()
    output.send_offsets([OffsetCommit(0, 9, "")], identity)
    output.commit()


def test_a_static_member_that_closed_keeps_its_place_until_its_session_ends(place: Place) -> None:
    place.member().close()
    assert not place.reader.group_is_empty(place.name)
    wait_for(lambda: place.reader.group_is_empty(place.name))


def test_who_stopped_still_forbids_a_first_start_and_the_wait_is_said(place: Place) -> None:
    """`init-lineage` right after a gate was stopped."""
    place.member().close()
    with pytest.raises(Fenced, match="stop the gate, then wait up to 1 s.*until its session ends"):
        place.publisher.publish_with_offsets(
            [place.record()],
            transactional_id=place.name,
            group_id=place.name,
            topic=place.name,
            offsets=[OffsetCommit(0, 0, "")],
            check=lambda: None,
        )

    assert place.values() == []


def test_a_static_member_that_comes_back_has_another_id_of_the_same_generation(
    place: Place,
) -> None:
    first = place.member().group_identity()
    second = place.member().group_identity()

    assert second.generation == first.generation
    assert second.member_id != first.member_id


# --- transactions


def test_an_open_transaction_holds_the_last_stable_offset(place: Place) -> None:
    output = place.output()
    output.begin()
    output.produce(place.record())
    wait_for(lambda: place.ends().high_watermark == 1)
    held = place.ends()
    output.abort()
    place.settle()

    assert held == Ends(0, 0, 1)
    assert place.ends() == Ends(0, 2, 2)


def test_what_comes_after_an_open_transaction_waits_for_its_end(place: Place) -> None:
    """Claim 2: read committed sees nothing beyond, not even records without a transaction."""
    place.publisher.publish([place.record(b"before")])
    output = place.output()
    output.begin()
    output.produce(place.record(b"aborted"))
    wait_for(lambda: place.ends().high_watermark == 2)
    place.publisher.publish([place.record(b"after")])
    member = place.member()
    member.resume(0, offset=0)
    held = [record.value for record in take(member, 1)]
    held += [r.value for r in member.poll(records_max=9, timeout_ms=300).records]
    output.abort()

    assert held == [b"before"]
    assert [record.value for record in take(member, 1)] == [b"after"]


def test_a_fenced_producer_answers_fenced_to_every_call(place: Place) -> None:
    old = place.output()
    old.begin()
    old.produce(place.record())
    place.output()
    with pytest.raises(Fenced):
        old.commit()
    with pytest.raises(Fenced):
        old.abort()


def test_an_empty_transaction_of_a_fenced_producer_checks_nothing(place: Place) -> None:
    """Why a transaction without records is never used to ask for the fence."""
    old = place.output()
    place.output()
    old.begin()
    old.commit()


def test_a_killed_process_leaves_nothing_behind_its_successor(place: Place) -> None:
    code = (
        "import sys, time\n"
        "from gate.adapters.kafka import Connection, KafkaOutput\n"
        "from gate.ports import OutputRecord\n"
        "servers, name = sys.argv[1:]\n"
        "output = KafkaOutput(Connection(bootstrap_servers=servers), transactional_id=name,"
        " input_topic=name)\n"
        "output.open()\noutput.begin()\n"
        "output.produce(OutputRecord(name, 0, b'k', b'dead'))\n"
        "time.sleep(60)\n"
    )
    servers = place.connection.bootstrap_servers
    dead = subprocess.Popen([sys.executable, "-c", code, servers, place.name], cwd=ROOT)
    try:
        wait_for(lambda: place.ends().high_watermark == 1)
    finally:
        dead.send_signal(signal.SIGKILL)
        dead.wait()
    alive = place.output()
    alive.begin()
    alive.produce(place.record(b"alive"))
    alive.commit()

    assert place.values() == [b"alive"]


def test_after_an_error_of_the_line_the_producer_is_renewed_before_it_begins(place: Place) -> None:
    output = place.output()
    output._reasons(KafkaError(KafkaError._TRANSPORT))
    with pytest.raises(OutcomeUnknown, match="renewed"):
        output.begin()
    output.renew()
    output.begin()
    output.produce(place.record())
    output.commit()

    assert place.values() == [b"v"]


@pytest.mark.slow
def test_a_transaction_that_outlives_its_timeout_is_aborted_and_its_outcome_unknown(
    place: Place,
) -> None:
    """Claim 5: the client says `_FENCED`, as to a zombie; only the age of the transaction tells."""
    output = place.output(transaction_timeout_ms=2_000)
    output.begin()
    output.produce(place.record(b"late"))
    started = time.monotonic()
    wait_for(lambda: place.ends() == Ends(0, 2, 2), seconds=10)
    lasted = time.monotonic() - started
    with pytest.raises(OutcomeUnknown, match="outlived its timeout.*_FENCED"):
        output.commit()
    output.renew()
    output.begin()
    output.produce(place.record(b"again"))
    output.commit()

    assert 1.8 < lasted < 6
    assert place.values() == [b"again"]


def test_a_timeout_above_the_brokers_is_refused_when_opened(place: Place) -> None:
    """Claim 5."""
    with pytest.raises(Unreachable, match="INVALID_TRANSACTION_TIMEOUT"):
        place.output(transaction_timeout_ms=900_001)


# --- input


def test_offsets_that_are_gone_are_lost_once_and_resume_goes_on(place: Place) -> None:
    place.publisher.publish([place.record(b"%d" % n) for n in range(5)])
    place.publisher.publish([place.record(b"other", 1)])
    place.remove_below(3)
    member = place.member()
    member.resume(0, offset=1)
    with pytest.raises(Lost) as lost:
        take(member, 1)
    assert (lost.value.partition, lost.value.offset) == (0, 1)
    member.resume(1, offset=0)
    assert [record.value for record in take(member, 1)] == [b"other"]
    member.resume(0, offset=3)

    assert [record.value for record in take(member, 2)] == [b"3", b"4"]


def test_an_offset_beyond_the_end_is_lost(place: Place) -> None:
    """Claim 12."""
    place.publisher.publish([place.record()])
    member = place.member()
    member.resume(0, offset=7)
    with pytest.raises(Lost) as lost:
        take(member, 1)

    assert (lost.value.partition, lost.value.offset) == (0, 7)


def test_an_assignment_survives_that_its_first_records_are_gone(place: Place) -> None:
    place.publisher.publish([place.record(b"%d" % n) for n in range(5)])
    place.remove_below(4)
    member = place.member()
    time.sleep(0.2)
    member.resume(0, offset=4)

    assert [record.value for record in take(member, 1)] == [b"4"]


@pytest.mark.parametrize("attempt", range(4))
def test_a_resume_right_after_the_assignment_begins_where_it_says(
    place: Place, attempt: int
) -> None:
    """An assignment at the end, moved by a seek, was carried back to the end now and then."""
    records = [place.record(b"%d" % n, n % PARTITIONS) for n in range(200)]
    place.publisher.publish(records, transactional_id=place.name)
    member = place.member()
    for number in range(PARTITIONS):
        member.resume(number, offset=attempt)
    found = take(member, 200 - PARTITIONS * attempt)

    expected = list(range(attempt, 100))
    for number in range(PARTITIONS):
        assert [r.offset for r in found if r.partition == number] == expected


def test_a_hole_right_after_a_resume_is_passed(place: Place) -> None:
    place.publisher.publish([place.record(b"1")], transactional_id=place.name)
    place.publisher.publish([place.record(b"2")], transactional_id=place.name)
    member = place.member()
    member.resume(0, offset=1)

    assert [(r.offset, r.value) for r in take(member, 1)] == [(2, b"2")]


def client_stands_elsewhere(place: Place) -> list[int]:
    """Let the client begin at a wrong offset, as it did when a seek met an answer under way."""
    member = place.member()
    member.resume(0, offset=1)
    member._begin_fetching()
    member._consumer.assign([ClientPartition(place.name, 0, 3)])
    return [record.offset for record in take(member, 1)][:1]


def test_a_client_that_begins_at_a_wrong_offset_is_put_right(place: Place) -> None:
    place.publisher.publish([place.record(b"%d" % n) for n in range(5)])

    assert client_stands_elsewhere(place) == [1]


def test_without_the_second_look_at_a_hole_records_are_skipped(place: Place) -> None:
    """The negative control of the test before."""
    place.publisher.publish([place.record(b"%d" % n) for n in range(5)])
    good = "if offset in {self._positions[partition], self._unproven[partition]}:"
    with planted("gate.adapters.kafka.input", good, "if True:"):
        assert client_stands_elsewhere(place) == [3]


def test_a_busy_partition_delays_the_others_by_one_fetch_at_most(place: Place) -> None:
    place.publisher.publish([place.record(b"x" * 600) for _ in range(8_000)])
    place.publisher.publish([place.record(b"other", 1)])
    member = place.member()
    member.resume(0, offset=0)
    take(member, 1)
    member.resume(1, offset=0)
    found: list[int] = []
    wait_for(lambda: found.extend(r.partition for r in take(member, 1)) or 1 in found)

    assert found.index(1) < 8_000 - 1


# --- reading


def test_the_last_record_is_found_behind_many_aborted_ones(place: Place) -> None:
    output = place.output()
    output.begin()
    output.produce(place.record(b"last"))
    output.commit()
    output.begin()
    for _ in range(300):
        output.produce(place.record(b"aborted"))
    wait_for(lambda: place.ends().high_watermark >= 300)
    output.abort()
    place.settle()
    found = place.reader.last(TopicPartition(place.name, 0))

    assert found is not None
    assert (found.offset, found.value) == (0, b"last")
