"""One partition's lineage records, walked from Genesis: tree, checkpoints, trust.

Promises: the tree is built again from the leaf hashes; root, frontier and consistency proof of each
record are compared with it, and each checkpoint's signature with the trust root in force when it
was signed. After a hole or a record out of place the walk goes on from what the next record claims.

Leaves to others: whether the leaves are what the topics hold (`partition_audit`).
"""

import hashlib
from typing import NamedTuple

from gate.audit.findings import Fault, Findings
from gate.audit.kept_checkpoints import KeptCheckpoints
from gate.audit.kept_state import Values
from gate.core import dsse
from gate.core.proof.checkpoint import CheckpointInvalid, Note, read_note
from gate.core.proof.merkle import (
    EMPTY,
    HASH_BYTES,
    Frontier,
    append,
    frontier_bytes,
    read_frontier,
    root,
    verify_consistency,
)
from gate.core.proof.steps import accept
from gate.core.proof.verdict import Refused, log_keys
from gate.core.trust import TrustRoot, TrustRootInvalid, read_trust_root, verify_first, verify_next
from gate.core.values import LineageRecord
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_lineage_record
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition


class Step(NamedTuple):
    """One lineage record whose shape holds: the leaves it adds, and its place in the topic.

    `first_index` is below `record.prev_size` where records before it are missing. `sha256` is of
    the whole record.
    """

    offset: int
    sha256: bytes
    record: LineageRecord
    hashes: list[bytes]
    first_index: int
    is_first: bool


