"""The state store in memory: for tests, and for tools that rebuild state from the topics.

Promises what the port promises, within one process: a partition closed and opened again still has
its content.
"""

from collections.abc import Sequence
from itertools import count

from gate.ports import EMPTY_POSITION, AppliedPosition, StateChange, StoreIdentity


class MemoryPartition:
    """Implements `gate.ports.PartitionStore`."""

    def __init__(self) -> None:
        self._admissions: dict[bytes, bytes] = {}
        self._control: dict[bytes, bytes] = {}
        self._position = EMPTY_POSITION
        self._identity: StoreIdentity | None = None

    def identity(self) -> StoreIdentity | None:
        """Follow the port."""
        return self._identity

    def position(self) -> AppliedPosition:
        """Follow the port."""
        return self._position

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Follow the port."""
        get = self._admissions.get
        return [get(key) for key in keys]

    def control_items(self) -> Sequence[tuple[bytes, bytes]]:
        """Follow the port."""
        return sorted(self._control.items())

    def apply(
        self,
        changes: Sequence[StateChange],
        position: AppliedPosition,
        identity: StoreIdentity,
    ) -> None:
        """Follow the port."""
        for key, value, is_control in changes:
            (self._control if is_control else self._admissions)[key] = value
        self._position, self._identity = position, identity

    def flush(self) -> None:
        """Follow the port: nothing to do."""

    def close(self) -> None:
        """Follow the port: nothing to do."""


class MemoryStateStore:
    """Implements `gate.ports.StateStore`."""

    def __init__(self) -> None:
        self._partitions: dict[int, MemoryPartition] = {}
        self.aside: dict[str, MemoryPartition] = {}

    def open(self, partition: int) -> MemoryPartition:
        """Follow the port."""
        return self._partitions.setdefault(partition, MemoryPartition())

    def move_aside(self, partition: int) -> str:
        """Follow the port."""
        names = (f"{partition}.damaged-{number}" for number in count(1))
        name = next(name for name in names if name not in self.aside)
        self.aside[name] = self._partitions.pop(partition)
        return name
