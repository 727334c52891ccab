"""One partition as this process owns it: what is adopted, and where it is on its way to ready."""

from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

from gate.core.lineage import Place, Standing
from gate.core.proof.merkle import Frontier
from gate.core.state import RecoveryTarget
from gate.core.values import LineageRecord
from gate.errors import StoreDamaged
from gate.ports import OffsetCommit, PartitionStore, StoreIdentity


class Phase(Enum):
    """How far a partition has come since it was assigned."""

    CHECKING = "checking"
    REPLAYING = "replaying"
    READY = "ready"
    STOPPED = "stopped"


@dataclass(slots=True, kw_only=True)
class Adopted:
    """What the last commit, or the last restore, made true of a ready partition."""

    place: Place
    standing: Standing
    fingerprint: int
    next_offset: int
    replay_from: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What was committed last for a partition, verified against itself."""

    committed: OffsetCommit
    target: RecoveryTarget
    lineage: LineageRecord
    frontier: Frontier
    identity: StoreIdentity
    cluster_id: str
    changelog_end: int


@dataclass(slots=True, kw_only=True)
class OwnedPartition:
    """A partition of the input that this process owns.

    `store` is open in every phase but `CHECKING` and `STOPPED`, where it may be closed.
    """

    number: int
    assigned_at_ms: int
    identity: StoreIdentity | None = None
    phase: Phase = Phase.CHECKING
    store: PartitionStore | None = None
    adopted: Adopted | None = None
    recovery: Recovery | None = None
    damage: str = ""
    """What was found damaged while deciding; the next assignment rebuilds the store."""
    has_rebuilt: bool = False
    aborts_alone: int = 0
    """Aborts in a row of transactions of this partition alone."""
    has_replayed: bool = False
    """Whether this assignment has applied a changelog record."""
    replayed_to: int = 0
    """The changelog's sequence that the restore under way has reached."""
    waits_for: str = ""
    """What held the last step of its assignment up, if something did."""
    signed_roots: dict[int, bytes] = field(default_factory=dict)
    """Roots signed since the last commit by tree size, aborted ones too: the fork assertion."""
    stop_cause: str = ""
    stop_text: str = ""
    retry_at_ms: int = 0

    @property
    def is_ready(self) -> bool:
        """Say whether its records may be decided."""
        return self.phase is Phase.READY

    @property
    def is_on_its_way(self) -> bool:
        """Say whether assignment goes on with it at the next turn."""
        return self.phase in {Phase.CHECKING, Phase.REPLAYING}

    def close(self) -> None:
        """Close the store, if it is open; adopted values are forgotten.

        A store that turns out to be damaged now is closed: its next opening says so again.
        """
        store, self.store, self.adopted = self.store, None, None
        if store is not None:
            with suppress(StoreDamaged):
                store.close()
