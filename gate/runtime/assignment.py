"""Assignment: the one answer to doubt. `design/transaction.md` §3, steps a to i.

Start-up, rebalance, an aborted transaction and an unknown commit all come through here. One call
of `advance()` takes a partition a bounded step towards ready, so that ready partitions go on.
Raises `PartitionStopped` for what an operator must see, `Pending` and `Pinned` for what time cures.
"""

from dataclasses import replace

from gate.core.control.restore import ControlStateDamaged, restore
from gate.core.control.state import ControlState
from gate.core.genesis import genesis_origin
from gate.core.limits import ENGINE, LIMITS
from gate.core.lineage import Place, Standing
from gate.core.policy.issues import AstDiffers, EngineUnavailable
from gate.core.proof.checkpoint import CheckpointInvalid, Note, note_key_id, read_note
from gate.core.state import RecoveryTarget, Salts
from gate.core.trust import Pin, TrustRoot
from gate.core.values import LineageRecord
from gate.core.wire.changelog import read_control_state
from gate.core.wire.reader import WireError
from gate.errors import FingerprintDiffers, PartitionStopped, StoreDamaged
from gate.ports import (
    AppliedPosition,
    EventKind,
    OffsetCommit,
    PartitionStore,
    StoreIdentity,
)
from gate.runtime.own_key import check_own_key
from gate.runtime.partition import Adopted, OwnedPartition, Phase, Recovery
from gate.runtime.picture import Picture
from gate.runtime.recovery import find_recovery
from gate.runtime.restore import replay_slice
from gate.runtime.settings import GateSettings, Ports


def advance(
    partition: OwnedPartition, picture: Picture | None, settings: GateSettings, ports: Ports
) -> bool:
    """Take one bounded step; return whether the partition is ready now.

    A partition without a recovery needs a picture that was taken with it.
    """
    recovery = partition.recovery
    if recovery is None:
        assert picture is not None, "a partition in doubt needs a picture of the topics"
        recovery = find_recovery(partition, picture, settings)
        _check_suspect(recovery.committed, partition.number, ports)
        _open_store(partition, recovery.identity, ports)
        partition.has_replayed = False
    try:
        return _catch_up(partition, recovery, settings, ports)
    except StoreDamaged as damage:
        _rebuild(partition, damage, ports)
        return False


def _check_suspect(committed: OffsetCommit, number: int, ports: Ports) -> None:
    """Do not go near a record again whose judging killed the process twice."""
    suspect = ports.judging.suspect(number)
    if suspect is not None and suspect >= committed.next_offset:
        raise PartitionStopped(
            "crash_suspect",
            number,
            f"judging the record at offset {suspect} killed the process twice by a fatal signal; "
            "it is not judged again until operators say so",
        )


def _open_store(partition: OwnedPartition, identity: StoreIdentity, ports: Ports) -> None:
    """Step b. A damaged store is set aside; one that belongs elsewhere is left for an operator.

    It knows of approvals that the log at hand does not: the log may be the wrong one, or lost.
    """
    try:
        if partition.damage:
            damage, partition.damage = partition.damage, ""
            raise StoreDamaged(damage)
        if partition.store is None:
            partition.store = ports.stores.open(partition.number)
        found = partition.store.identity()
    except StoreDamaged as damage:
        _rebuild(partition, damage, ports)
        partition.store = ports.stores.open(partition.number)
        return
    if found is None or found == identity:
        return
    if found.lineage_secret_sha256 != identity.lineage_secret_sha256:
        raise PartitionStopped(
            "secret_differs",
            partition.number,
            "the local store was written with another lineage secret; "
            "give this node the gate's own secret, or an empty state folder",
        )
    raise PartitionStopped(
        "topic_changed",
        partition.number,
        f"the local store belongs to requests topic `{found.requests_topic_id}` and changelog "
        f"`{found.changelog_topic_id}`, the log has `{identity.requests_topic_id}` and "
        f"`{identity.changelog_topic_id}`; if the log was lost, restore it from a copy; if the "
        "state folder came from another gate, give this one an empty folder",
    )


def _rebuild(partition: OwnedPartition, damage: StoreDamaged, ports: Ports) -> None:
    """Step h: move the store aside once; a second damage in one assignment stops."""
    partition.close()
    partition.phase = Phase.CHECKING
    partition.recovery = None
    if partition.has_rebuilt:
        raise PartitionStopped(
            "state_mismatch", partition.number, f"rebuilt from the changelog, and again: {damage}"
        )
    partition.has_rebuilt = True
    place = ports.stores.move_aside(partition.number)
    ports.telemetry.emit(
        EventKind.STORE_MOVED_ASIDE,
        partition=partition.number,
        why=str(damage),
        moved_to=place,
        is_fingerprint_mismatch=isinstance(damage, FingerprintDiffers),
    )


def _catch_up(
    partition: OwnedPartition, recovery: Recovery, settings: GateSettings, ports: Ports
) -> bool:
    """Steps e to i."""
    store, target = partition.store, recovery.target
    assert store is not None
    position = store.position()
    if position.sequence > target.sequence:  # g
        raise PartitionStopped(
            "state_ahead",
            partition.number,
            f"the store has applied sequence {position.sequence}, the committed offset names "
            f"{target.sequence}; the group's offsets were set back, or the store is another's",
        )
    if position.sequence < target.sequence:  # f
        partition.phase, partition.recovery = Phase.REPLAYING, recovery
        position = replay_slice(partition, recovery, position, settings, ports)
        if position.sequence < target.sequence:
            return False
    if position.fingerprint != target.fingerprint:  # e, h
        raise FingerprintDiffers(
            f"fingerprint of the store differs from the target's at sequence {target.sequence}"
        )
    _adopt(partition, recovery, position, store, settings, ports)
    return True


