"""Lineage: a partition's records become leaves and state changes.

Pure, so that the runtime and `gate replay` run the same code. Everything is provisional until the
transaction has committed; dropping the returned values is the whole of an abort. What becomes of
the leaves is `sealing`'s.
"""

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from typing import NamedTuple, Protocol

from gate.core.admission import (
    Admission,
    Prepared,
    Setting,
    admit,
    prepare,
    unread,
    without_detail,
)
from gate.core.control.judge import Accepted, Rejected, judge_control
from gate.core.control.state import ControlState
from gate.core.limits import (
    ENTRY_BYTES_MAX,
)
from gate.core.placement import input_sha256
from gate.core.policy.compiled import Policy
from gate.core.proof.merkle import Frontier
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import (
    APPROVED,
    DENIED,
    ENFORCED,
    ActionRequest,
    AdmissionRecord,
    Control,
    ControlStateRecord,
)
from gate.core.wire.changelog import (
    encode_admission_record,
    encode_control_state,
    read_admission_record,
)
from gate.core.wire.control_record import is_control_record
from gate.core.wire.entry import decision_block, encode_control, encode_decision

Headers = tuple[tuple[str, bytes], ...]
_NO_POLICY_DIGEST = bytes(32)
_UNREAD = ActionRequest("", "", "", "", "", (), (), 0, None, "", None, b"", b"")
"""What an entry says of a request that could not be read."""


class InputRecord(Protocol):
    """A consumed record, as far as the core sees it."""

    @property
    def offset(self) -> int:
        """Its offset in the input partition."""

    @property
    def append_time_ms(self) -> int:
        """When the broker appended it; the only clock of a decision."""

    @property
    def key(self) -> bytes | None:
        """The record key."""

    @property
    def value(self) -> bytes | None:
        """The record value."""

    @property
    def headers(self) -> Headers:
        """Passed on, never decisive."""


class Place(NamedTuple):
    """What never changes in one lineage."""

    origin: str
    partition: int
    partition_count: int
    salts: Callable[[int], bytes]
    judging: MutableSequence[int] | None = None
    """Where, by partition, the offset under judgement is noted: what a fatal signal leaves behind
    (`design/bad-input.md` §3). No answer depends on it."""


class Standing(NamedTuple):
    """Where a lineage stands between two batches. Adopted only after a commit."""

    control: ControlState
    frontier: Frontier
    sequence: int
    prev_input_offset: int
    last_approved: int
    last_denied: int
    last_quarantine: int


class Leaf(NamedTuple):
    """One judged record: its entry, and what is produced for it."""

    entry: bytes
    input: InputRecord
    admission: Admission | None
    """`None` for an accepted control record."""


class Judged(NamedTuple):
    """The answers to a batch of one partition's records, in order."""

    leaves: Sequence[Leaf]
    changes: Sequence[tuple[bytes, bytes, bool]]
    """State key or reserved key, changelog value, whether it is control state."""
    control: ControlState
    sequence: int
    refusals: tuple[Rejected, ...]


class Keyed(NamedTuple):
    """A batch after steps 1 to 4; the state keys to be fetched are in `state_keys`."""

    items: Sequence[tuple[InputRecord, Prepared | None]]
    state_keys: Sequence[bytes]


def is_control(record: InputRecord) -> bool:
    """Tell a control record by its fingerprint; it must be the last of its batch."""
    return is_control_record(record.value)


def setting_of(place: Place, control: ControlState) -> Setting:
    """Return what surrounds the partition's records while this control state stands."""
    genesis = control.genesis
    return Setting(
        domain=genesis.domain,
        audience=f"{genesis.domain}/{genesis.gate}",
        partition=place.partition,
        partition_count=place.partition_count,
        trust=control.trust_root,
        policies=control.by_action(),
    )


def key_records(records: Sequence[InputRecord], *, place: Place, control: ControlState) -> Keyed:
    """Decode and key a batch. A control record may only be the last one."""
    setting = setting_of(place, control)
    items: list[tuple[InputRecord, Prepared | None]] = []
    state_keys = []
    judging, partition = place.judging, place.partition
    for record in records:
        if judging is not None:
            judging[partition] = record.offset
        if is_control_record(record.value):
            items.append((record, None))
            continue
        prepared = prepare(
            record.key, record.value, append_time_ms=record.append_time_ms, setting=setting
        )
        items.append((record, prepared))
        if prepared.state_key and not prepared.reasons:
            state_keys.append(prepared.state_key)
    assert all(prepared for _, prepared in items[:-1]), "a control record is last of its batch"
    return Keyed(items, state_keys)


def judge(
    keyed: Keyed, taken: Mapping[bytes, bytes], *, place: Place, standing: Standing
) -> Judged:
    """Judge a keyed batch; `taken` holds the known admission records by state key.

    INVARIANT (one entry per record): each item below becomes exactly one leaf.
    INVARIANT (overlay): a key approved earlier in the batch is taken for the rest of it.
    """
    batch = _Judging(place, standing, taken)
    judging, partition = place.judging, place.partition
    for record, prepared in keyed.items:
        if judging is not None:
            judging[partition] = record.offset
        if prepared is None:
            batch.take_control(record)
        else:
            batch.take_request(record, prepared)
    return Judged(batch.leaves, batch.changes, batch.control, batch.sequence, batch.refusals)


