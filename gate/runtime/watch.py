"""The watch: what is looked at every 30 s, busy or idle. `design/transaction.md` §2.5 and §5.

Topics that were deleted and made again, or changed their partition count; transactions that hold
an output; a fresh lower bound for replay; now and then a flush.
"""

from collections.abc import Iterable, Mapping

from gate.errors import PartitionStopped, StoreDamaged
from gate.ports import PartitionStore, TopicIdentity, TopicPartition
from gate.runtime.partition import OwnedPartition
from gate.runtime.settings import CHECK_INTERVAL_MS, FLUSH_INTERVAL_MS, GateSettings, Ports
from gate.runtime.settled import settled_ends


class Watch:
    """Remembers the topics as they were at the first look, and when it looked last."""

    def __init__(self, settings: GateSettings, ports: Ports) -> None:
        """Begin; the first look is due at once."""
        self._settings = settings
        self._ports = ports
        self._topics = settings.topics
        now_ms = ports.clock.monotonic_ms()
        self._known: Mapping[str, tuple[str, int]] | None = None
        self._looked_at_ms = now_ms - CHECK_INTERVAL_MS
        self._flushed_at_ms = now_ms

    def is_due(self, now_ms: int) -> bool:
        """Say whether it is time to look."""
        return now_ms - self._looked_at_ms >= CHECK_INTERVAL_MS

    def look(self, partitions: Iterable[OwnedPartition], now_ms: int) -> None:
        """Look at topics and ready partitions.

        Raises `PartitionStopped` (`topic_changed`; every partition is concerned), `Pinned`,
        `Pending`, `StoreDamaged`, `Unreachable`.
        """
        self._looked_at_ms = now_ms
        ready = [partition for partition in partitions if partition.is_ready]
        self._check_topics(ready)
        is_flush_due = now_ms - self._flushed_at_ms >= FLUSH_INTERVAL_MS
        if is_flush_due:
            self._flushed_at_ms = now_ms
        if ready:
            self._check_outputs(ready)
        for partition in ready:
            if is_flush_due and partition.store is not None:
                self._flush(partition, partition.store)

    def _flush(self, partition: OwnedPartition, store: PartitionStore) -> None:
        try:
            store.flush()
        except StoreDamaged as damage:
            partition.damage = str(damage)
            raise

    def _check_topics(self, ready: list[OwnedPartition]) -> None:
        found = {name: _identity(self._ports.reader.topic(name)) for name in self._topics}
        if self._known is None:
            self._known = found
        for name, identity in found.items():
            if identity != self._known[name] and ready:
                raise PartitionStopped(
                    "topic_changed",
                    ready[0].number,
                    f"topic `{name}`: expected {_told(self._known[name])}, found "
                    f"{_told(identity)}: it was deleted and made again, or grown: restore it "
                    "from a copy, or begin another gate with topics of its own",
                )

    def _check_outputs(self, ready: list[OwnedPartition]) -> None:
        ends = settled_ends([p.number for p in ready], self._settings, self._ports)
        for partition in ready:
            assert partition.adopted is not None, "a ready partition has adopted its position"
            changelog = TopicPartition(self._topics.changelog, partition.number)
            partition.adopted.replay_from = ends[changelog].last_stable


def _told(identity: tuple[str, int]) -> str:
    return f"id `{identity[0]}` and {identity[1]} partitions" if identity[0] else "no such topic"


def _identity(found: TopicIdentity | None) -> tuple[str, int]:
    return ("", 0) if found is None else (found.topic_id, found.partition_count)
