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

from collections.abc import Callable

from gate.core.proof import merkle
from gate.core.proof.attachments import check_attachments
from gate.core.proof.checkpoint import CheckpointInvalid, Note, read_note
from gate.core.proof.evidence import Evidence, EvidenceInvalid, read_evidence
from gate.core.proof.records import CheckpointVerifier, verify_decision_record
from gate.core.proof.steps import accept, bad_shape, read_leaf, unknown_log
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
from gate.core.trust import TrustRoot
from gate.core.values import Decision, Entry

__all__ = [
    "CheckpointVerifier",
    "DecideAgain",
    "verify_decision_record",
    "verify_evidence",
    "verify_fork",
]

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
    # 2, 3, 4, 5, 6
    status = _vouched(evidence, notes, trust)
    if isinstance(status, Refused):
        return status
    # 7
    if witnesses_min > 0:
        return Refused(RefusalCode.NOT_WITNESSED, 7, f"expected {witnesses_min} witnesses, got 0")
    # 8, 9
    entry = read_leaf(proof.entry, note.origin, proof.leaf_index)
    if isinstance(entry, Refused):
        return entry
    # 10
    re_decided = _attached(entry, evidence, trust, decide_again)
    if isinstance(re_decided, Refused):
        return re_decided
    # 11
    last = notes[-1]
    return Verified(
        status=status,
        entry=entry,
        origin=note.origin,
        leaf_index=proof.leaf_index,
        tree_size=last.size,
        root=last.root,
        runtime=last.runtime if status is Status.SIGNED else "",
        trust_root_version=trust.version if isinstance(trust, TrustRoot) else None,
        re_decided=re_decided,
    )


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
            return unknown_log(note.origin)
        status = accept(note, keys)
        if isinstance(status, Refused):
            return status
        notes.append(note)
    one, other = notes
    if one.origin != other.origin or one.size != other.size or one.root == other.root:
        return None
    return Fork(one.origin, one.size, (one.root, other.root))


def _vouched(evidence: Evidence, notes: list[Note], trust: Trust) -> Status | Refused:
    """Steps 2 to 6: return what vouches for the tree that holds the entry."""
    proof, note = evidence.proof, notes[0]
    # 2
    keys = log_keys(trust, note.origin)
    if keys is None:
        return unknown_log(note.origin)
    # 3
    leaf = merkle.leaf_hash(proof.entry)
    root = merkle.root_from_path(leaf, proof.leaf_index, note.size, proof.path)
    if root is None:
        return bad_shape(proof.leaf_index, note.size, proof.path)
    # 4
    if root != note.root:
        return Refused(RefusalCode.ROOT_MISMATCH, 4, "the path does not lead to the root")
    # 5, 6
    return _chain(evidence, notes, keys)


def _chain(evidence: Evidence, notes: list[Note], keys: LogKeys) -> Status | Refused:
    """Steps 5 and 6: return what vouches for the last checkpoint, to which all others lead."""
    status = accept(notes[0], keys)
    if isinstance(status, Refused) and status.code is RefusalCode.BAD_SIGNATURE:
        return status
    for before, note, link in zip(notes, notes[1:], evidence.later, strict=False):
        if note.origin != before.origin or not merkle.verify_consistency(
            before.size, before.root, note.size, note.root, link.consistency
        ):
            return Refused(
                RefusalCode.INCONSISTENT,
                6,
                f"checkpoint of size {note.size} does not continue the one of size {before.size}",
            )
        status = accept(note, keys)
        if isinstance(status, Refused):
            status = status._replace(step=6)
            if status.code is RefusalCode.BAD_SIGNATURE:
                return status
    return status


def _attached(
    entry: Entry, evidence: Evidence, trust: Trust, decide_again: DecideAgain | None
) -> bool | Refused:
    """Step 10: return whether deciding again gave the same bytes."""
    refused = check_attachments(entry, evidence, trust)
    if refused is not None:
        return refused
    if decide_again is None or not isinstance(entry, Decision):
        return False
    decided = decide_again(entry, evidence)
    if decided is not None and decided != evidence.proof.entry:
        return Refused(RefusalCode.REPLAY_DIFFERS, 10, "deciding again gives another entry")
    return decided is not None
