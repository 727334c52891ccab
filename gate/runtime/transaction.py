"""The transaction: one function with numbered steps. `design/transaction.md` §2.

Step 1, the poll, is the loop's (`loop`): no poll happens between steps 2 and 9. Everything between
is provisional: an exception drops it, and nothing of it is adopted. INVARIANT (apply after
commit): the store sees a change only once the transaction that carries it has committed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gate.core.lineage import Keyed, judge, key_records
from gate.core.policy.issues import AstDiffers, EngineUnavailable
from gate.core.proof.checkpoint import note_key_id, signed_note
from gate.core.proof.merkle import frontier_bytes
from gate.core.sealing import Sealed, decision_records, lineage_value, seal
from gate.core.state import RecoveryTarget, add_to_fingerprint, encode_target
from gate.core.topics import Topics
from gate.errors import PartitionStopped, StoreDamaged, TransactionAborted
from gate.ports import (
    AppliedPosition,
    GroupIdentity,
    LogRecord,
    OffsetCommit,
    OutputRecord,
    PartitionStore,
    StateChange,
)
from gate.runtime.own_key import check_own_key
from gate.runtime.partition import Adopted, OwnedPartition
from gate.runtime.report import report_commit, report_step
from gate.runtime.settings import GateSettings, Ports
from gate.runtime.settled import settled_ends

Batch = Mapping[int, Sequence[LogRecord]]
"""Records by partition, in offset order; a control record is the last of its partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """What one partition contributes to the transaction; adopted after the commit, or dropped."""

    partition: OwnedPartition
    sealed: Sealed
    outputs: Sequence[OutputRecord]
    changes: Sequence[StateChange]
    commit: OffsetCommit
    fingerprint: int
    control_sha256: bytes


def run_transaction(
    batch: Batch,
    partitions: Mapping[int, OwnedPartition],
    settings: GateSettings,
    ports: Ports,
) -> None:
    """Decide a batch and commit it, exactly once.

    Raises `TransactionAborted` (abort, then assignment), `OutcomeUnknown` (renew, then
    assignment), `Fenced` (let go), `Pinned` (wait), `PartitionStopped`, `StoreDamaged`.
    """
    started_ms = ports.clock.monotonic_ms()
    identity = _group_identity(ports)  # 2
    numbers = sorted(batch)
    provisional = []
    for number in numbers:
        partition = partitions[number]
        keyed, taken = _key_and_fetch(partition, batch[number])  # 3
        provisional.append(_decide(partition, keyed, taken, settings, ports))  # 3, 4
        ports.judging.offsets[number] = -1
    settled_ends(numbers, settings, ports)  # 5: nothing older may be undecided where we write
    ports.output.begin()  # 6
    for item in provisional:
        for record in item.outputs:
            ports.output.produce(record)
    ports.output.send_offsets([item.commit for item in provisional], identity)  # 7
    report_step(ports)
    ports.output.commit()  # 8
    for item in provisional:
        _apply_and_adopt(item)  # 9, 10
    judged = {item.partition.number: item.sealed.judged for item in provisional}
    report_commit(judged, ports, ports.clock.monotonic_ms() - started_ms)


def _group_identity(ports: Ports) -> GroupIdentity:
    """Step 2. With generation -1 or no member id a broker checks nothing: never commit so.

    The membership is lost, and the next poll says to whom: perhaps to nobody.
    """
    identity = ports.input.group_identity()
    if identity.generation < 0 or not identity.member_id:
        raise TransactionAborted(
            f"expected a live membership of group `{identity.group_id}`, found generation "
            f"{identity.generation} and member id `{identity.member_id}`"
        )
    return identity


def _key_and_fetch(
    partition: OwnedPartition, records: Sequence[LogRecord]
) -> tuple[Keyed, Mapping[bytes, bytes]]:
    """Step 3, first part: decode and key, then one multi-get for the whole batch."""
    adopted, store = _ready(partition)
    keyed = key_records(records, place=adopted.place, control=adopted.standing.control)
    try:
        found = store.get_many(keyed.state_keys)
    except StoreDamaged as damage:
        partition.damage = str(damage)
        raise
    taken = {
        key: value for key, value in zip(keyed.state_keys, found, strict=True) if value is not None
    }
    return keyed, taken


