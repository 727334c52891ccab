"""What a gate is like, for its monitor: one immutable view a turn.

Without a monitor nothing is built and nothing is asked. The input's ends are asked for every 5 s,
between batches; while they can not be had the lag is unknown.
"""

from collections.abc import Mapping

from gate.core.control.state import ControlState
from gate.errors import GateError
from gate.ports import Ends, TopicPartition
from gate.runtime.partition import OwnedPartition, Phase
from gate.runtime.settings import INPUT_PIN_MS, LAG_INTERVAL_MS, GateSettings, Ports
from gate.runtime.settled import is_held
from gate.views import GateView, PartitionView, PolicyView

_UNKNOWN = -1


class Showing:
    """Shows one gate; remembers the input's ends, and the policies of each control state."""

    def __init__(self, settings: GateSettings, ports: Ports) -> None:
        """Begin; the ends are due at once."""
        self._topic = settings.topics.requests
        self._reader = ports.reader
        self._monitor = ports.monitor
        self._clock = ports.clock
        self._asked_at_ms = ports.clock.monotonic_ms() - LAG_INTERVAL_MS
        self._ends: Mapping[TopicPartition, Ends] = {}
        self._held: dict[TopicPartition, tuple[int, int]] = {}
        """Inputs that a transaction holds: their last stable offset, and since when it stands."""
        self._policies: dict[int, tuple[ControlState, tuple[PolicyView, ...]]] = {}

    def show(
        self, partitions: Mapping[int, OwnedPartition], renewal_cause: str, unreachable: str
    ) -> None:
        """Give the monitor the view of this turn; `unreachable` says what is out of reach."""
        if self._monitor is None:
            return
        now_ms = self._clock.monotonic_ms()
        if not unreachable and now_ms - self._asked_at_ms >= LAG_INTERVAL_MS:
            self._ask_ends(partitions)
            self._asked_at_ms = self._clock.monotonic_ms()
        self._monitor.turned(
            GateView(
                partitions=tuple(self._partition(partitions[n]) for n in sorted(partitions)),
                is_producer_usable=not renewal_cause,
                unreachable=unreachable,
            )
        )

    def _ask_ends(self, partitions: Mapping[int, OwnedPartition]) -> None:
        where = [TopicPartition(self._topic, number) for number in sorted(partitions)]
        try:
            found = self._reader.ends(where) if where else {}
        except GateError:  # the loop meets it, and answers it
            found = {}
        self._ends = found
        now_ms = self._clock.monotonic_ms()
        before, self._held = self._held, {}
        for place, ends in found.items():
            if is_held(ends):
                last_stable, since_ms = before.get(place, (-1, now_ms))
                same = last_stable == ends.last_stable
                self._held[place] = (ends.last_stable, since_ms if same else now_ms)

    def _is_pinned(self, place: TopicPartition) -> bool:
        held = self._held.get(place)
        return held is not None and self._clock.monotonic_ms() - held[1] >= INPUT_PIN_MS

    def _partition(self, partition: OwnedPartition) -> PartitionView:
        number, adopted, recovery = partition.number, partition.adopted, partition.recovery
        place, is_stopped = TopicPartition(self._topic, number), partition.phase is Phase.STOPPED
        remaining = lag = size = _UNKNOWN
        policies: tuple[PolicyView, ...] = ()
        if adopted is not None:
            remaining, size = 0, adopted.standing.frontier.size
            policies = self._of(number, adopted.standing.control)
            ends = self._ends.get(place)
            if ends is not None:
                end = ends.high_watermark if is_held(ends) else ends.last_stable
                lag = max(end - adopted.next_offset, 0)
        elif recovery is not None:
            remaining = recovery.target.sequence - partition.replayed_to
        return PartitionView(
            number=number,
            phase=partition.phase.value,
            cause=partition.stop_cause if is_stopped else "",
            text=partition.stop_text if is_stopped else partition.waits_for,
            restore_remaining=remaining,
            tree_size=size,
            input_lag=lag,
            is_input_pinned=self._is_pinned(place),
            policies=policies,
        )

    def _of(self, number: int, control: ControlState) -> tuple[PolicyView, ...]:
        known = self._policies.get(number)
        if known is None or known[0] is not control:
            in_force = [control.in_force[name] for name in sorted(control.in_force)]
            known = (
                control,
                tuple(
                    PolicyView(p.bundle.policy, p.bundle.version, p.sha256.hex()) for p in in_force
                ),
            )
            self._policies[number] = known
        return known[1]
