"""Leaves whose entry is not known, as ranges: what goes with them can not be judged."""

from bisect import bisect_right

from gate.audit.kept_state import Values
from gate.errors import ConfigInvalid


class AbsentLeaves:
    """Ascending ranges of leaf indexes; a lost topic costs one range, not its leaves."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {"starts": list(self._starts), "ends": list(self._ends)}

    def restore(self, kept: Values) -> None:
        """Hold the ranges that were held. Raises `ConfigInvalid`."""
        starts, ends = kept.items("starts"), kept.items("ends")
        if len(starts) != len(ends) or not all(isinstance(at, int) for at in (*starts, *ends)):
            raise ConfigInvalid("resume file: expected ranges at `absent`")
        self._starts, self._ends = starts, ends

    def add(self, start: int, end: int) -> None:
        """Add the leaves from `start` to before `end`, which lie after all added before."""
        if self._ends and self._ends[-1] == start:
            self._ends[-1] = end
            return
        self._starts.append(start)
        self._ends.append(end)

    def __contains__(self, index: int) -> bool:
        """Tell whether the leaf was added."""
        position = bisect_right(self._starts, index) - 1
        return position >= 0 and index < self._ends[position]