class TreeWalk:
    """What is known of a lineage after the records walked so far."""

    def __init__(self, where: TopicPartition, findings: Findings, kept: KeptCheckpoints) -> None:
        """Stand before Genesis; `kept` are compared on the way."""
        self._where = where
        self._findings = findings
        self.origin = ""
        self.size = 0
        self.next_offset = -1
        self.checkpoints = 0
        self.last_note: Note | None = None
        self.note_text = ""
        self._record_sha256 = b""
        self._is_root_sound = True
        self._kept = kept
        self._frontier: Frontier | None = EMPTY

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        frontier = self._frontier
        return {
            "origin": self.origin,
            "size": self.size,
            "next_offset": self.next_offset,
            "checkpoints": self.checkpoints,
            "note": self.note_text,
            "record_sha256": self._record_sha256.hex(),
            "is_root_sound": int(self._is_root_sound),
            "frontier": None if frontier is None else frontier_bytes(frontier).hex(),
        }

    def restore(self, kept: Values) -> None:
        """Stand where a walk stood. Raises `ConfigInvalid`."""
        self.origin = kept.text("origin")
        self.size = kept.number("size")
        self.next_offset = kept.number("next_offset")
        self.checkpoints = kept.number("checkpoints")
        self.note_text = kept.text("note")
        self._record_sha256 = kept.data("record_sha256")
        self._is_root_sound = bool(kept.number("is_root_sound"))
        has_frontier = kept.values.get("frontier") is not None
        self._frontier = read_frontier(self.size, kept.data("frontier")) if has_frontier else None
        if has_frontier and self._frontier is None:
            raise ConfigInvalid(f"resume file: expected a frontier of size {self.size}")
        try:
            self.last_note = read_note(self.note_text) if self.note_text else None
        except CheckpointInvalid as fault:
            raise ConfigInvalid(f"resume file: checkpoint of `{self.origin}`: {fault}") from fault

    def differs_from(self, log_record: LogRecord | None) -> str:
        """Say what the record that was walked last is instead; empty where it is the very one."""
        if log_record is None:
            return "none"
        value = log_record.value or b""
        try:
            record = read_lineage_record(value)
        except WireError as fault:
            return f"a record that does not read: {fault}"
        is_root = self._frontier is None or root(self._frontier) == record.root
        is_same = hashlib.sha256(value).digest() == self._record_sha256
        if is_same and (is_root or not self._is_root_sound):
            return ""
        return f"`{record.log}` size {record.tree_size} root {record.root.hex()}"

    def step(self, log_record: LogRecord, trust: TrustRoot | None) -> Step | None:
        """Read the next record and place it; `None` for one that does not continue the lineage.

        Only a checkpoint that holds under `trust` leads over a hole: sizes are believed to nobody.
        """
        offset = log_record.offset
        try:
            record = read_lineage_record(log_record.value or b"")
        except WireError as fault:
            self._add(Fault.UNREADABLE, "a lineage record", str(fault), offset)
            return None
        is_first = self.origin == ""
        self.origin = self.origin or record.log
        if record.log != self.origin:
            self._add(Fault.LINEAGE_BROKEN, f"log `{self.origin}`", f"`{record.log}`", offset)
            return None
        count = record.tree_size - record.prev_size
        if record.prev_size < 0 or count <= 0 or len(record.leaf_hashes) != count * HASH_BYTES:
            found = f"sizes {record.prev_size} to {record.tree_size}"
            found += f" with {len(record.leaf_hashes)} bytes of leaf hashes"
            self._add(Fault.LINEAGE_BROKEN, "leaf hashes for each new leaf", found, offset)
            return None
        if record.prev_size != self.size:
            found = f"{record.prev_size} to {record.tree_size}"
            self._add(Fault.LINEAGE_BROKEN, f"growth from size {self.size}", found, offset)
            if record.prev_size < self.size or not _is_vouched_for(record, trust):
                return None
            self._frontier = None
        elif self.next_offset not in (-1, record.first_offset):
            expected = f"input from offset {self.next_offset}"
            self._add(Fault.LINEAGE_BROKEN, expected, str(record.first_offset), offset)
        data = record.leaf_hashes
        hashes = [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]
        digest = hashlib.sha256(log_record.value or b"").digest()
        return Step(offset, digest, record, hashes, self.size, is_first)

    def judge(self, step: Step, trust: TrustRoot | None) -> None:
        """Judge tree and checkpoint under the trust root in force before it; stand after it."""
        record = step.record
        self._kept.compare(record, step.hashes, self._frontier, step.offset)
        self._judge_tree(step)
        self._judge_note(step, trust)
        self.size, self.next_offset = record.tree_size, record.next_offset
        self._record_sha256 = step.sha256
        self.checkpoints += 1

    def _judge_tree(self, step: Step) -> None:
        record, before, offset = step.record, self._frontier, step.offset
        claimed = read_frontier(record.tree_size, record.frontier)
        self._is_root_sound = claimed is not None and root(claimed) == record.root
        if not self._is_root_sound:
            self._add(Fault.ROOT_DIFFERS, "a frontier of this root", "another", offset)
        self._frontier = claimed
        if before is None:
            return
        grown = append(before, step.hashes)
        self._frontier = grown.frontier
        self._is_root_sound = grown.root == record.root
        if grown.root != record.root:
            expected = f"root {grown.root.hex()} of the leaf hashes"
            self._add(Fault.ROOT_DIFFERS, expected, record.root.hex(), offset)
        if frontier_bytes(grown.frontier) != record.frontier:
            self._add(Fault.ROOT_DIFFERS, "the frontier of the leaf hashes", "another", offset)
        if before.size == 0:
            is_consistent = record.consistency == b""
        else:
            is_consistent = verify_consistency(
                before.size, root(before), record.tree_size, record.root, record.consistency
            )
        if not is_consistent:
            expected = f"a proof from size {before.size} to {record.tree_size}"
            self._add(Fault.NOT_CONSISTENT, expected, "one that does not hold", offset)

    def _judge_note(self, step: Step, trust: TrustRoot | None) -> None:
        record, offset = step.record, step.offset
        try:
            note = read_note(record.checkpoint)
        except CheckpointInvalid as fault:
            self._add(Fault.UNREADABLE, "a checkpoint", str(fault), offset)
            return
        self.last_note, self.note_text = note, record.checkpoint
        said = (note.origin, note.size, note.root)
        if said != (record.log, record.tree_size, record.root):
            expected = f"a checkpoint of size {record.tree_size} and root {record.root.hex()}"
            found = f"`{note.origin}` size {note.size} root {note.root.hex()}"
            self._add(Fault.ROOT_DIFFERS, expected, found, offset)
        text = not_vouched_for(note, trust)
        if text:
            self._add(Fault.NOT_SIGNED, "a checkpoint under an active key", text, offset)

    def _add(self, fault: Fault, expected: str, found: str, offset: int) -> None:
        self._findings.add(fault, self._where, expected=expected, found=found, offset=offset)


