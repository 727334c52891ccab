"""What the adapter relies on, each shown on a real broker."""

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from gate.adapters.kafka import (
    Connection,
    KafkaAdmin,
    KafkaInput,
    KafkaOutput,
    KafkaPublisher,
    KafkaReader,
)
from gate.adapters.kafka.membership import read_membership
from gate.adapters.kafka.settings import unjoined_properties
from gate.errors import Fenced, Lost, OutcomeUnknown, Pending, TransactionAborted
from gate.ports import (
    Ends,
    GroupIdentity,
    LogRecord,
    OffsetCommit,
    OutputRecord,
    TopicPartition,
    TopicSpec,
)
from tests.kafka.local import LocalKafka
from tests.kafka.world import connection_to

PARTITIONS = 2


class Place:
    """A topic, a group and a transactional id of this test alone."""

    def __init__(self, bootstrap: str) -> None:
        self.name = "claim-" + os.urandom(6).hex()
        self.connection: Connection = connection_to(bootstrap)
        self.reader = KafkaReader(self.connection)
        self.publisher = KafkaPublisher(self.connection)
        self.parts: list[KafkaInput | KafkaOutput] = []
        self.make()

    def make(self, name: str = "", **settings: str) -> str:
        named = {key.replace("_", "."): value for key, value in settings.items()}
        spec = TopicSpec(
            name=self.name + name,
            partition_count=PARTITIONS,
            settings=named or {"message.timestamp.type": "LogAppendTime"},
        )
        KafkaAdmin(self.connection, replication_factor=1).create_topics([spec])
        return spec.name

    def record(self, value: bytes = b"v", partition: int = 0) -> OutputRecord:
        return OutputRecord(self.name, partition, b"k", value)

    def output(self) -> KafkaOutput:
        made = KafkaOutput(self.connection, transactional_id=self.name, input_topic=self.name)
        self.parts.append(made)
        made.open()
        return made

    def member(self) -> KafkaInput:
        made = KafkaInput(self.connection, group_id=self.name, slot="s", topic=self.name)
        self.parts.append(made)
        wait_for(lambda: made.poll(records_max=1, timeout_ms=20).assigned)
        return made

    def ends(self) -> Ends:
        where = TopicPartition(self.name, 0)
        return self.reader.ends([where])[where]

    def settle(self) -> None:
        """Wait for the markers, which come after the acknowledgement."""
        wait_for(lambda: self.ends().last_stable == self.ends().high_watermark)

    def committed(self) -> OffsetCommit | None:
        return self.reader.committed(self.name, self.name, [0])[0]

    def values(self) -> list[bytes | None]:
        self.settle()
        ends = self.ends()
        part = self.reader.read(TopicPartition(self.name, 0), offset=ends.first, records_max=10_000)
        return [record.value for record in part.records]

    def close(self) -> None:
        for part in self.parts:
            part.close()
        self.reader.close()
        self.publisher.close()


@pytest.fixture
def place(kafka: LocalKafka) -> Iterator[Place]:
    made = Place(kafka.bootstrap)
    yield made
    made.close()


def wait_for(is_so: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.002)


def take(member: KafkaInput, count: int) -> list[LogRecord]:
    found: list[LogRecord] = []
    wait_for(
        lambda: (
            found.extend(member.poll(records_max=500, timeout_ms=5).records) or len(found) >= count
        )
    )
    return found


# --- offsets


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


def is_pending(place: Place) -> bool:
    try:
        place.committed()
    except Pending:
        return True
    return False


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
    dead = subprocess.Popen(
        [sys.executable, "-c", code, servers, place.name], cwd=Path(__file__).parents[2]
    )
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


@pytest.mark.parametrize("size", [2_000, 2_000_000])
def test_a_record_too_large_aborts_its_transaction_only(place: Place, size: int) -> None:
    small = place.make("-small", max_message_bytes="1000")
    output = place.output()
    output.begin()
    with pytest.raises(TransactionAborted, match="MSG_SIZE_TOO_LARGE"):
        output.produce(OutputRecord(small, 0, None, os.urandom(size)))
        output.commit()
    output.abort()
    output.begin()
    output.produce(place.record(b"after"))
    output.commit()

    assert place.values() == [b"after"]


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


# --- input


def remove_below(place: Place, first: int) -> None:
    client = AdminClient({"bootstrap.servers": place.connection.bootstrap_servers})
    where = ClientPartition(place.name, 0, first)
    for future in client.delete_records([where]).values():
        future.result(10)


def test_offsets_that_are_gone_are_lost_once_and_resume_goes_on(place: Place) -> None:
    place.publisher.publish([place.record(b"%d" % n) for n in range(5)])
    place.publisher.publish([place.record(b"other", 1)])
    remove_below(place, 3)
    member = place.member()
    member.resume(0, offset=1)
    with pytest.raises(Lost) as lost:
        take(member, 1)
    assert (lost.value.partition, lost.value.offset) == (0, 1)
    member.resume(1, offset=0)
    assert [record.value for record in take(member, 1)] == [b"other"]
    member.resume(0, offset=3)

    assert [record.value for record in take(member, 2)] == [b"3", b"4"]


def test_an_assignment_survives_that_its_first_records_are_gone(place: Place) -> None:
    place.publisher.publish([place.record(b"%d" % n) for n in range(5)])
    remove_below(place, 4)
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


def test_a_producers_own_time_is_seen_as_such(place: Place) -> None:
    name = place.make("-created", message_timestamp_type="CreateTime")
    place.publisher.publish([OutputRecord(name, 0, None, b"v")])
    place.publisher.publish([place.record()])
    created = place.reader.last(TopicPartition(name, 0))
    appended = place.reader.last(TopicPartition(place.name, 0))

    assert created is not None
    assert appended is not None
    assert (created.is_append_time, appended.is_append_time) == (False, True)


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


def test_a_topic_made_again_has_another_id(place: Place) -> None:
    before = place.reader.topic(place.name)
    client = AdminClient({"bootstrap.servers": place.connection.bootstrap_servers})
    client.delete_topics([place.name])[place.name].result(10)
    wait_for(lambda: place.reader.topic(place.name) is None)
    place.make()
    after = place.reader.topic(place.name)

    assert before is not None
    assert after is not None
    assert before.topic_id != after.topic_id
