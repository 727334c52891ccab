"""What a gate is like, for its monitor: one immutable view a turn; without a monitor, none."""

from collections.abc import Mapping

from gate.core.control.state import ControlState
from gate.runtime.input_ends import InputEnds
from gate.runtime.partition import OwnedPartition, Phase
from gate.views import GateView, Monitor, PartitionView, PolicyView

_UNKNOWN = -1


class Showing:
    """Shows one gate; remembers the policies of each control state."""

    def __init__(self, monitor: Monitor | None, ends: InputEnds) -> None:
        """Begin with nothing shown; `ends` knows the input's."""
        self._monitor = monitor
        self._ends = ends
        self._policies: dict[int, tuple[ControlState, tuple[PolicyView, ...]]] = {}

    def show(
        self, partitions: Mapping[int, OwnedPartition], renewal_cause: str, unreachable: str
    ) -> None:
        """Give the monitor the view of this turn; `unreachable` says what is out of reach."""
        if self._monitor is None:
            return
        self._monitor.turned(
            GateView(
                partitions=tuple(self._partition(partitions[n]) for n in sorted(partitions)),
                is_producer_usable=not renewal_cause,
                unreachable=unreachable,
            )
        )

    def _partition(self, partition: OwnedPartition) -> PartitionView:
        number, adopted, recovery = partition.number, partition.adopted, partition.recovery
        is_stopped = partition.phase is Phase.STOPPED
        remaining = lag = size = _UNKNOWN
        policies: tuple[PolicyView, ...] = ()
        if adopted is not None:
            remaining, size = 0, adopted.standing.frontier.size
            policies = self._of(number, adopted.standing.control)
            lag = self._ends.lag(number, adopted.next_offset)
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
            is_input_pinned=self._ends.is_pinned(number),
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