def not_vouched_for(note: Note, trust: TrustRoot | None) -> str:
    """Return why nothing vouches for the checkpoint under this trust root; empty if something."""
    keys = None if trust is None else log_keys(trust, note.origin)
    if keys is None:
        return "no trust root that lists this log"
    accepted = accept(note, keys)
    return accepted.text if isinstance(accepted, Refused) else ""


def _is_vouched_for(record: LineageRecord, trust: TrustRoot | None) -> bool:
    try:
        note = read_note(record.checkpoint)
    except CheckpointInvalid:
        return False
    is_its_own = (note.origin, note.size, note.root) == (record.log, record.tree_size, record.root)
    return is_its_own and not not_vouched_for(note, trust)


def settled_size(reader: LogReader, where: TopicPartition) -> int | None:
    """Return the size of the lineage's newest record; `None` while its end is undecided."""
    ends = reader.ends([where])[where]
    last = reader.last(where)
    if ends.last_stable < ends.high_watermark:
        return None
    try:
        return 0 if last is None else read_lineage_record(last.value or b"").tree_size
    except WireError:
        return 0


class TrustChain:
    """The trust root in force along a lineage, verified from the one that Genesis names."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.current: TrustRoot | None = None
        self.digests: dict[int, bytes] = {}
        self._envelope: bytes | None = None

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {
            "envelope": "" if self._envelope is None else self._envelope.hex(),
            "digests": {str(version): digest.hex() for version, digest in self.digests.items()},
        }

    def restore(self, kept: Values, anchor: TrustRoot | None) -> None:
        """Stand where a chain stood; `anchor` is in force where no envelope was accepted.

        Raises `ConfigInvalid`.
        """
        digests = kept.part("digests")
        self.digests = {int(version): digests.data(version) for version in digests.values}
        envelope = kept.data("envelope")
        self.current = anchor if self.digests else None
        if envelope:
            self._envelope = envelope
            try:
                self.current = read_trust_root(dsse.read_envelope(envelope).payload)
            except (TrustRootInvalid, dsse.EnvelopeInvalid) as fault:
                raise ConfigInvalid(f"resume file: trust root: {fault}") from fault

    def begin_with(self, anchor: TrustRoot) -> None:
        """Put the auditor's own trust root in force, which no envelope shows."""
        self.current = anchor
        self.digests[anchor.version] = anchor.sha256

    def accept(self, envelope: bytes | None, digest: bytes) -> str:
        """Put a trust root in force; return what is wrong with it, empty if nothing is.

        `digest` is what the lineage names. The first is verified by its own keys, each later one
        by those of its predecessor, too. One that does not hold leaves what is in force.
        """
        if envelope is None:
            return f"trust root {digest.hex()} stands nowhere in the changelog"
        try:
            if self.current is not None and _payload_sha256(envelope) == self.current.sha256:
                found = self.current
            elif self.current is None:
                found = verify_first(envelope)
            else:
                found = verify_next(self.current, envelope)
        except (TrustRootInvalid, dsse.EnvelopeInvalid) as fault:
            return str(fault)
        if found.sha256 != digest:
            return f"trust root {found.sha256.hex()} in place of {digest.hex()}"
        self.current, self._envelope = found, envelope
        self.digests[found.version] = found.sha256
        return ""


def _payload_sha256(envelope: bytes) -> bytes:
    return read_trust_root(dsse.read_envelope(envelope).payload).sha256
