"""How far the input reaches, and whether a transaction of somebody else holds it.

Asked every 5 s, between batches; while the ends can not be had nothing is known. An input that is
held for 15 s is told once, since decisions stop there for a reason that is not the gate's.
"""

from collections.abc import Iterable, Mapping

from gate.errors import GateError
from gate.ports import Ends, EventKind, TopicPartition
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

    def look(self, numbers: Iterable[int]) -> None:
        """Ask for the ends of these partitions, when that is due."""
        clock = self._ports.clock
        if clock.monotonic_ms() - self._asked_at_ms < LAG_INTERVAL_MS:
            return
        where = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        try:
            self._found = self._ports.reader.ends(where) if where else {}
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
        """Return how many offsets are to be decided from `next_offset` on; -1 is unknown."""
        ends = self._found.get(TopicPartition(self._topic, number))
        if ends is None:
            return -1
        end = ends.high_watermark if is_held(ends) else ends.last_stable
        return max(end - next_offset, 0)

    def _tell(self) -> None:
        pinned = {place for place in self._held if self.is_pinned(place.partition)}
        for place in sorted(pinned - self._told):
            last_stable, _ = self._held[place]
            self._ports.telemetry.emit(
                EventKind.INPUT_PINNED, partition=place.partition, last_stable=last_stable
            )
        self._told = pinned
