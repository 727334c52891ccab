"""Verification of evidence files, decision records and forks, offline, in numbered steps.

 1. Parse strictly: sizes, spelling, one form only                                 `malformed`
 2. The origin is one that the trust knows                                         `unknown_log`
 3. Index below size, and a path of just the length that they imply            `bad_proof_shape`
 4. The entry's leaf hash folds along the path to the checkpoint's root          `root_mismatch`
 5. A trusted key signed the checkpoint, or a pin of the trust root equals it
                                  `bad_signature`, `no_trusted_signature`, `key_revoked`
 6. Each later checkpoint is consistent with the one before, and the last is
    trusted as in 5                                                               `inconsistent`
 7. As many witnesses as asked for signed                                        `not_witnessed`
 8. The entry decodes under a pinned schema and encodes to the same bytes
                                                           `unknown_schema`, `not_canonical`
 9. Its fields agree with one another and with the origin                        `contradiction`
10. Attachments: policy and trust root have the digests in the entry and the signatures of
    their authors, the input has its digest; deciding again gives the same bytes
                                       `policy_mismatch`, `input_mismatch`, `replay_differs`
11. The result: what vouches for it, and which trust root was used

A checkpoint by a revoked key, or by nobody trusted, still serves as the beginning of step 6: what
it covers is then vouched for by the last checkpoint alone.

Promises: never raises on any bytes; needs no network, Kafka, store or policy engine. Step 10
decides again only with a function handed in. Follows `design/decision.md` §6.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from gate.core import dsse
from gate.core.placement import input_sha256
from gate.core.proof import merkle
from gate.core.proof.checkpoint import (
    SIGNATURE_LINES_MAX,
    CheckpointInvalid,
    Note,
    check_origin,
    checkpoint_body,
    read_note,
)
from gate.core.proof.evidence import Evidence, EvidenceInvalid, read_evidence
from gate.core.proof.meaning import contradiction
from gate.core.proof.verdict import (
    Fork,
    LogKeys,
    RefusalCode,
    Refused,
    Status,
    Trust,
    Verified,
    log_keys,
)
from gate.core.reasons import Code
from gate.core.signature import SIGNATURE_BYTES
from gate.core.trust import TrustRoot, TrustRootInvalid, read_trust_root, signed_by
from gate.core.values import (
    APPROVED,
    CONTROL_TRUST_ROOT,
    Control,
    Decision,
    DecisionRecord,
    Entry,
    Gap,
    Genesis,
)
from gate.core.wire.entry import encode_entry, read_entry
from gate.core.wire.reader import WireError

DecideAgain = Callable[[Decision, Evidence], bytes | None]
"""Decides the input of an evidence again; `None` when its attachments do not suffice."""


def verify_evidence(
    data: bytes,
    trust: Trust,
    *,
    witnesses_min: int = 0,
    decide_again: DecideAgain | None = None,
) -> Verified | Refused:
    """Verify an evidence file; steps in the module's docstring. Never raises on any bytes.

    Witnesses are not supported yet: asking for any is refused at step 7.
    """
    # 1
    try:
        evidence = read_evidence(data)
        notes = [read_note(evidence.proof.checkpoint)]
        notes += [read_note(item.checkpoint) for item in evidence.later]
    except (EvidenceInvalid, CheckpointInvalid) as error:
        return Refused(RefusalCode.MALFORMED, 1, str(error))
    proof, note = evidence.proof, notes[0]
    # 2
    keys = log_keys(trust, note.origin)
    if keys is None:
        return _unknown_log(note.origin)
    # 3, 4
    root = merkle.root_from_path(
        merkle.leaf_hash(proof.entry), proof.index, note.size, proof.path
    )
    if root is None:
        return _bad_shape(proof.index, note.size, proof.path)
    if root != note.root:
        return Refused(RefusalCode.ROOT_MISMATCH, 4, "the path does not lead to the root")
    # 5, 6
    status = _chain(evidence, notes, keys)
    if isinstance(status, Refused):
        return status
    # 7
    if witnesses_min > 0:
        return Refused(RefusalCode.NOT_WITNESSED, 7, f"expected {witnesses_min} witnesses, got 0")
    # 8, 9
    entry = _read(proof.entry, note.origin, proof.index)
    if isinstance(entry, Refused):
        return entry
    # 10
    refused = _attachments(entry, evidence, trust)
    if refused is not None:
        return refused
    decided = decide_again(entry, evidence) if decide_again and isinstance(entry, Decision) else None
    if decided is not None and decided != proof.entry:
        return Refused(RefusalCode.REPLAY_DIFFERS, 10, "deciding again gives another entry")
    # 11
    last = notes[-1]
    return Verified(
        status=status,
        entry=entry,
        origin=note.origin,
        leaf_index=proof.index,
        tree_size=last.size,
        root=last.root,
        runtime=note.runtime,
        trust_root_version=trust.version if isinstance(trust, TrustRoot) else None,
        re_decided=decided is not None,
    )


def verify_decision_record(record: DecisionRecord, trust: Trust) -> Verified | Refused:
    """Verify one decision record alone; for many, keep a `CheckpointVerifier`."""
    return CheckpointVerifier(trust).verify(record)


def verify_fork(first: str, second: str, trust: Trust) -> Fork | Refused | None:
    """Say whether two notes prove that a lineage was forked.

    `None` when both are trusted and do not contradict each other as they stand: other origins or
    sizes, or equal roots. `Refused` when one of them counts for nothing.
    """
    notes = []
    for text in (first, second):
        try:
            note = read_note(text)
        except CheckpointInvalid as error:
            return Refused(RefusalCode.MALFORMED, 1, str(error))
        keys = log_keys(trust, note.origin)
        if keys is None:
            return _unknown_log(note.origin)
        status = _accept(note, keys)
        if isinstance(status, Refused):
            return status
        notes.append(note)
    one, other = notes
    if one.origin != other.origin or one.size != other.size or one.root == other.root:
        return None
    return Fork(one.origin, one.size, (one.root, other.root))


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
        index, size, path = record.leaf_index, record.tree_size, record.inclusion_path
        key = (record.log, size, record.runtime, record.signatures)
        leaf = merkle.leaf_hash(record.entry)
        known = self._known.get(key)
        if known is None or not _leads(known, leaf, index, size, path):
            checked = self._check(record, leaf)
            if isinstance(checked, Refused):
                return checked
            if len(self._known) >= self.CHECKPOINTS_MAX:
                del self._known[next(iter(self._known))]
            self._known[key] = known = checked
        elif len(known.proven) > self.PLACES_MAX:
            known.proven.clear()
        entry = _read(record.entry, record.log, index)
        if isinstance(entry, Refused):
            return entry
        refused = _ask(entry, record.ask)
        if refused is not None:
            return refused
        trust = self._trust
        version = trust.version if isinstance(trust, TrustRoot) else None
        return Verified(
            known.status, entry, record.log, index, size, known.root, record.runtime, version, False
        )

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
            return _unknown_log(origin)
        # 3, 4
        index, size, path = record.leaf_index, record.tree_size, record.inclusion_path
        root = merkle.root_from_path(leaf, index, size, path)
        if root is None:
            return _bad_shape(index, size, path)
        # 5
        try:
            body = checkpoint_body(origin, size, root, record.runtime)
        except CheckpointInvalid as error:
            return Refused(RefusalCode.MALFORMED, 1, str(error))
        lines = tuple((origin, line[:4], line[4:]) for line in record.signatures)
        note = Note(body, origin, size, root, record.runtime, lines)
        status = _accept(note, keys)
        return status if isinstance(status, Refused) else _Checkpoint(status, root, set())
