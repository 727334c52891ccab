"""Restore: a bounded slice of the changelog into the store. Step f of assignment.

Safe to repeat: a change is a value, and records at or below the store's sequence are skipped.
After the first one applied each next must be exactly one higher; a hole or a repeat means that
somebody else wrote, or that compaction removed what it must not.
"""

from collections.abc import Sequence

from gate.core.state import RecoveryTarget, add_to_fingerprint
from gate.core.wire.changelog import (
    is_admission_record,
    read_admission_record,
    read_control_state,
)
from gate.core.wire.reader import WireError
from gate.errors import Lost, PartitionStopped, StoreDamaged
from gate.ports import (
    AppliedPosition,
    EventKind,
    LogRecord,
    StateChange,
    TopicPartition,
)
from gate.runtime.partition import OwnedPartition, Recovery
from gate.runtime.settings import RESTORE_SLICE_RECORDS, GateSettings, Ports


def replay_slice(
    partition: OwnedPartition,
    recovery: Recovery,
    position: AppliedPosition,
    settings: GateSettings,
    ports: Ports,
) -> AppliedPosition:
    """Apply the next slice and return the new position.

    Raises `StoreDamaged` when the stored replay offset has left the changelog (rebuild from the
    beginning), `PartitionStopped` when the changelog can not reach the target.
    """
    store, number, target = partition.store, partition.number, recovery.target
    assert store is not None
    where = TopicPartition(settings.topics.changelog, number)
    try:
        part = ports.reader.read(
            where, offset=position.replay_from, records_max=RESTORE_SLICE_RECORDS
        )
    except Lost as lost:
        raise StoreDamaged(f"the changelog no longer holds what the store lacks: {lost}") from lost
    changes, sequence = _changes(part.records, position.sequence, target, partition)
    partition.has_replayed = partition.has_replayed or bool(changes)
    if not part.records and part.next_offset <= position.replay_from:
        raise PartitionStopped(
            "state_mismatch",
            number,
            f"expected the changelog to reach sequence {target.sequence}, "
            f"found its end at {sequence}",
        )
    applied = AppliedPosition(
        sequence=sequence,
        fingerprint=add_to_fingerprint(
            position.fingerprint, settings.keys, ((c.key, c.value) for c in changes)
        ),
        replay_from=part.next_offset,
        next_offset=position.next_offset,
        tree_size=position.tree_size,
        frontier=position.frontier,
        control_sha256=position.control_sha256,
    )
    store.apply(changes, applied, recovery.identity)
    partition.replayed_to = sequence
    ports.telemetry.emit(
        EventKind.RESTORE_PROGRESSED,
        partition=number,
        sequence=sequence,
        target_sequence=target.sequence,
    )
    return applied


def _changes(
    records: Sequence[LogRecord],
    sequence: int,
    target: RecoveryTarget,
    partition: OwnedPartition,
) -> tuple[list[StateChange], int]:
    number = partition.number
    changes: list[StateChange] = []
    for record in records:
        change, found = _change(record, number)
        if found <= sequence and not changes and not partition.has_replayed:
            continue  # already applied: `replay_from` is a lower bound
        if found != sequence + 1 or found > target.sequence:
            raise PartitionStopped(
                "state_mismatch",
                number,
                f"changelog offset {record.offset}: expected sequence {sequence + 1} of at most "
                f"{target.sequence}, found {found}",
            )
        changes.append(change)
        sequence = found
    return changes, sequence


def _change(record: LogRecord, number: int) -> tuple[StateChange, int]:
    value = record.value or b""
    try:
        if is_admission_record(value):
            sequence, is_control = read_admission_record(value).sequence, False
        else:
            sequence, is_control = read_control_state(value).sequence, True
    except WireError as fault:
        raise PartitionStopped(
            "state_mismatch",
            number,
            f"changelog offset {record.offset} does not read: {fault}; only the gate may write it",
        ) from fault
    return StateChange(record.key or b"", value, is_control), sequence
