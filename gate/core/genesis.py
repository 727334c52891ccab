"""Genesis: leaf 0 of a lineage and what is written with it. `design/transaction.md` §3."""

from collections.abc import Callable
from typing import NamedTuple

from gate.core.control.state import ControlState, begin, initial_parts
from gate.core.limits import ENGINE, LIMITS
from gate.core.lineage import Standing
from gate.core.proof.checkpoint import checkpoint_body, note_key_id, origin, signed_note
from gate.core.proof.merkle import Frontier, append, frontier_bytes, leaf_hash
from gate.core.state import LineageKeys, RecoveryTarget, add_to_fingerprint, encode_target
from gate.core.trust import TrustRoot
from gate.core.values import (
    ControlStateRecord,
    Genesis,
    LineageEntry,
    LineageRecord,
    PinnedSchema,
)
from gate.core.wire.changelog import encode_control_state
from gate.core.wire.entry import encode_genesis
from gate.core.wire.record import encode_lineage_record
from gate.core.wire.schemas import ALL


class FirstRecords(NamedTuple):
    """What starts one partition's lineage: records, and the committed offset's metadata."""

    origin: str
    changelog: tuple[tuple[bytes, bytes], ...]
    lineage: bytes
    target: str


def first_genesis(
    *,
    domain: str,
    gate: str,
    cluster_id: str,
    topic: str,
    topic_id: str,
    partition: int,
    partition_count: int,
    first_offset: int,
    lineage_secret_sha256: bytes,
    trust_root_sha256: bytes,
) -> Genesis:
    """Return the Genesis of epoch 1; limits, schemas and engine are this build's."""
    return Genesis(
        domain=domain,
        gate=gate,
        cluster_id=cluster_id,
        topic=topic,
        topic_id=topic_id,
        partition=partition,
        partition_count=partition_count,
        epoch=1,
        first_offset=first_offset,
        previous=(),
        engine=ENGINE,
        limits=LIMITS,
        schemas=tuple(PinnedSchema(s.name, s.fingerprint, s.sha256) for s in ALL),
        lineage_secret_sha256=lineage_secret_sha256,
        trust_root_sha256=trust_root_sha256,
    )


def genesis_origin(genesis: Genesis) -> str:
    """Return the origin of the lineage that begins with this Genesis."""
    return origin(genesis.domain, genesis.gate, genesis.topic, genesis.partition, genesis.epoch)


def first_standing(control: ControlState, frontier: Frontier, parts: int) -> Standing:
    """Return where a lineage stands that has only its Genesis."""
    return Standing(
        control=control,
        frontier=frontier,
        sequence=parts,
        prev_input_offset=-1,
        last_approved=-1,
        last_denied=-1,
        last_quarantine=-1,
    )


def first_records(
    genesis: Genesis,
    root: TrustRoot,
    root_envelope: bytes,
    *,
    keys: LineageKeys,
    changelog_topic_id: str,
    runtime: str,
    public_key: bytes,
    sign: Callable[[bytes], bytes],
) -> FirstRecords:
    """Build the first transaction's records for one partition; `sign` is the checkpoint key's."""
    log = genesis_origin(genesis)
    entry = encode_genesis(genesis)
    hashes = [leaf_hash(entry)]
    appended = append(Frontier(0, ()), hashes)
    changelog = tuple(
        (key, encode_control_state(ControlStateRecord(sequence, 0, -1, body)))
        for sequence, (key, body) in enumerate(initial_parts(genesis, root, root_envelope), 1)
    )
    target = _first_target(
        genesis,
        begin(genesis, root, root_envelope),
        changelog,
        appended.root,
        keys,
        changelog_topic_id,
    )
    target_text = encode_target(target, keys, log)
    body = checkpoint_body(log, 1, appended.root, runtime)
    note = signed_note(body, log, note_key_id(log, public_key), sign(body))
    lineage = encode_lineage_record(
        LineageRecord(
            log=log,
            prev_size=0,
            tree_size=1,
            root=appended.root,
            consistency=b"",
            frontier=frontier_bytes(appended.frontier),
            leaf_hashes=hashes[0],
            entries=(LineageEntry(0, entry),),
            first_offset=genesis.first_offset,
            next_offset=genesis.first_offset,
            checkpoint=note,
            target=target_text,
        )
    )
    return FirstRecords(log, changelog, lineage, target_text)


def _first_target(
    genesis: Genesis,
    control: ControlState,
    changelog: tuple[tuple[bytes, bytes], ...],
    root_hash: bytes,
    keys: LineageKeys,
    changelog_topic_id: str,
) -> RecoveryTarget:
    return RecoveryTarget(
        requests_topic_id=genesis.topic_id,
        changelog_topic_id=changelog_topic_id,
        sequence=len(changelog),
        fingerprint=add_to_fingerprint(0, keys, changelog),
        tree_size=1,
        root=root_hash,
        prev_input_offset=-1,
        control_sha256=control.sha256(),
        last_approved=-1,
        last_denied=-1,
        last_quarantine=-1,
    )
