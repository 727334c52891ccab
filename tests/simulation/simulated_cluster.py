"""The simulated cluster: topics, groups and coordinator, and an operator's accidents.

What a gate sees of it are the ports in `simulated_log.py`, which also tells how to use it.
"""

from gate.errors import Lost, Unreachable, Unreadable
from gate.ports import (
    LogRecord,
    OutputRecord,
    ReadSlice,
    TopicIdentity,
    TopicPartition,
    TopicSpec,
)
from tests.simulation.simulated_broker import (
    OFFSETS,
    Coordinator,
    Group,
    LateEnd,
    Marker,
    PartitionLog,
)
from tests.simulation.world import World

LATE_END_MS_MAX = 10_000


class _Topic:
    def __init__(self, spec: TopicSpec, topic_id: str) -> None:
        self.identity = TopicIdentity(
            topic_id=topic_id, partition_count=spec.partition_count, settings=dict(spec.settings)
        )
        kind = spec.settings.get("message.timestamp.type", "LogAppendTime")
        self.is_append_time = kind == "LogAppendTime"
        self.partitions = [PartitionLog() for _ in range(spec.partition_count)]


class SimulatedCluster:
    """The cluster; outlives every gate."""

    def __init__(self, world: World, *, marker_delay_ms_max: int = 0) -> None:
        self.world = world
        self.topics: dict[str, _Topic] = {}
        self.groups: dict[tuple[str, str], Group] = {}
        self._marker_delay_ms_max = marker_delay_ms_max
        self._topics_made = 0
        self.coordinator = Coordinator(world.clock.monotonic_ms, self._delay_ms, self._arrive)
        world.clock.on_advance(self._tick)

    def hold_markers(self) -> None:
        """Let no marker arrive until told."""
        self.coordinator.is_holding = True

    def deliver_markers(self, partition: TopicPartition | None = None) -> None:
        """Let the held markers of one partition (or `OFFSETS`), or all, arrive."""
        self.coordinator.deliver(lambda marker: partition in (None, marker.partition))

    def release_markers(self) -> None:
        """Let all arrive, and hold none back from now on."""
        self.coordinator.is_holding = False
        self.deliver_markers()

    def lose_markers(self, partition: TopicPartition) -> None:
        """Let a broker forget the held markers of a partition; the coordinator believes in them."""
        self.coordinator.deliver(lambda marker: marker.partition == partition, is_lost=True)

    def stand_still(self, slot: str) -> None:
        """Stop the heartbeats of a slot's present process."""
        for group in self.groups.values():
            if slot in group.members:
                group.members[slot].is_paused = True

    def truncate(self, partition: TopicPartition, first: int) -> None:
        """Remove the records below `first`."""
        self.partition(partition).first = first

    def recreate(self, topic: str, partition_count: int | None = None) -> None:
        """Delete a topic and make it anew: empty, with another id."""
        old = self.topics.pop(topic).identity
        count = partition_count or old.partition_count
        self.create(TopicSpec(name=topic, partition_count=count, settings=old.settings))

    def damage(self, partition: TopicPartition, offset: int) -> None:
        """Make a record unreadable."""
        self.partition(partition).entries[offset].is_damaged = True

    def forget_offsets(self, group_id: str, topic: str) -> None:
        """Lose the committed offsets of a group."""
        self.group(group_id, topic).committed.clear()

    def write_foreign(self, record: OutputRecord) -> int:
        """Append a record as a stranger with write access, outside transactions."""
        return self.append(record, None)

    def create(self, spec: TopicSpec) -> None:
        if spec.name not in self.topics:
            self._topics_made += 1
            self.topics[spec.name] = _Topic(spec, f"topic-{self._topics_made:08d}")

    def partition(self, partition: TopicPartition) -> PartitionLog:
        found = self.topics.get(partition.topic)
        if found is None or partition.partition >= len(found.partitions):
            text = f"no partition {partition.partition} of topic `{partition.topic}`"
            raise Unreachable(text)
        return found.partitions[partition.partition]

    def group(self, group_id: str, topic: str) -> Group:
        if (group_id, topic) not in self.groups:
            count = self.topics[topic].identity.partition_count
            self.groups[group_id, topic] = Group(count)
        return self.groups[group_id, topic]

    def append(self, record: OutputRecord, owner: str | None) -> int:
        where = self.partition(TopicPartition(record.topic, record.partition))
        return where.append(
            LogRecord(
                record.partition,
                0,
                self.world.clock.now_ms(),
                self.topics[record.topic].is_append_time,
                record.key,
                record.value,
                record.headers,
            ),
            owner,
        )

    def read(self, partition: TopicPartition, offset: int, records_max: int) -> ReadSlice:
        """Return what a read_committed consumer gets."""
        where = self.partition(partition)
        if not where.first <= offset <= where.end:
            text = f"{partition}: offset {offset}: the log holds {where.first} to {where.end}"
            raise Lost(text, partition=partition.partition, offset=offset)
        records: list[LogRecord] = []
        last_stable = where.last_stable
        while offset < last_stable and len(records) < records_max:
            entry = where.entries[offset]
            if entry.is_damaged:
                if records:
                    break
                text = f"{partition}: offset {offset} can not be read"
                raise Unreadable(text, partition=partition.partition, offset=offset)
            if entry.is_visible and entry.record is not None:
                records.append(entry.record)
            offset += 1
        return ReadSlice(records, offset)

    def send_late_end(self, transactional_id: str, epoch: int) -> None:
        """Keep a request to commit on its way."""
        delay_ms = self.world.random.randint(0, LATE_END_MS_MAX)
        due_ms = self.world.clock.monotonic_ms() + delay_ms
        self.coordinator.late_ends.append(LateEnd(due_ms, transactional_id, epoch))

    def _delay_ms(self) -> int:
        longest = self._marker_delay_ms_max
        return self.world.random.randint(0, longest) if longest else 0

    def _arrive(self, marker: Marker) -> None:
        if marker.partition != OFFSETS:
            topic = self.topics.get(marker.partition.topic)
            if topic is not None and marker.partition.partition < len(topic.partitions):
                where = topic.partitions[marker.partition.partition]
                where.mark(marker.transactional_id, is_commit=marker.is_commit)
            return
        for group in self.groups.values():
            offsets = group.pending.pop(marker.transactional_id, {})
            if marker.is_commit:
                group.committed.update(offsets)

    def _tick(self) -> None:
        self.coordinator.tick()
        now_ms = self.world.clock.monotonic_ms()
        for group in self.groups.values():
            group.expire(now_ms)
