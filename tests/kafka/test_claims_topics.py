"""What is relied on of a topic's settings, and of topics that change: claims 6, 7 and 10.

The settings are the gate's own for its requests topic; whoever publishes is somebody else.
"""

import os
import time

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import NewPartitions

from gate.config.topic_table import topic_specs
from gate.errors import Lost, OutcomeUnknown, TransactionAborted
from gate.ports import OutputRecord, TopicPartition
from tests.kafka.place import PARTITIONS, Place, place, take, wait_for
from tests.worlds import TOPICS

__all__ = ["place"]

HOUR_MS = 3_600_000
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def requests_like() -> dict[str, str]:
    """The settings of the requests topic, as keywords of `Place.make`."""
    (spec,) = [s for s in topic_specs(TOPICS, 1) if s.name == TOPICS.requests]
    return {key.replace(".", "_"): value for key, value in spec.settings.items()}


def send(place: Place, topic: str, values: list[bytes], **properties: object) -> list[str]:
    """Send values in one go and return the codes of their refusals."""
    refused: list[str] = []

    def store(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            refused.append(error.name())

    producer = place.raw(message_max_bytes=20_000_000, linger_ms=200, **properties)
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=store)
    assert producer.flush(20) == 0
    return refused


def held(place: Place, topic: str) -> int:
    where = TopicPartition(topic, 0)
    return place.reader.ends([where])[where].high_watermark


# --- time (claim 6)


def test_the_broker_sets_the_time_whatever_the_producer_says(place: Place) -> None:
    name = place.make("-requests", **requests_like())
    producer = place.raw()
    before_ms = time.time_ns() // 1_000_000
    for stamp_ms in (1, before_ms + 2 * HOUR_MS):
        producer.produce(name, b"v", partition=0, timestamp=stamp_ms)
    assert producer.flush(10) == 0
    after_ms = time.time_ns() // 1_000_000
    found = place.reader.read(TopicPartition(name, 0), offset=0, records_max=9).records

    assert [record.is_append_time for record in found] == [True, True]
    assert all(before_ms <= record.append_time_ms <= after_ms for record in found)


def test_a_producers_own_time_is_seen_as_such(place: Place) -> None:
    name = place.make("-created", message_timestamp_type="CreateTime")
    place.publisher.publish([OutputRecord(name, 0, None, b"v")])
    place.publisher.publish([place.record()])
    created = place.reader.last(TopicPartition(name, 0))
    appended = place.reader.last(TopicPartition(place.name, 0))

    assert created is not None
    assert appended is not None
    assert (created.is_append_time, appended.is_append_time) == (False, True)


@pytest.mark.slow
def test_under_a_producers_own_time_retention_deletes_what_is_stamped_1970(place: Place) -> None:
    """Why the requests topic has the broker's time: the same record stays there."""
    created = place.make("-created", message_timestamp_type="CreateTime")
    requests = place.make("-requests", **requests_like())
    producer = place.raw()
    for name in (created, requests):
        producer.produce(name, b"v", partition=0, timestamp=1)
    assert producer.flush(10) == 0
    gone, stays = TopicPartition(created, 0), TopicPartition(requests, 0)
    wait_for(lambda: place.reader.ends([gone])[gone].first == 1, seconds=20)

    assert place.reader.ends([stays])[stays].first == 0


# --- size (claim 7)


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_is_refused_in_every_codec(place: Place, codec: str) -> None:
    name = place.make("-requests", **requests_like())

    assert send(place, name, [bytes(10_000_000)], compression_type=codec) == ["MSG_SIZE_TOO_LARGE"]
    assert held(place, name) == 0


@pytest.mark.parametrize("codec", CODECS[1:])
def test_a_topic_that_keeps_the_producers_codec_would_take_the_bomb(
    place: Place, codec: str
) -> None:
    """The negative control: why the requests topic is uncompressed."""
    settings = {**requests_like(), "compression_type": "producer"}
    name = place.make("-compressed", **settings)
    refused = send(place, name, [bytes(4_000_000)], compression_type=codec)

    assert (refused, held(place, name)) == ([], 1)


@pytest.mark.parametrize("codec", ["none", "lz4"])
def test_a_batch_over_the_limit_is_refused_whole(place: Place, codec: str) -> None:
    """Many small records: librdkafka's own `batch.size` is 1 MB."""
    name = place.make("-requests", **requests_like())
    refused = send(place, name, [bytes(600)] * 1_000, compression_type=codec, batch_size=1_000_000)

    assert refused == ["MSG_SIZE_TOO_LARGE"] * 1_000
    assert held(place, name) == 0


@pytest.mark.parametrize("codec", CODECS)
def test_an_honest_producer_with_smaller_batches_is_heard(place: Place, codec: str) -> None:
    name = place.make("-requests", **requests_like())
    values = [os.urandom(600) for _ in range(1_000)] + [bytes(65_000)]

    assert send(place, name, values, compression_type=codec, batch_size=200_000) == []
    assert held(place, name) == 1_001


def test_our_own_publisher_stays_below_the_limit(place: Place) -> None:
    name = place.make("-requests", **requests_like())
    place.publisher.publish([OutputRecord(name, 0, None, bytes(600)) for _ in range(2_000)])

    assert held(place, name) == 2_000


def test_our_own_publisher_says_that_a_record_is_too_large(place: Place) -> None:
    name = place.make("-requests", **requests_like())
    with pytest.raises(TransactionAborted, match="MSG_SIZE_TOO_LARGE"):
        place.publisher.publish([OutputRecord(name, 0, None, bytes(300_000))])


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


# --- topics that change (claim 10)


def test_a_topic_made_again_has_another_id(place: Place) -> None:
    before = place.reader.topic(place.name)
    place.make_again()
    after = place.reader.topic(place.name)

    assert before is not None
    assert after is not None
    assert before.topic_id != after.topic_id


def test_a_member_of_a_topic_made_again_is_told_that_its_offset_is_gone(place: Place) -> None:
    """Only because the new topic is shorter: hence topic ids are compared."""
    place.publisher.publish([place.record(b"%d" % n) for n in range(5)])
    member = place.member()
    member.resume(0, offset=0)
    take(member, 5)
    place.make_again()
    with pytest.raises(Lost):
        wait_for(lambda: member.poll(records_max=1, timeout_ms=50).records, seconds=20)


def test_a_producer_writes_to_a_topic_made_again_without_a_word(place: Place) -> None:
    output = place.output()
    for value in (b"old", b"new"):
        output.begin()
        output.produce(place.record(value))
        output.commit()
        place.settle()
        if value == b"old":
            place.make_again()

    assert place.values() == [b"new"]


@pytest.mark.slow
def test_a_commit_to_a_deleted_topic_is_unknown_at_its_deadline(place: Place) -> None:
    output = place.output(transaction_timeout_ms=3_000)
    output.begin()
    output.produce(place.record(b"1"))
    output.commit()
    place.settle()
    place.delete()
    output.begin()
    output.produce(place.record(b"2"))
    with pytest.raises((OutcomeUnknown, TransactionAborted)):
        output.commit()


def test_a_topic_that_grows_shows_its_new_count(place: Place) -> None:
    asked = place.admin.create_partitions([NewPartitions(place.name, PARTITIONS + 2)])
    asked[place.name].result(10)

    def count() -> int:
        found = place.reader.topic(place.name)
        assert found is not None
        return found.partition_count

    wait_for(lambda: count() == PARTITIONS + 2)