class _Judging:
    """A batch under judgement: what its records so far have become."""

    __slots__ = (
        "_blocks",
        "_index",
        "_overlay",
        "_place",
        "_prev_offset",
        "_setting",
        "changes",
        "control",
        "leaves",
        "refusals",
        "sequence",
    )

    def __init__(self, place: Place, standing: Standing, taken: Mapping[bytes, bytes]) -> None:
        self.leaves: list[Leaf] = []
        self.changes: list[tuple[bytes, bytes, bool]] = []
        self.control = standing.control
        self.sequence = standing.sequence
        self.refusals: tuple[Rejected, ...] = ()
        self._place = place
        self._blocks = _Blocks(place, standing.control)
        self._setting = setting_of(place, standing.control)
        self._overlay = dict(taken)
        self._prev_offset = standing.prev_input_offset
        self._index = standing.frontier.size

    def take_request(self, record: InputRecord, prepared: Prepared) -> None:
        state_key = prepared.state_key
        known = self._overlay.get(state_key) if state_key else None
        admission = admit(
            prepared,
            None if known is None else read_admission_record(known),
            append_time_ms=record.append_time_ms,
            setting=self._setting,
        )
        leaf = self._decided(admission, record)
        if leaf.admission is admission and admission.approved:
            self.sequence += 1
            change = encode_admission_record(
                AdmissionRecord(
                    self.sequence,
                    self._blocks.epoch,
                    self._index,
                    record.offset,
                    admission.ask_sha256,
                )
            )
            self._overlay[state_key] = change
            self.changes.append((state_key, change, False))
        self._append(leaf)

    def take_control(self, record: InputRecord) -> None:
        verdict = _judge_control(record, self.control)
        if isinstance(verdict, Rejected):
            self.refusals = (verdict,)
            reason = Reason(Code.CONTROL_REJECTED, Phase.CONTROL, field=verdict.field)
            self._append(self._decided(unread(reason), record))
            return
        self.control = verdict.state
        for key, body in verdict.parts:
            self.sequence += 1
            part = ControlStateRecord(self.sequence, self._index, record.offset, body)
            self.changes.append((key, encode_control_state(part), True))
        self._append(Leaf(_control_entry(verdict, record, self._prev_offset), record, None))

    def _decided(self, admission: Admission, record: InputRecord) -> Leaf:
        entry = self._entry(admission, record)
        if len(entry) > ENTRY_BYTES_MAX:
            admission = without_detail(admission)
            entry = self._entry(admission, record)
        return Leaf(entry, record, admission)

    def _entry(self, admission: Admission, record: InputRecord) -> bytes:
        request, offset = admission.request or _UNREAD, record.offset
        return encode_decision(
            self._blocks.of(admission.policy),
            offset,
            self._prev_offset,
            record.append_time_ms,
            input_sha256(record.key, record.value),
            admission.ask_sha256,
            self._place.salts(offset),
            request.request_id,
            request.actor,
            request.action,
            request.resource,
            request.correlation_id,
            admission.actor_verified,
            admission.admission_key,
            APPROVED if admission.approved else DENIED,
            admission.reasons,
            admission.inputs,
            (),
            admission.constraints,
            admission.first,
            admission.expires_ms,
        )

    def _append(self, leaf: Leaf) -> None:
        self.leaves.append(leaf)
        self._prev_offset = leaf.input.offset
        self._index += 1


def _judge_control(record: InputRecord, control: ControlState) -> Accepted | Rejected:
    assert record.value is not None, "a control record has a value"
    return judge_control(
        record.key, record.value, append_time_ms=record.append_time_ms, state=control
    )


class _Blocks:
    """The constant part of a decision, encoded once per policy."""

    __slots__ = ("_blocks", "_control", "_place", "epoch")

    def __init__(self, place: Place, control: ControlState) -> None:
        self._place = place
        self._control = control
        self._blocks: dict[bytes, bytes] = {}
        self.epoch = control.genesis.epoch

    def of(self, policy: Policy | None) -> bytes:
        digest = _NO_POLICY_DIGEST if policy is None else policy.sha256
        block = self._blocks.get(digest)
        if block is None:
            block = self._blocks[digest] = self._encode(policy, digest)
        return block

    def _encode(self, policy: Policy | None, digest: bytes) -> bytes:
        genesis, root = self._control.genesis, self._control.trust_root
        return decision_block(
            mode=ENFORCED,
            domain=genesis.domain,
            gate=genesis.gate,
            input_topic=genesis.topic,
            input_partition=genesis.partition,
            epoch=genesis.epoch,
            engine=genesis.engine if policy is None else policy.bundle.engine,
            trust_root_version=root.version,
            trust_root_sha256=root.sha256,
            policy_id="" if policy is None else policy.bundle.policy,
            policy_version="" if policy is None else policy.bundle.version,
            policy_sequence=0 if policy is None else policy.bundle.sequence,
            policy_sha256=digest,
        )


def _control_entry(accepted: Accepted, record: InputRecord, prev_offset: int) -> bytes:
    return encode_control(
        Control(
            kind=accepted.kind,
            input_offset=record.offset,
            prev_input_offset=prev_offset,
            input_time_ms=record.append_time_ms,
            input_sha256=input_sha256(record.key, record.value),
            id=accepted.id,
            version=accepted.version,
            sequence=accepted.sequence,
            digest=accepted.digest,
            activation_sequence=accepted.activation_sequence,
            signers=accepted.signers,
        )
    )
