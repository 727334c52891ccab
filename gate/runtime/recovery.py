"""What was committed last for a partition, verified against itself: steps a, c, d and d2.

The committed offset, the last lineage record and the last records of the outputs must all tell
the same story. `design/transaction.md` §3.
"""

from gate.core.proof.merkle import Frontier, read_frontier, root
from gate.core.state import STORE_FORMAT, RecoveryTarget, TargetInvalid, decode_target
from gate.core.values import LineageRecord
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_lineage_record
from gate.errors import PartitionStopped
from gate.ports import OffsetCommit, StoreIdentity, TopicPartition
from gate.runtime.outputs import check_outputs
from gate.runtime.partition import OwnedPartition, Recovery
from gate.runtime.picture import Picture
from gate.runtime.settings import GateSettings
from gate.runtime.settled import held, is_held


def find_recovery(partition: OwnedPartition, picture: Picture, settings: GateSettings) -> Recovery:
    """Steps a, c, d and d2: what the topics say, and that they agree with one another."""
    number, topics = partition.number, settings.topics
    identity = store_identity(number, picture, settings)
    for topic in topics.outputs:  # a
        where = TopicPartition(topic, number)
        if is_held(picture.ends[where]):
            raise held(where, picture.ends[where])
    committed = picture.offsets[number]  # c
    lineage = _last_lineage(partition, picture, settings)
    if committed is None or lineage is None:
        raise _no_lineage(number, settings, has_offset=committed is not None)
    target = _decode(committed, lineage, number, settings)
    frontier = _check_lineage(committed, target, lineage, number)  # d
    _check_identity(target, identity, number)
    check_outputs(number, target, topics, picture)  # d2
    return Recovery(
        committed=committed,
        target=target,
        lineage=lineage,
        frontier=frontier,
        identity=identity,
        cluster_id=picture.cluster_id,
        changelog_end=picture.ends[TopicPartition(topics.changelog, number)].last_stable,
    )


def store_identity(number: int, picture: Picture, settings: GateSettings) -> StoreIdentity:
    """Return what this partition's store belongs to, from the topics as they are now."""
    requests, changelog = picture.requests, picture.changelog
    if requests is None or changelog is None:
        missing = settings.topics.requests if requests is None else settings.topics.changelog
        raise PartitionStopped(
            "topic_changed", number, f"expected topic `{missing}`, found none; was it deleted"
        )
    if requests.partition_count != changelog.partition_count:
        raise PartitionStopped(
            "topic_changed",
            number,
            f"expected as many partitions in the changelog as in the requests topic "
            f"({requests.partition_count}), found {changelog.partition_count}",
        )
    return StoreIdentity(
        format=STORE_FORMAT,
        requests_topic_id=requests.topic_id,
        changelog_topic_id=changelog.topic_id,
        partition=number,
        partition_count=requests.partition_count,
        lineage_secret_sha256=settings.keys.secret_sha256,
    )


def _last_lineage(
    partition: OwnedPartition, picture: Picture, settings: GateSettings
) -> LineageRecord | None:
    last = picture.last[TopicPartition(settings.topics.lineage, partition.number)]
    if last is None:
        return None
    try:
        return read_lineage_record(last.value or b"")
    except WireError as fault:
        raise PartitionStopped(
            "lineage_fork", partition.number, f"the last lineage record does not read: {fault}"
        ) from fault


def _no_lineage(number: int, settings: GateSettings, *, has_offset: bool) -> PartitionStopped:
    found = "a committed offset but no lineage" if has_offset else "no committed offset"
    return PartitionStopped(
        "target_missing",
        number,
        f"expected a committed offset with a recovery target for group `{settings.gate}`, found "
        f"{found}; run `gate init-lineage` on a first start, never to mend an old one",
    )


def _decode(
    committed: OffsetCommit, lineage: LineageRecord, number: int, settings: GateSettings
) -> RecoveryTarget:
    prefix = f"{settings.domain}/{settings.gate}/{settings.topics.requests}/{number}/"
    if not lineage.log.startswith(prefix):
        raise PartitionStopped(
            "lineage_fork", number, f"expected a lineage under `{prefix}`, found `{lineage.log}`"
        )
    if not committed.metadata:
        raise PartitionStopped(
            "target_missing",
            number,
            f"offset {committed.next_offset} was committed without a recovery target; "
            "somebody reset the group's offsets",
        )
    try:
        return decode_target(committed.metadata, settings.keys, lineage.log)
    except TargetInvalid as fault:
        raise PartitionStopped("secret_differs", number, str(fault)) from fault


def _check_lineage(
    committed: OffsetCommit, target: RecoveryTarget, lineage: LineageRecord, number: int
) -> Frontier:
    """Step d: the fork guard across processes, and against lost offsets."""
    expected = (target.tree_size, target.root, committed.next_offset, committed.metadata)
    found = (lineage.tree_size, lineage.root, lineage.next_offset, lineage.target)
    if expected != found:
        raise PartitionStopped(
            "lineage_fork",
            number,
            f"the committed offset names tree size {target.tree_size} at input offset "
            f"{committed.next_offset}, the last lineage record size {lineage.tree_size} at "
            f"{lineage.next_offset}",
        )
    frontier = read_frontier(lineage.tree_size, lineage.frontier)
    if frontier is None or root(frontier) != lineage.root:
        raise PartitionStopped("lineage_fork", number, "the frontier does not hash to the root")
    return frontier


def _check_identity(target: RecoveryTarget, identity: StoreIdentity, number: int) -> None:
    expected = (target.requests_topic_id, target.changelog_topic_id)
    found = (identity.requests_topic_id, identity.changelog_topic_id)
    if expected != found:
        raise PartitionStopped(
            "topic_changed",
            number,
            f"expected topic ids `{expected[0]}` and `{expected[1]}`, found `{found[0]}` and "
            f"`{found[1]}`: a topic was deleted and made again",
        )
