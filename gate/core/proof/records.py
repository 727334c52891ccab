"""Verification of decision records, many at a time; steps as in `verify`."""

from hashlib import sha256
from typing import NamedTuple

from gate.core.proof import merkle
from gate.core.proof.checkpoint import (
    KEY_ID_BYTES,
    SIGNATURE_LINES_MAX,
    CheckpointInvalid,
    Note,
    NoteSignature,
    check_origin,
    checkpoint_body,
)
from gate.core.proof.steps import accept, bad_shape, read_leaf, unknown_log
from gate.core.proof.verdict import RefusalCode, Refused, Status, Trust, Verified, log_keys
from gate.core.trust import TrustRoot
from gate.core.values import APPROVED, Decision, DecisionRecord, Entry


def verify_decision_record(record: DecisionRecord, trust: Trust) -> Verified | Refused:
    """Verify one decision record alone; for many, keep a `CheckpointVerifier`."""
    return CheckpointVerifier(trust).verify(record)


class _Checkpoint(NamedTuple):
    """A trusted checkpoint, and the places from which paths were seen to lead to its root."""

    status: Status
    root: bytes
    proven: set[tuple[bytes, int, bytes]]


class CheckpointVerifier:
    """Verifies decision records; those of one checkpoint share its signature check and nodes.

    A place is (hash, turns left to take, rest of the path). What remains of a proof is determined
    by these three, so a place seen before need not be folded again: any other bytes are another
    place. Memory is bounded: `CHECKPOINTS_MAX` × `PLACES_MAX` places of at most 2.2 KiB.
    """

    CHECKPOINTS_MAX = 64
    PLACES_MAX = 256

    def __init__(self, trust: Trust) -> None:
        """Trust does not change; make another verifier for a newer trust root."""
        self._trust = trust
        self._known: dict[tuple[str, int, str, tuple[bytes, ...]], _Checkpoint] = {}

    def verify(self, record: DecisionRecord) -> Verified | Refused:
        """Verify one record: steps 1 to 5, 8, 9, and its ask. Never raises on any bytes."""
        known = self._proven(record)
        if isinstance(known, Refused):
            return known
        entry = read_leaf(record.entry, record.log, record.leaf_index)
        if isinstance(entry, Refused):
            return entry
        refused = _ask(entry, record.ask)
        if refused is not None:
            return refused
        trust = self._trust
        return Verified(
            status=known.status,
            entry=entry,
            origin=record.log,
            leaf_index=record.leaf_index,
            tree_size=record.tree_size,
            root=known.root,
            runtime=record.runtime if known.status is Status.SIGNED else "",
            trust_root_version=trust.version if isinstance(trust, TrustRoot) else None,
            re_decided=False,
        )

    def prove(self, record: DecisionRecord) -> Status | Refused:
        """Verify that the lineage holds the record's entry bytes: steps 1 to 5, nothing read.

        For programs that compare or count many records and decode few.
        """
        known = self._proven(record)
        return known if isinstance(known, Refused) else known.status

    def _proven(self, record: DecisionRecord) -> _Checkpoint | Refused:
        index, size, path = record.leaf_index, record.tree_size, record.inclusion_path
        key = (record.log, size, record.runtime, record.signatures)
        leaf = merkle.leaf_hash(record.entry)
        known = self._known.get(key)
        if known is not None and _leads(known, leaf, index, size, path):
            if len(known.proven) > self.PLACES_MAX:
                known.proven.clear()
            return known
        checked = self._check(record, leaf)
        if isinstance(checked, Refused):
            return checked
        if len(self._known) >= self.CHECKPOINTS_MAX:
            del self._known[next(iter(self._known))]
        self._known[key] = checked
        return checked

    def _check(self, record: DecisionRecord, leaf: bytes) -> _Checkpoint | Refused:
        # 1
        if len(record.signatures) > SIGNATURE_LINES_MAX or len(set(record.signatures)) != len(
            record.signatures
        ):
            return Refused(RefusalCode.MALFORMED, 1, "too many signatures, or one twice")
        try:
            origin = check_origin(record.log)
        except CheckpointInvalid as error:
            return Refused(RefusalCode.MALFORMED, 1, str(error))
        # 2
        keys = log_keys(self._trust, origin)
        if keys is None:
            return unknown_log(origin)
        # 3, 4
        index, size, path = record.leaf_index, record.tree_size, record.inclusion_path
        root = merkle.root_from_path(leaf, index, size, path)
        if root is None:
            return bad_shape(index, size, path)
        # 5
        try:
            body = checkpoint_body(origin, size, root, record.runtime)
        except CheckpointInvalid as error:
            return Refused(RefusalCode.MALFORMED, 1, str(error))
        lines = tuple(
            NoteSignature(origin, line[:KEY_ID_BYTES], line[KEY_ID_BYTES:])
            for line in record.signatures
        )
        note = Note(body, origin, size, root, record.runtime, lines)
        status = accept(note, keys)
        return status if isinstance(status, Refused) else _Checkpoint(status, root, set())


def _leads(known: _Checkpoint, leaf: bytes, index: int, size: int, path: bytes) -> bool:
    """Tell whether the path leads to the known root, as `merkle.root_from_path` would."""
    if not 0 <= index < size:
        return False
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(path) != (inner + border) * merkle.HASH_BYTES:
        return False
    turns = (index & ((1 << inner) - 1)) | ((1 << border) - 1) << inner
    node, rest = leaf, path
    passed: list[tuple[bytes, int, bytes]] = []
    while rest:
        place = (node, turns, rest)
        if place in known.proven:
            break
        sibling, rest = rest[:32], rest[32:]
        passed += (place, (sibling, turns ^ 1, node + rest))
        node = sha256(b"\x01" + sibling + node if turns & 1 else b"\x01" + node + sibling).digest()
        turns >>= 1
    else:
        if node != known.root:
            return False
    known.proven.update(passed)
    return True


def _ask(entry: Entry, ask: bytes) -> Refused | None:
    """Part of step 9: the record's ask is the one approved, and stands in approvals only."""
    if not isinstance(entry, Decision):
        return Refused(RefusalCode.CONTRADICTION, 9, "expected a decision, got another entry")
    if entry.outcome != APPROVED:
        if ask:
            return Refused(RefusalCode.CONTRADICTION, 9, "a denial carries no ask")
    elif sha256(ask).digest() != entry.ask_sha256:
        return Refused(RefusalCode.CONTRADICTION, 9, "the ask is not the one approved")
    return None
