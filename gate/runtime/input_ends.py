"""How far the input reaches, and whether a transaction of somebody else holds it.

Asked every 5 s, between batches; while the ends can not be had nothing is known. An input that is
held for 15 s is told once, since decisions stop there for a reason that is not the gate's.
"""

from collections.abc import Mapping

from gate.errors import GateError
from gate.ports import Ends, EventKind, TopicPartition
from gate.runtime.partition import OwnedPartition
from gate.runtime.settings import INPUT_PIN_MS, LAG_INTERVAL_MS, Ports
from gate.runtime.settled import is_held


class InputEnds:
    """The ends of one topic's partitions, as they were last found."""

    def __init__(self, topic: str, ports: Ports) -> None:
        """Begin; the ends are due at once."""
        self._topic, self._ports = topic, ports
        self._asked_at_ms = ports.clock.monotonic_ms() - LAG_INTERVAL_MS
        self._found: Mapping[TopicPartition, Ends] = {}
        self._held: dict[TopicPartition, tuple[int, int]] = {}
        """Inputs that a transaction holds: their last stable offset, and since when it stands."""
        self._told: set[TopicPartition] = set()
        self._waiting: dict[TopicPartition, tuple[int, int]] = {}
        """Partitions with offsets to decide: up to where, and from where, at the last look."""
        self._empty: dict[TopicPartition, tuple[int, int]] = {}
        """Those in which no record lies between: markers, and records that were aborted."""

    def look(self, partitions: Mapping[int, OwnedPartition]) -> None:
        """Ask for the ends of these partitions, when that is due."""
        clock = self._ports.clock
        if clock.monotonic_ms() - self._asked_at_ms < LAG_INTERVAL_MS:
            return
        where = [TopicPartition(self._topic, number) for number in sorted(partitions)]
        try:
            self._found = self._ports.reader.ends(where) if where else {}
            self._look_between(partitions)
        except GateError:  # the loop meets it, and answers it
            self._found = {}
        now_ms = self._asked_at_ms = clock.monotonic_ms()
        before, self._held = self._held, {}
        for place, ends in self._found.items():
            if is_held(ends):
                last_stable, since_ms = before.get(place, (-1, now_ms))
                same = last_stable == ends.last_stable
                self._held[place] = (ends.last_stable, since_ms if same else now_ms)
        self._tell()

    def is_pinned(self, number: int) -> bool:
        """Say whether the partition's last stable offset has been held for 15 s."""
        held = self._held.get(TopicPartition(self._topic, number))
        return held is not None and self._ports.clock.monotonic_ms() - held[1] >= INPUT_PIN_MS

    def lag(self, number: int, next_offset: int) -> int:
        """Return how many offsets are to be decided from `next_offset` on; -1 is unknown.

        Up to the high watermark while a transaction holds the input. Markers and aborted records
        count as long as records follow them.
        """
        place = TopicPartition(self._topic, number)
        ends = self._found.get(place)
        if ends is None:
            return -1
        if self._empty.get(place) == (ends.last_stable, next_offset):
            return ends.high_watermark - ends.last_stable if is_held(ends) else 0
        end = ends.high_watermark if is_held(ends) else ends.last_stable
        return max(end - next_offset, 0)

    def _look_between(self, partitions: Mapping[int, OwnedPartition]) -> None:
        """Find out whether what has been waiting since the last look holds any record."""
        before, self._waiting = self._waiting, {}
        for place, ends in self._found.items():
            adopted = partitions[place.partition].adopted
            if adopted is not None and adopted.next_offset < ends.last_stable:
                self._waiting[place] = (ends.last_stable, adopted.next_offset)
        asked = [
            place
            for place, span in self._waiting.items()
            if before.get(place) == span != self._empty.get(place)
        ]
        for place, last in (self._ports.reader.last_of(asked) if asked else {}).items():
            if last is None or last.offset < self._waiting[place][1]:
                self._empty[place] = self._waiting[place]

    def _tell(self) -> None:
        pinned = {place for place in self._held if self.is_pinned(place.partition)}
        for place in sorted(pinned - self._told):
            last_stable, _ = self._held[place]
            self._ports.telemetry.emit(
                EventKind.INPUT_PINNED, partition=place.partition, last_stable=last_stable
            )
        self._told = pinned
