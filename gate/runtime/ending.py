"""When a gate may end by itself: caught up, or nothing of the topic can go on."""

from collections.abc import Mapping

from gate.errors import Lost, PartitionStopped, Pending, Pinned, Unreachable, Unreadable
from gate.ports import TopicPartition
from gate.runtime.partition import OwnedPartition, Phase
from gate.runtime.settings import CURED_BY_TIME, GateSettings, Ports
from gate.runtime.settled import settled_ends

Owned = Mapping[int, OwnedPartition]


def is_at_an_end(owned: Owned, partition_count: int) -> bool:
    """Say whether nothing of the topic can go on here or elsewhere without an operator.

    A gate that has only some of the partitions stays: its end would cost the others a rebalance,
    and with workers their lives.
    """
    return len(owned) == partition_count and all(
        partition.phase is Phase.STOPPED and partition.stop_cause not in CURED_BY_TIME
        for partition in owned.values()
    )


def is_caught_up(owned: Owned, settings: GateSettings, ports: Ports) -> bool:
    """Say whether no partition is on its way and no committed input is left undecided.

    INVARIANT (visible at the end): what was decided can be read, too; a commit returns before its
    markers are written, and who starts a gate to its end reads what came of it.
    """
    for partition in owned.values():
        if partition.phase is Phase.STOPPED:
            continue
        if not partition.is_ready:
            return False
        assert partition.adopted is not None
        where = TopicPartition(settings.topics.requests, partition.number)
        try:
            part = ports.reader.read(where, offset=partition.adopted.next_offset, records_max=1)
        except (Lost, Unreachable, Unreadable):
            return False  # the next poll meets it, and answers it
        if part.records:
            return False
    return bool(owned) and _is_visible(owned, settings, ports)


def _is_visible(owned: Owned, settings: GateSettings, ports: Ports) -> bool:
    ready = sorted(number for number, partition in owned.items() if partition.is_ready)
    try:
        if ready:
            settled_ends(ready, settings, ports)
    except (Pinned, Pending, Unreachable):
        return False  # a lasting one the watch meets, and stops the partition
    return True


def raise_if_stopped(owned: Owned) -> None:
    """Raise the stop of the first partition that is stopped, if one is."""
    for number in sorted(owned):
        partition = owned[number]
        if partition.phase is Phase.STOPPED:
            raise PartitionStopped(partition.stop_cause, number, partition.stop_text)
