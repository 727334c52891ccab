"""What Genesis and accepted control records leave in the changelog, and the trust root in force.

Which parts must be there follows from the entry: a repetition of what is in force leaves none.
The trust roots are verified one from the other, because checkpoints are judged by them; whether an
activation was rightly accepted is what `replay` shows.
"""

import hashlib

from gate.audit.copies import Change, ChangelogWalk
from gate.audit.findings import Fault, Findings
from gate.audit.tree_walk import TrustChain
from gate.core import dsse, jcs
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.values import (
    CONTROL_POLICY_ENFORCE,
    CONTROL_TRUST_ROOT,
    Control,
    ControlStateRecord,
    Genesis,
)
from gate.ports import TopicPartition


class ControlWalk:
    """The control state of one partition, as far as the topics show it."""

    def __init__(self, changelog: ChangelogWalk, where: TopicPartition, findings: Findings) -> None:
        """Stand before Genesis."""
        self._changelog = changelog
        self._where = where
        self._findings = findings
        self._activations: dict[str, int] = {}
        self.chain = TrustChain()

    def begin(self, genesis: Genesis, entry: bytes) -> None:
        """Take Genesis's parts: itself, and the first trust root."""
        part = self._changelog.take(b"genesis", 0)
        if part is not None and _body(part) != entry:
            self._changelog.differs(part, "the Genesis of the lineage", "another")
        root = self._changelog.take(b"root/", 0, is_beginning=True)
        self._accept(None if root is None else _body(root), genesis.trust_root_sha256, 0)

    def advance(self, entry: Control, index: int) -> None:
        """Take the parts of an accepted control record."""
        digest = entry.digest.hex()
        if entry.kind == CONTROL_TRUST_ROOT:
            current = self.chain.current
            if current is not None and current.sha256 == entry.digest:
                return
            part = self._take(f"root/{entry.version}", entry, index)
            self._accept(None if part is None else _body(part), entry.digest, index)
            return
        if self._activations.get(entry.id, 0) >= entry.activation_sequence:
            return
        self._activations[entry.id] = entry.activation_sequence
        part = self._take(f"policy/{entry.id}/{entry.activation_sequence}", entry, index)
        if part is not None and _activated(_body(part)) != digest:
            self._changelog.differs(part, f"an activation of bundle {digest}", "another")
        if entry.kind == CONTROL_POLICY_ENFORCE:
            part = self._take(f"bundle/{digest}", entry, index)
            if part is not None and _payload_digest(_body(part)) != digest:
                self._changelog.differs(part, f"bundle {digest}", "another")

    def _take(self, key: str, entry: Control, index: int) -> Change | None:
        part = self._changelog.take(key.encode(), index)
        if part is not None and part.value.input_offset != entry.input_offset:
            expected = f"a part of input offset {entry.input_offset}"
            self._changelog.differs(part, expected, str(part.value.input_offset))
        return part

    def _accept(self, envelope: bytes | None, digest: bytes, index: int) -> None:
        text = self.chain.accept(envelope, digest)
        if text:
            self._findings.add(
                Fault.TRUST_ROOT_DIFFERS,
                self._where,
                expected=f"trust root {digest.hex()}",
                found=text,
                leaf_index=index,
            )


def _body(part: Change) -> bytes:
    return part.value.body if isinstance(part.value, ControlStateRecord) else b""


def _activated(body: bytes) -> str:
    try:
        value = jcs.parse(body, bytes_max=CONTROL_BYTES_MAX)
    except jcs.JsonInvalid:
        return ""
    return str(value.get("digest")) if isinstance(value, dict) else ""


def _payload_digest(body: bytes) -> str:
    try:
        return hashlib.sha256(dsse.read_envelope(body).payload).hexdigest()
    except dsse.EnvelopeInvalid:
        return ""
