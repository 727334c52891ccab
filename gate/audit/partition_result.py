"""What the audit of one partition gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gate.core.proof.checkpoint import Note
from gate.core.trust import TrustRoot
from gate.core.values import Genesis


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionCounts:
    """What was counted in one partition.

    `input_records` were there and compared, `input_gone` are entries whose record is no longer
    kept. `pending` counts, by topic, what lies past the audited end.
    """

    partition: int
    origin: str
    tree_size: int
    checkpoints: int
    next_offset: int
    input_records: int
    input_gone: int
    approved: int
    denied: int
    denied_by: Mapping[str, int]
    control: int
    gaps: int
    quarantined: int
    pending: Mapping[str, int]


class PartitionResult(NamedTuple):
    """Counts, and what holds beyond the partition."""

    counts: PartitionCounts
    genesis: Genesis | None
    trust: TrustRoot | None
    trust_digests: Mapping[int, bytes]
    last_note: Note | None
