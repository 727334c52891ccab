"""Values that travel through the core: the request, its claims, and the answer.

NamedTuples, because one of each is made per record: a frozen dataclass costs ten times as much.
"""

from typing import NamedTuple, NewType

from gate.core.reasons import Reason

Value = bool | int | str | bytes | tuple[str, ...]
"""A parameter's or a signal's value. Exact types: a `bool` is never taken for an `int`."""

Parameters = tuple[tuple[str, Value], ...]
"""Names and values, strictly ascending by name."""

KeyId = NewType("KeyId", str)
"""Names a public key: `signature.key_id()` of its 32 bytes."""


class Attestation(NamedTuple):
    """A statement by a third party, unverified: a claim."""

    statement: bytes
    key_id: str
    signature: bytes


class RequestSignature(NamedTuple):
    """The requester's signature, unverified."""

    key_id: str
    signature: bytes


class ActionRequest(NamedTuple):
    """A readable request; every claim in it is still unverified.

    `ask` is the framed ask cut from the request's own bytes, `signed_bytes` what the requester
    signed (before the pre-authentication encoding).
    """

    audience: str
    request_id: str
    actor: str
    action: str
    resource: str
    parameters: Parameters
    attestations: tuple[Attestation, ...]
    issued_at_ms: int
    expires_at_ms: int | None
    correlation_id: str
    signature: RequestSignature | None
    ask: bytes
    signed_bytes: bytes


class Ask(NamedTuple):
    """What would be executed."""

    actor: str
    action: str
    resource: str
    parameters: Parameters


class SignalStatement(NamedTuple):
    """A readable statement; a claim until its signature is checked."""

    domain: str
    issuer: str
    subject_type: str
    subject: str
    signals: Parameters
    issued_ms: int
    expires_ms: int


class Evaluated(NamedTuple):
    """One declared input that passed its checks; `source` is `ask`, `default` or the issuer."""

    name: str
    source: str
    value: Value
    key_id: str = ""
    statement_sha256: bytes = bytes(32)
    issued_ms: int = 0


class Approval(NamedTuple):
    """One approval that counted."""

    rule: str
    role: str
    holder: str
    key_id: str
    statement_sha256: bytes


class First(NamedTuple):
    """The decision that took an admission key."""

    epoch: int
    leaf_index: int
    input_offset: int


class Decision(NamedTuple):
    """Every field of a Decision entry, in schema order."""

    mode: int
    domain: str
    gate: str
    input_topic: str
    input_partition: int
    epoch: int
    engine: str
    trust_root_version: int
    trust_root_sha256: bytes
    policy_id: str
    policy_version: str
    policy_sequence: int
    policy_sha256: bytes
    input_offset: int
    prev_input_offset: int
    input_time_ms: int
    input_sha256: bytes
    ask_sha256: bytes
    salt: bytes
    request_id: str
    actor: str
    action: str
    resource: str
    correlation_id: str
    actor_verified: bool
    admission_key: bytes
    outcome: int
    reasons: tuple[Reason, ...]
    evaluated: tuple[Evaluated, ...]
    approvals: tuple[Approval, ...]
    constraints: Parameters
    first: First | None
    expires_ms: int | None


SHADOW, ENFORCED = 0, 1
DENIED, APPROVED = 0, 1


class ClosedLineage(NamedTuple):
    """A lineage that Genesis continues."""

    origin: str
    size: int
    root: bytes


class PinnedSchema(NamedTuple):
    """A schema named by Genesis."""

    name: str
    fingerprint: bytes
    sha256: bytes


class Genesis(NamedTuple):
    """Leaf 0 of a lineage, in schema order."""

    domain: str
    gate: str
    cluster_id: str
    topic: str
    topic_id: str
    partition: int
    partition_count: int
    epoch: int
    first_offset: int
    previous: tuple[ClosedLineage, ...]
    engine: str
    limits: tuple[tuple[str, int], ...]
    schemas: tuple[PinnedSchema, ...]
    lineage_secret_sha256: bytes
    trust_root_sha256: bytes


CONTROL_NONE, CONTROL_TRUST_ROOT, CONTROL_POLICY_ENFORCE, CONTROL_POLICY_WITHDRAW = 0, 1, 2, 3


class Control(NamedTuple):
    """An accepted control record's entry, in schema order."""

    kind: int
    input_offset: int
    prev_input_offset: int
    input_time_ms: int
    input_sha256: bytes
    id: str
    version: str
    sequence: int
    digest: bytes
    activation_sequence: int
    signers: tuple[str, ...]


class Gap(NamedTuple):
    """Input offsets that no decision covers, in schema order."""

    first_offset: int
    last_offset: int
    prev_input_offset: int
    cause: str
    order: bytes


Entry = Genesis | Control | Decision | Gap


class ControlRecord(NamedTuple):
    """A control record as read; `kind` 1 is a trust root, 2 a policy activation."""

    kind: int
    envelope: bytes


class DecisionRecord(NamedTuple):
    """A decision with its proof, in schema order."""

    entry: bytes
    log: str
    leaf_index: int
    tree_size: int
    inclusion_path: bytes
    runtime: str
    signatures: tuple[bytes, ...]
    ask: bytes


class LineageEntry(NamedTuple):
    """A leaf that is not a decision; `index` in the schema."""

    leaf_index: int
    entry: bytes


class LineageRecord(NamedTuple):
    """One partition's growth in one transaction, in schema order."""

    log: str
    prev_size: int
    tree_size: int
    root: bytes
    consistency: bytes
    frontier: bytes
    leaf_hashes: bytes
    entries: tuple[LineageEntry, ...]
    first_offset: int
    next_offset: int
    checkpoint: str
    target: str


class AdmissionRecord(NamedTuple):
    """An approved admission key's changelog value, in schema order."""

    sequence: int
    epoch: int
    leaf_index: int
    input_offset: int
    ask_sha256: bytes


class ControlStateRecord(NamedTuple):
    """A part of the control state: a changelog value, in schema order."""

    sequence: int
    leaf_index: int
    input_offset: int
    body: bytes
