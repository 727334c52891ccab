"""A right that is missing is told by name, costs nothing else, and comes back.

Everybody on the run's broker is `User:ANONYMOUS`; a test takes a right on a resource of its own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from gate.adapters.kafka import KafkaInput
from gate.adapters.kafka.errors import at_the_end, in_transaction
from gate.adapters.kafka.offsets import GroupOffsets
from gate.errors import GateError, OutcomeUnknown, TransactionAborted, Unreachable
from gate.ports import OffsetCommit, OutputRecord, TopicPartition
from tests.kafka.hostile import HostileWorld
from tests.kafka.place import Place, place, take, wait_for

__all__ = ["place"]

EVERYBODY = "User:ANONYMOUS"


@contextmanager
def denied(
    place: Place | HostileWorld, kind: ResourceType, operation: AclOperation, name: str = ""
) -> Iterator[None]:
    """Take a right on a resource, by default the one that has the test's own name."""
    resource = (kind, name or getattr(place, "name", ""), ResourcePatternType.LITERAL)
    bindings = [
        AclBinding(*resource, EVERYBODY, "*", AclOperation.ALL, AclPermissionType.ALLOW),
        AclBinding(*resource, EVERYBODY, "*", operation, AclPermissionType.DENY),
    ]
    for future in place.admin.create_acls(bindings).values():
        future.result(10)
    time.sleep(0.2)  # until the authorizer has it
    try:
        yield
    finally:
        every = AclBindingFilter(*resource, None, None, AclOperation.ANY, AclPermissionType.ANY)
        for future in place.admin.delete_acls([every]).values():
            future.result(10)


def one_transaction(place: Place, member: KafkaInput | None, output) -> None:
    output.begin()
    output.produce(place.record())
    if member is not None:
        output.send_offsets([OffsetCommit(0, 1, "")], member.group_identity())
    output.commit()


# --- the classifier, with the client's own errors


@pytest.mark.parametrize("judge", [in_transaction, at_the_end])
@pytest.mark.parametrize(
    "code, is_fatal, asks_for, right",
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, False, Unreachable, "WRITE on one it writes"),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, False, Unreachable, "READ on the group"),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, False, Unreachable, "transactional id"),
        (KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, True, OutcomeUnknown, ""),
        (KafkaError.MSG_SIZE_TOO_LARGE, False, TransactionAborted, ""),
    ],
)
def test_a_missing_right_is_named_unless_it_cost_the_producer(
    judge: Callable[[KafkaError, str], GateError],
    code: int,
    is_fatal: bool,
    asks_for: type[GateError],
    right: str,
) -> None:
    error = KafkaError(code, "told by the broker", is_fatal, False, not is_fatal)
    found = judge(error, "commit to `t`")

    assert type(found) is asks_for
    assert "commit to `t`" in str(found)
    assert right in str(found)


# --- on a broker


def test_a_transactional_id_without_its_right_is_not_opened(place: Place) -> None:
    with (
        denied(place, ResourceType.TRANSACTIONAL_ID, AclOperation.WRITE),
        pytest.raises(Unreachable, match=f"`{place.name}`.*grant.*WRITE on the transactional id"),
    ):
        place.output()
    one_transaction(place, None, place.output())

    assert place.values() == [b"v"]


def test_a_transactional_id_that_lost_its_right_needs_another_producer(place: Place) -> None:
    output = place.output()
    one_transaction(place, None, output)
    with denied(place, ResourceType.TRANSACTIONAL_ID, AclOperation.WRITE):
        with pytest.raises((Unreachable, OutcomeUnknown)):
            one_transaction(place, None, output)
        with pytest.raises(Unreachable, match="WRITE on the transactional id"):
            output.renew()
    output.renew()
    one_transaction(place, None, output)

    assert place.values() == [b"v", b"v"]


def test_a_topic_without_the_right_to_write_aborts(place: Place) -> None:
    """A transaction to which no partition could be added may be none, and its abort fatal."""
    output, allowed = place.output(), place.make("-allowed")
    for is_begun_elsewhere in (True, False):
        output.begin()
        if is_begun_elsewhere:
            output.produce(OutputRecord(allowed, 0, None, b"aborted"))
            where = TopicPartition(allowed, 0)
            wait_for(lambda: place.reader.ends([where])[where].high_watermark == 1)  # noqa: B023
        with denied(place, ResourceType.TOPIC, AclOperation.WRITE):
            output.produce(place.record())
            with pytest.raises(Unreachable, match=f"{place.name}.*grant.*WRITE"):
                output.commit()
            try:
                output.abort()
            except OutcomeUnknown as unknown:
                assert "INVALID_TXN_STATE" in str(unknown)
                output.renew()
    one_transaction(place, None, output)

    assert place.values() == [b"v"]


