"""An input that loses partitions to another member of its group and gets some of them again."""

import pytest

from gate.adapters.kafka import KafkaInput
from tests.kafka.place import Place, place, take, wait_for
from tests.planted import planted

__all__ = ["place"]


def _paused_and_assigned_anew(place: Place) -> tuple[KafkaInput, int]:
    """Return a member that paused, lost its partitions, and got one of them again: which."""
    place.publisher.publish([place.record(b"0", 0), place.record(b"1", 1)])
    member = place.member()
    for partition in range(2):
        member.resume(partition, offset=0)
    take(member, 2)
    for partition in range(2):
        member.pause(partition)
    other = KafkaInput(place.connection, group_id=place.name, slot="t", topic=place.name)
    place.parts.append(other)
    assigned: list[int] = []

    def rebalanced() -> list[int]:
        other.poll(records_max=1, timeout_ms=5)
        assigned.extend(member.poll(records_max=1, timeout_ms=5).assigned)
        return assigned

    wait_for(rebalanced, seconds=15)
    return member, assigned[0]


def test_a_partition_that_was_paused_when_it_was_lost_delivers_again(place: Place) -> None:
    member, partition = _paused_and_assigned_anew(place)

    member.resume(partition, offset=0)

    assert [record.offset for record in take(member, 1)] == [0]


def test_without_the_guard_the_clients_pause_outlives_it(place: Place) -> None:
    """The negative control of the test before: nothing is told, nothing comes."""
    member, partition = _paused_and_assigned_anew(place)
    good = "self._consumer.resume([ClientPartition(self._topic, n) for n in sorted(self._asleep)])"
    with planted("gate.adapters.kafka.input", good, "pass"):
        member.resume(partition, offset=0)
        with pytest.raises(AssertionError, match="it did not come"):
            take(member, 1)
