"""The state store with faults and forgetting.

As RocksDB without its write-ahead log: a crash keeps everything flushed and, by chance, some of
what was applied after it, always as an exact prefix. `damage` makes a partition's store raise
`StoreDamaged` until it is moved aside; `restore_old` brings back an earlier prefix (an old backup).
"""

from collections.abc import Sequence

from gate.adapters.memory import MemoryPartition
from gate.errors import StoreDamaged
from gate.ports import AppliedPosition, StateChange, StoreIdentity
from tests.simulation.world import Boundary, World

_Batch = tuple[tuple[StateChange, ...], AppliedPosition, StoreIdentity]


class SimulatedPartition:
    """Implements `gate.ports.PartitionStore`."""

    def __init__(self, world: World, partition: int) -> None:
        self._world = world
        self._partition = partition
        self._content = MemoryPartition()
        self._batches: list[_Batch] = []
        self._flushed = 0
        self.is_damaged = False

    def identity(self) -> StoreIdentity | None:
        self._check()
        return self._content.identity()

    def position(self) -> AppliedPosition:
        self._check()
        return self._content.position()

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        with self._world.crossing(Boundary.STORE_GET):
            self._check()
            return self._content.get_many(keys)

    def control_items(self) -> Sequence[tuple[bytes, bytes]]:
        self._check()
        return self._content.control_items()

    def apply(
        self,
        changes: Sequence[StateChange],
        position: AppliedPosition,
        identity: StoreIdentity,
    ) -> None:
        with self._world.crossing(Boundary.APPLY):
            self._check()
            self._batches.append((tuple(changes), position, identity))
            self._content.apply(changes, position, identity)

    def flush(self) -> None:
        with self._world.crossing(Boundary.FLUSH):
            self._check()
            self._flushed = len(self._batches)

    def close(self) -> None:
        self._flushed = len(self._batches)

    def keep(self, batch_count: int) -> None:
        """Fall back to the first so many batches."""
        del self._batches[batch_count:]
        self._flushed = min(self._flushed, batch_count)
        self._content = MemoryPartition()
        for changes, position, identity in self._batches:
            self._content.apply(changes, position, identity)

    def crash(self) -> None:
        """Lose some of what was not flushed."""
        self.keep(self._world.random.randint(self._flushed, len(self._batches)))

    def batch_count(self) -> int:
        return len(self._batches)

    def _check(self) -> None:
        if self.is_damaged:
            text = f"simulated: store of partition {self._partition} is damaged"
            raise StoreDamaged(text)


class SimulatedStateStore:
    """Implements `gate.ports.StateStore`: one slot's folder, outliving its processes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.partitions: dict[int, SimulatedPartition] = {}
        self.aside: list[SimulatedPartition] = []

    def open(self, partition: int) -> SimulatedPartition:
        with self._world.crossing(Boundary.STORE_OPEN):
            found = self.partitions.get(partition)
            if found is None:
                found = self.partitions[partition] = SimulatedPartition(self._world, partition)
            found.position()
            return found

    def move_aside(self, partition: int) -> str:
        self.aside.append(self.partitions.pop(partition))
        return f"{partition}.damaged-{len(self.aside)}"

    def crash(self) -> None:
        """The process died: each store falls back to a prefix."""
        for partition in self.partitions.values():
            partition.crash()

    def damage(self, partition: int) -> None:
        self.partitions[partition].is_damaged = True

    def restore_old(self, partition: int, batch_count: int) -> None:
        """Bring back the store as it was after so many batches."""
        self.partitions[partition].keep(batch_count)

    def wipe(self) -> None:
        """Lose the disk."""
        self.partitions.clear()