def _decide(
    partition: OwnedPartition,
    keyed: Keyed,
    taken: Mapping[bytes, bytes],
    settings: GateSettings,
    ports: Ports,
) -> Provisional:
    """Steps 3 and 4: judge, seal, sign one checkpoint, build every record."""
    adopted, _ = _ready(partition)
    place, standing, log = adopted.place, adopted.standing, adopted.place.origin
    try:
        judged = judge(keyed, taken, place=place, standing=standing)
    except EngineUnavailable as fault:
        raise PartitionStopped("engine_unavailable", partition.number, str(fault)) from fault
    except AstDiffers as fault:
        raise PartitionStopped("ast_differs", partition.number, str(fault)) from fault
    sealed = seal(judged, place=place, standing=standing, runtime=settings.runtime_line)
    public = ports.signer.public_key()
    if judged.control.trust_root is not standing.control.trust_root:
        check_own_key(judged.control.trust_root, log, public, partition.number)
    _assert_one_root(partition, sealed)
    note_signature = note_key_id(log, public) + ports.signer.sign(sealed.body)
    changes = [StateChange(*change) for change in judged.changes]
    fingerprint = add_to_fingerprint(
        adopted.fingerprint, settings.keys, ((c.key, c.value) for c in changes)
    )
    control_sha256 = sealed.standing.control.sha256()
    target = _target(partition, sealed, fingerprint, control_sha256)
    commit = OffsetCommit(
        partition.number,
        judged.leaves[-1].input.offset + 1,
        encode_target(target, settings.keys, log),
    )
    return Provisional(
        partition=partition,
        sealed=sealed,
        outputs=_outputs(adopted, sealed, changes, commit, note_signature, settings.topics),
        changes=changes,
        commit=commit,
        fingerprint=fingerprint,
        control_sha256=control_sha256,
    )


def _outputs(
    adopted: Adopted,
    sealed: Sealed,
    changes: Sequence[StateChange],
    commit: OffsetCommit,
    note_signature: bytes,
    topics: Topics,
) -> list[OutputRecord]:
    """Build everything that is produced for one partition: the lineage record is the last."""
    place, number = adopted.place, commit.partition
    named = topics._asdict()
    outputs = [
        OutputRecord(named[item.topic], number, item.key, item.value, item.headers)
        for item in decision_records(sealed, place=place, note_signature=note_signature)
    ]
    outputs += [OutputRecord(topics.changelog, number, c.key, c.value) for c in changes]
    lineage = lineage_value(
        sealed,
        place=place,
        note=signed_note(sealed.body, place.origin, note_signature[:4], note_signature[4:]),
        target=commit.metadata,
        first_offset=adopted.next_offset,
        next_offset=commit.next_offset,
    )
    outputs.append(OutputRecord(topics.lineage, number, place.origin.encode(), lineage))
    return outputs


def _ready(partition: OwnedPartition) -> tuple[Adopted, PartitionStore]:
    assert partition.adopted is not None, "only ready partitions are decided"
    assert partition.store is not None, "a ready partition has its store open"
    return partition.adopted, partition.store


def _assert_one_root(partition: OwnedPartition, sealed: Sealed) -> None:
    """INVARIANT (no fork): a process never signs two roots of one size."""
    size, root = sealed.appended.frontier.size, sealed.appended.root
    known = partition.signed_roots.setdefault(size, root)
    assert known == root, f"refusing to sign a second root of size {size}"


def _target(
    partition: OwnedPartition, sealed: Sealed, fingerprint: int, control_sha256: bytes
) -> RecoveryTarget:
    standing, identity = sealed.standing, partition.identity
    assert identity is not None
    return RecoveryTarget(
        requests_topic_id=identity.requests_topic_id,
        changelog_topic_id=identity.changelog_topic_id,
        sequence=standing.sequence,
        fingerprint=fingerprint,
        tree_size=standing.frontier.size,
        root=sealed.appended.root,
        prev_input_offset=standing.prev_input_offset,
        control_sha256=control_sha256,
        last_approved=standing.last_approved,
        last_denied=standing.last_denied,
        last_quarantine=standing.last_quarantine,
    )


def _apply_and_adopt(item: Provisional) -> None:
    """Steps 9 and 10. A crash between the commit and here is harmless: restore replays."""
    adopted, store = _ready(item.partition)
    standing = item.sealed.standing
    assert item.partition.identity is not None
    store.apply(
        item.changes,
        AppliedPosition(
            sequence=standing.sequence,
            fingerprint=item.fingerprint,
            replay_from=adopted.replay_from,
            next_offset=item.commit.next_offset,
            tree_size=standing.frontier.size,
            frontier=frontier_bytes(standing.frontier),
            control_sha256=item.control_sha256,
        ),
        item.partition.identity,
    )
    item.partition.adopted = replace(
        adopted,
        standing=standing,
        fingerprint=item.fingerprint,
        next_offset=item.commit.next_offset,
    )
    item.partition.signed_roots.clear()
