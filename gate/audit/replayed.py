"""What a replay gives: leaves compared, differences, and their tally."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gate.audit.kept_state import Values
from gate.audit.show import differing_fields
from gate.core.proof.merkle import leaf_hash
from gate.errors import ConfigInvalid

DIFFERENCES_LISTED_MAX = 10
_TAKEN: Final = struct.Struct(">HB16s")


class Compared(NamedTuple):
    """One leaf: as it was decided again, and as it was recorded (`None` where it is not)."""

    leaf_index: int
    input_offset: int
    decided: bytes | None
    recorded: bytes | None
    recorded_hash: bytes

    @property
    def is_equal(self) -> bool:
        """Say whether bytes and leaf hash are the recorded ones."""
        decided = self.decided
        return (
            decided is not None
            and decided == self.recorded
            and leaf_hash(decided) == self.recorded_hash
        )


class Difference(NamedTuple):
    """A leaf that was decided otherwise; `fields` are name, recorded and decided, safe to show."""

    leaf_index: int
    input_offset: int
    fields: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay gave. `stopped` says why it ended early; empty if it did not.

    `has_computed_salts`: the lineage secret was given. `differences` lists the first of
    `differences_count`.
    """

    partition: int
    origin: str
    leaves: int
    next_offset: int
    has_computed_salts: bool
    differences: tuple[Difference, ...]
    differences_count: int
    stopped: str

    @property
    def is_ok(self) -> bool:
        """Say whether all that was asked for was decided again, to the same bytes."""
        return not self.differences_count and not self.stopped


class Tally:
    """Counts what was compared so far."""

    def __init__(self, next_offset: int) -> None:
        """Begin before the first leaf."""
        self.leaves = self.count = 0
        self.next_offset = next_offset
        self.listed: list[Difference] = []

    def add(self, batch: Sequence[Compared]) -> None:
        """Count a batch."""
        self.leaves += len(batch)
        for item in batch:
            if item.is_equal:
                continue
            self.count += 1
            if len(self.listed) < DIFFERENCES_LISTED_MAX:
                self.listed.append(_difference(item))
        if batch:
            self.next_offset = max(self.next_offset, batch[-1].input_offset + 1)

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        return {
            "leaves": self.leaves,
            "next_offset": self.next_offset,
            "count": self.count,
            "listed": [list(item) for item in self.listed],
        }

    def restore(self, kept: Values) -> None:
        """Hold what was held. Raises `ConfigInvalid`."""
        self.leaves = kept.number("leaves")
        self.next_offset = kept.number("next_offset")
        self.count = kept.number("count")
        try:
            self.listed = [
                Difference(int(index), int(offset), tuple((n, one, two) for n, one, two in fields))
                for index, offset, fields in kept.items("listed")
            ]
        except (TypeError, ValueError) as error:
            raise ConfigInvalid("resume file: expected differences at `tally.listed`") from error


def taken_record(partition: int, key: bytes, value: bytes) -> bytes:
    """Return an approved key and its admission record as a resume file's keys hold them."""
    return _TAKEN.pack(partition, len(value), key) + value


def taken_keys(keys: bytes, partition: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield a partition's approved keys and admission records. Raises `ConfigInvalid`."""
    position = 0
    while position < len(keys):
        try:
            number, size, key = _TAKEN.unpack_from(keys, position)
        except struct.error as error:
            raise ConfigInvalid("resume file: its keys are cut short") from error
        position += _TAKEN.size + size
        if number == partition:
            yield key, keys[position - size : position]


def _difference(item: Compared) -> Difference:
    fields = differing_fields(item.recorded, item.decided)
    if not fields and item.decided is not None:
        fields = [("leaf_hash", item.recorded_hash.hex(), leaf_hash(item.decided).hex())]
    return Difference(item.leaf_index, item.input_offset, tuple(fields))