def test_a_group_without_the_right_to_read_aborts_and_the_same_producer_goes_on(
    place: Place,
) -> None:
    member, output = place.member(), place.output()
    with denied(place, ResourceType.GROUP, AclOperation.READ):
        with pytest.raises(Unreachable, match=f"group `{place.name}`.*grant.*READ on the group"):
            one_transaction(place, member, output)
        output.abort()
    one_transaction(place, member, output)

    assert place.values() == [b"v"]


def test_an_input_that_lost_its_right_says_so_at_every_poll_until_it_is_back(place: Place) -> None:
    """The client tells once and is silent from then on."""
    member = place.member()
    member.resume(0, offset=0)
    place.publisher.publish([place.record(b"1")])
    assert [record.value for record in take(member, 1)] == [b"1"]
    told = []
    with denied(place, ResourceType.TOPIC, AclOperation.READ):
        place.publisher.publish([place.record(b"2")])
        wait_for(lambda: lacks(member, told) or "2" in str(told), seconds=10)
        for _ in range(5):
            assert lacks(member, told)
    place.publisher.publish([place.record(b"3")])
    found: list[bytes | None] = []
    wait_for(lambda: found.extend(values_of(member)) or b"3" in found, seconds=15)

    assert found[-1] == b"3"
    assert f"topic `{place.name}`" in told[-1]
    assert "grant this principal READ" in told[-1]


def lacks(member: KafkaInput, told: list[str]) -> bool:
    try:
        member.poll(records_max=10, timeout_ms=20)
    except Unreachable as gone:
        told.append(str(gone))
        return True
    return False


def values_of(member: KafkaInput) -> list[bytes | None]:
    try:
        return [record.value for record in member.poll(records_max=10, timeout_ms=20).records]
    except Unreachable:
        return []


def test_an_input_without_the_right_to_its_group_says_so(place: Place) -> None:
    with denied(place, ResourceType.GROUP, AclOperation.READ):
        member = KafkaInput(place.connection, group_id=place.name, slot="s", topic=place.name)
        place.parts.append(member)
        with pytest.raises(Unreachable, match=f"group `{place.name}`.*grant.*READ on the group"):
            wait_for(lambda: member.poll(records_max=1, timeout_ms=50).assigned)
    polled: list[int] = []

    def joined() -> bool:
        try:
            polled.extend(member.poll(records_max=1, timeout_ms=50).assigned)
        except Unreachable:
            return False
        return bool(polled)

    wait_for(joined, seconds=15)


@pytest.mark.parametrize(
    "kind, ask",
    [
        (ResourceType.TOPIC, lambda place: place.reader.topic(place.name)),
        (ResourceType.TOPIC, lambda place: place.ends()),
        (ResourceType.TOPIC, lambda place: place.publisher.publish([place.record()])),
        (ResourceType.GROUP, lambda place: place.reader.group_is_empty(place.name)),
        (ResourceType.GROUP, lambda place: place.committed()),
    ],
)
def test_a_question_that_may_not_be_asked_names_the_right(
    place: Place, kind: ResourceType, ask: Callable[[Place], object]
) -> None:
    ask(place)
    with (
        denied(place, kind, AclOperation.ALL),
        pytest.raises(Unreachable, match=rf"(?s){place.name}.*grant this principal"),
    ):
        ask(place)


@pytest.mark.parametrize("has_asked", [False, True])
def test_a_group_that_may_not_be_looked_up_is_a_missing_right_and_not_a_pending_offset(
    place: Place, *, has_asked: bool
) -> None:
    """The client tells such a refusal beside the question, which it lets time out."""
    offsets = GroupOffsets(place.connection, place.name)
    with denied(place, ResourceType.GROUP, AclOperation.ALL):
        for _ in range(1 + has_asked):
            with pytest.raises(Unreachable, match=rf"(?s){place.name}.*grant this principal READ"):
                offsets.committed(place.name, [0])
    offsets.close()


def test_a_topic_is_known_without_the_right_to_read_its_settings(place: Place) -> None:
    """The gate's own principal needs no such right; who checks topics does."""
    before = place.reader.topic(place.name)
    with denied(place, ResourceType.TOPIC, AclOperation.DESCRIBE_CONFIGS):
        found = place.reader.topic(place.name)

    assert before is not None
    assert found is not None
    assert (found.topic_id, found.partition_count) == (before.topic_id, before.partition_count)


def test_publishing_without_the_right_to_write_is_denied(place: Place) -> None:
    with (
        denied(place, ResourceType.TOPIC, AclOperation.WRITE),
        pytest.raises(Unreachable, match=f"publishing to topic `{place.name}`.*grant.*WRITE"),
    ):
        place.publisher.publish([place.record()])

    assert place.values() == []
