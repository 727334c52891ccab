"""Batching: which of the polled records are decided together. `design/transaction.md` §2.1.

What is left out is read again from where it was cut. INVARIANT (control alone): a control record
is the only one of its partition in a batch, so that a partition that must stop before it has
decided everything before it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gate.core.lineage import is_control
from gate.errors import PartitionStopped
from gate.ports import Input, LogRecord
from gate.runtime.partition import OwnedPartition
from gate.runtime.settings import BATCH_BYTES_MAX, BATCH_PARTITIONS_MAX


class Cut(NamedTuple):
    """Records by partition; partitions whose records went back; partitions that must stop."""

    batch: dict[int, list[LogRecord]]
    doubtful: tuple[int, ...]
    stops: tuple[PartitionStopped, ...]


def cut_batch(
    records: Sequence[LogRecord],
    partitions: Mapping[int, OwnedPartition],
    requests: Input,
    *,
    partitions_max: int = BATCH_PARTITIONS_MAX,
) -> Cut:
    """Take what may be decided now: of ready partitions, in order, within the bounds.

    Holes between offsets are normal, going back is not. A record whose time the broker did not set
    stops its partition once everything before it is decided.
    """
    batch: dict[int, list[LogRecord]] = {}
    left: set[int] = set()
    doubtful: list[int] = []
    stops: list[PartitionStopped] = []
    size = 0
    for record in records:
        number = record.partition
        partition = partitions.get(number)
        if number in left or partition is None or not partition.is_ready:
            continue
        taken = batch.get(number)
        if record.offset < _expected(partition, taken):
            left.add(number)
            doubtful.append(number)
            batch.pop(number, None)
        elif _is_cut_before(record, taken, len(batch) >= partitions_max, size):
            left.add(number)
            requests.resume(number, offset=record.offset)
        elif not record.is_append_time:
            left.add(number)
            stops.append(_append_time_off(record))
        else:
            batch.setdefault(number, []).append(record)
            size += len(record.value or b"")
            if is_control(record):
                left.add(number)
                requests.resume(number, offset=record.offset + 1)
    return Cut(batch, tuple(doubtful), tuple(stops))


def _expected(partition: OwnedPartition, taken: Sequence[LogRecord] | None) -> int:
    assert partition.adopted is not None, "a ready partition has adopted its position"
    return taken[-1].offset + 1 if taken else partition.adopted.next_offset


def _is_cut_before(
    record: LogRecord, taken: Sequence[LogRecord] | None, is_crowded: bool, size: int
) -> bool:
    if taken is None:
        return is_crowded or size >= BATCH_BYTES_MAX
    return size >= BATCH_BYTES_MAX or not record.is_append_time or is_control(record)


def _append_time_off(record: LogRecord) -> PartitionStopped:
    return PartitionStopped(
        "append_time_off",
        record.partition,
        f"offset {record.offset}: expected append time set by the broker, found the producer's; "
        "set `message.timestamp.type=LogAppendTime` on the requests topic",
    )
