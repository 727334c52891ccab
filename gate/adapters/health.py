"""Whether a gate lives and is ready, from the view that its loop replaces each turn.

Promises that asking touches nothing of the gate but one immutable value. A gate that waits for an
unknown commit lives: the commit's deadline is a minute. `design/operations.md` §4.
"""

from collections.abc import Sequence
from typing import Final

from gate.ports import Clock
from gate.views import GateView, PartitionView

ALIVE_MS: Final = 75_000
_STARTING: Final = GateView(partitions=(), is_producer_usable=False, unreachable="")

Condition = dict[str, object]


class Health:
    """Keeps the last view and when it came; `view` is read by the thread that answers."""

    def __init__(self, clock: Clock, *, notes: Sequence[str] = ()) -> None:
        """Begin as starting; `notes` are said with every answer, such as what is insecure."""
        self._clock = clock
        self._notes = tuple(notes)
        self._seen = (clock.monotonic_ms(), _STARTING)

    @property
    def view(self) -> GateView:
        """What the gate was like at its last turn."""
        return self._seen[1]

    def turned(self, view: GateView) -> None:
        """Follow the monitor's port."""
        self._seen = (self._clock.monotonic_ms(), view)

    def stepped(self) -> None:
        """Follow the monitor's port."""
        self._seen = (self._clock.monotonic_ms(), self.view)

    def alive(self) -> tuple[bool, Condition]:
        """Say whether the loop turned within `ALIVE_MS`, and how long ago it did."""
        turned_ms, _ = self._seen
        ago_ms = self._clock.monotonic_ms() - turned_ms
        is_alive = ago_ms <= ALIVE_MS
        return is_alive, {"alive": is_alive, "last_turn_ms_ago": ago_ms}

    def ready(self) -> tuple[bool, Condition]:
        """Say whether everything owned is decided, and name each condition that fails."""
        view = self.view
        failing = _conditions(view)
        answer: Condition = {"ready": not failing, "failing": failing, "notes": list(self._notes)}
        return not failing, answer


def _conditions(view: GateView) -> list[Condition]:
    if view is _STARTING:
        return [{"condition": "starting"}]
    found: list[Condition] = []
    if view.unreachable:
        found.append({"condition": "log_unreachable", "text": view.unreachable})
    if not view.is_producer_usable:
        found.append({"condition": "producer_not_usable"})
    if not view.partitions:
        found.append({"condition": "no_partition", "text": "none is assigned to this process yet"})
    for partition in view.partitions:
        found += _of_partition(partition)
    return found


def _of_partition(partition: PartitionView) -> list[Condition]:
    where = {"partition": partition.number, "phase": partition.phase}
    if partition.cause:
        why = {"cause": partition.cause, "text": partition.text}
        return [{"condition": "partition_stopped", **where, **why}]
    if partition.phase == "replaying":
        return [{"condition": "restoring", **where, "remaining": partition.restore_remaining}]
    if partition.phase != "ready":
        return [{"condition": "partition_not_ready", **where, "text": partition.text}]
    if partition.is_input_pinned:
        text = "a transaction of somebody else holds the input: nothing behind it can be read"
        return [{"condition": "input_pinned", **where, "text": text}]
    if not partition.policies:
        return [{"condition": "no_policy", **where, "text": "everything is denied: activate one"}]
    return []
