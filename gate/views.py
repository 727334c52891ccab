"""What a gate shows of itself: the values for probes and metrics, and the port that takes them.

Promises that a value is immutable and holds nothing of a payload or a key, so that any thread may
read and publish it. `design/operations.md` §4.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class PolicyView(NamedTuple):
    """A policy in force; `sha256` of its bundle's payload, hexadecimal."""

    policy: str
    version: str
    sha256: str


class PartitionView(NamedTuple):
    """An owned partition as operators see it; a count that is not known yet is -1.

    `phase` is `checking`, `replaying`, `ready` or `stopped`; `cause` is one of `STOP_CAUSES` while
    it is stopped, else empty; `text` says why it is stopped, or what it waits for.
    `restore_remaining` counts changelog records, `input_lag` offsets up to the end of the log.
    `is_input_pinned`: a transaction of somebody else has held the input's last stable offset for
    `INPUT_PIN_MS`, so nothing behind it can be read.
    """

    number: int
    phase: str
    cause: str
    text: str
    restore_remaining: int
    tree_size: int
    input_lag: int
    is_input_pinned: bool
    policies: tuple[PolicyView, ...]


class GateView(NamedTuple):
    """A gate as operators see it; `unreachable` says what is out of reach, if anything."""

    partitions: tuple[PartitionView, ...]
    is_producer_usable: bool
    unreachable: str


class Committed(NamedTuple):
    """What one committed transaction decided, counted.

    `decisions` by outcome and first reason, `quarantined` by reason, an append time for each
    record.
    """

    decisions: Mapping[tuple[str, str], int]
    quarantined: Mapping[str, int]
    append_times_ms: Sequence[int]
    committed_at_ms: int
    elapsed_ms: int


class Monitor(Protocol):
    """Watches a gate for probes and metrics, from the gate's own thread. Never raises."""

    def turned(self, view: GateView) -> None:
        """Take what the gate is like; a sign of life."""

    def stepped(self) -> None:
        """Take a sign of life between two steps of a turn that may each take a minute."""

    def committed(self, transaction: Committed) -> None:
        """Count a transaction, after its commit."""
