"""What Genesis and accepted control records leave in the changelog, and the trust root in force.

Which parts must be there follows from the entry: a repetition of what is in force leaves none.
The trust roots are verified one from the other, because checkpoints are judged by them, and each
bundle's authors; whether an activation was rightly accepted is what `replay` shows.
"""

import hashlib

from gate.audit.copies import Change, ChangelogWalk
from gate.audit.findings import Fault, Findings
from gate.audit.kept_state import Values
from gate.audit.tree_walk import TrustChain
from gate.core import dsse, jcs
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.trust import TrustRoot, signed_by
from gate.core.values import (
    CONTROL_POLICY_ENFORCE,
    CONTROL_TRUST_ROOT,
    Control,
    ControlStateRecord,
    Genesis,
)
from gate.core.wire.control_record import read_control_record
from gate.core.wire.reader import WireError
from gate.ports import LogRecord, TopicPartition

_BEFORE_ANY_INPUT = -1
"""The input offset of what a lineage begins with."""


class ControlWalk:
    """The control state of one partition, as far as the topics show it."""

    def __init__(
        self,
        changelog: ChangelogWalk,
        where: TopicPartition,
        findings: Findings,
        anchor: TrustRoot | None,
    ) -> None:
        """Stand before Genesis; `anchor` is the auditor's own trust root."""
        self._changelog = changelog
        self._where = where
        self._findings = findings
        self._anchor = anchor
        self._activations: dict[str, int] = {}
        self._root_sha256 = b""
        self.chain = TrustChain()

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {
            "activations": dict(self._activations),
            "root_sha256": self._root_sha256.hex(),
            "chain": self.chain.state(),
        }

    def restore(self, kept: Values) -> None:
        """Stand where a walk stood. Raises `ConfigInvalid`."""
        self._activations = kept.numbers("activations")
        self._root_sha256 = kept.data("root_sha256")
        self.chain.restore(kept.part("chain"), self._anchor)

    def begin(self, genesis: Genesis, entry: bytes) -> None:
        """Take Genesis's parts: itself, and the first trust root."""
        part = self._changelog.take(b"genesis", 0)
        if part is not None and _body(part) != entry:
            self._changelog.differs(part, "the Genesis of the lineage", "another")
        root = self._changelog.take(b"root/", 0, is_beginning=True)
        self._check_offset(part, _BEFORE_ANY_INPUT)
        self._check_offset(root, _BEFORE_ANY_INPUT)
        self._accept(None if root is None else _body(root), genesis.trust_root_sha256, 0)

    def advance(self, entry: Control, index: int, source: LogRecord | None) -> None:
        """Take the parts of an accepted control record; `source` is its input, where kept."""
        digest = entry.digest.hex()
        if entry.kind == CONTROL_TRUST_ROOT:
            if self._root_sha256 == entry.digest:
                return
            part = self._take(f"root/{entry.version}", entry, index)
            self._accept(None if part is None else _body(part), entry.digest, index)
            return
        if self._activations.get(entry.id, 0) >= entry.activation_sequence:
            return
        self._activations[entry.id] = entry.activation_sequence
        part = self._take(f"policy/{entry.id}/{entry.activation_sequence}", entry, index)
        if part is not None and not _is_activation(_body(part), entry, source):
            self._changelog.differs(part, f"the activation of bundle {digest}", "another")
        if entry.kind == CONTROL_POLICY_ENFORCE:
            part = self._take(f"bundle/{digest}", entry, index)
            text = "" if part is None else self._not_the_bundle(_body(part), entry)
            if part is not None and text:
                self._changelog.differs(part, f"bundle {digest} by its authors", text)

    def _not_the_bundle(self, body: bytes, entry: Control) -> str:
        root = self.chain.current
        try:
            envelope = dsse.read_envelope(body)
            if root is not None:
                signed_by(root.author_keys(entry.id), envelope, dsse.POLICY)
        except dsse.EnvelopeInvalid as fault:
            return str(fault)
        found = hashlib.sha256(envelope.payload).digest()
        return "" if found == entry.digest else f"bundle {found.hex()}"

    def _take(self, key: str, entry: Control, index: int) -> Change | None:
        part = self._changelog.take(key.encode(), index)
        self._check_offset(part, entry.input_offset)
        return part

    def _check_offset(self, part: Change | None, offset: int) -> None:
        if part is not None and part.value.input_offset != offset:
            expected = f"a part of input offset {offset}"
            self._changelog.differs(part, expected, str(part.value.input_offset))

    def _accept(self, envelope: bytes | None, digest: bytes, index: int) -> None:
        self._root_sha256 = digest
        anchor = self._anchor
        text = self.chain.accept(envelope, digest)
        if text and index == 0 and anchor is not None and anchor.sha256 == digest:
            self.chain.begin_with(anchor)
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


def _is_activation(body: bytes, entry: Control, source: LogRecord | None) -> bool:
    """Tell whether a part says of the activation what its entry, and its input, say."""
    try:
        value = jcs.parse(body, bytes_max=CONTROL_BYTES_MAX)
        if not isinstance(value, dict):
            return False
        if source is not None:
            envelope = read_control_record(source.value or b"").envelope
            if value.get("envelope") != hashlib.sha256(envelope).hexdigest():
                return False
    except (jcs.JsonInvalid, WireError):
        return False
    mode = "enforce" if entry.kind == CONTROL_POLICY_ENFORCE else "withdraw"
    expected = (entry.digest.hex(), mode, str(entry.sequence))
    return (value.get("digest"), value.get("mode"), value.get("sequence")) == expected