def _adopt(
    partition: OwnedPartition,
    recovery: Recovery,
    position: AppliedPosition,
    store: PartitionStore,
    settings: GateSettings,
    ports: Ports,
) -> None:
    number, target = partition.number, recovery.target
    control = _control_state(store, target, number)
    _check_genesis(control, recovery, settings, number)
    check_signer(recovery.lineage, control, ports.signer.public_key(), number)
    settled = replace(
        position,
        next_offset=recovery.committed.next_offset,
        tree_size=target.tree_size,
        frontier=recovery.lineage.frontier,
        control_sha256=target.control_sha256,
        replay_from=recovery.changelog_end,
    )
    if settled != position:
        store.apply((), settled, recovery.identity)
    partition.identity = recovery.identity
    partition.adopted = Adopted(
        place=Place(
            origin=recovery.lineage.log,
            partition=number,
            partition_count=recovery.identity.partition_count,
            salts=Salts(settings.keys, recovery.lineage.log),
            judging=ports.judging.offsets,
        ),
        standing=Standing(
            control=control,
            frontier=recovery.frontier,
            sequence=target.sequence,
            prev_input_offset=target.prev_input_offset,
            last_approved=target.last_approved,
            last_denied=target.last_denied,
            last_quarantine=target.last_quarantine,
        ),
        fingerprint=target.fingerprint,
        next_offset=recovery.committed.next_offset,
        replay_from=settled.replay_from,
    )
    partition.phase, partition.recovery, partition.has_rebuilt = Phase.READY, None, False
    ports.input.resume(number, offset=recovery.committed.next_offset)  # i


def _control_state(store: PartitionStore, target: RecoveryTarget, number: int) -> ControlState:
    try:
        control = restore((key, read_control_state(value)) for key, value in store.control_items())
    except (ControlStateDamaged, WireError) as fault:
        raise StoreDamaged(str(fault)) from fault
    except EngineUnavailable as fault:
        raise PartitionStopped("engine_unavailable", number, str(fault)) from fault
    except AstDiffers as fault:
        raise PartitionStopped("ast_differs", number, str(fault)) from fault
    if control.sha256() != target.control_sha256:
        raise StoreDamaged("control state of the store differs from the target's digest")
    return control


def _check_genesis(
    control: ControlState, recovery: Recovery, settings: GateSettings, number: int
) -> None:
    genesis = control.genesis
    if genesis.engine != ENGINE or genesis.limits != LIMITS:
        raise PartitionStopped(
            "engine_unavailable",
            number,
            f"the lineage was begun for engine `{genesis.engine}` and its limits, this build has "
            f"`{ENGINE}`",
        )
    if genesis.lineage_secret_sha256 != settings.keys.secret_sha256:
        raise PartitionStopped(
            "secret_differs", number, "Genesis commits to another lineage secret than this node's"
        )
    if genesis.cluster_id != recovery.cluster_id:
        raise PartitionStopped(
            "topic_changed",
            number,
            f"Genesis names cluster `{genesis.cluster_id}`, found `{recovery.cluster_id}`: "
            "name the cluster on which this gate began",
        )
    expected = (recovery.lineage.log, recovery.identity.requests_topic_id)
    found = (genesis_origin(genesis), genesis.topic_id)
    if expected != found or genesis.partition_count != recovery.identity.partition_count:
        raise PartitionStopped(
            "topic_changed",
            number,
            f"Genesis names `{found[0]}`, topic id `{found[1]}` and {genesis.partition_count} "
            f"partitions; found `{expected[0]}`, `{expected[1]}` and "
            f"{recovery.identity.partition_count}",
        )


def check_signer(
    lineage: LineageRecord, control: ControlState, own_public: bytes, number: int
) -> None:
    """Step d, second half: who signed the last checkpoint, and whether we may sign the next."""
    trust, log = control.trust_root, lineage.log
    check_own_key(trust, log, own_public, number)
    if Pin(log, lineage.tree_size, lineage.root) in trust.pins:
        return
    try:
        note = read_note(lineage.checkpoint)
    except CheckpointInvalid as fault:
        raise PartitionStopped("lineage_fork", number, str(fault)) from fault
    expected = (log, lineage.tree_size, lineage.root)
    if (note.origin, note.size, note.root) != expected or not _is_signed(note, trust):
        raise PartitionStopped(
            "lineage_fork",
            number,
            f"the last checkpoint of `{log}` is not that of its lineage record, or signed by no "
            f"key that trust root {trust.version} lists as active, and not pinned",
        )


def _is_signed(note: Note, trust: TrustRoot) -> bool:
    return any(
        not listed.is_revoked
        and note_key_id(note.origin, listed.key.public) == line.key_id
        and line.name == note.origin
        and listed.key.verify(note.body, line.signature)
        for listed in trust.checkpoint_keys_of(note.origin)
        for line in note.signatures
    )
