"""Replay: a partition's input decided again, and the leaves compared with those recorded.

The same core decides, from Genesis on, in a fresh fold: control state from the input itself,
admission records in memory (about 250 bytes an approved key). What batches the gate once cut does
not matter; `cuts` cuts them otherwise, to show it.

The salt of a leaf is taken as given from the recorded entry, unless the lineage secret is at hand:
then it is computed, and compared with the rest. The first trust root is taken from the changelog
and compared with the digest in Genesis. A Gap ends the replay: what follows it rests on an order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NamedTuple

from gate.audit.recorded_leaves import RecordedLeaf, RecordedLeaves
from gate.audit.salts import GivenSalts
from gate.audit.show import differing_fields
from gate.audit.topics_reading import Cursor, Progress
from gate.core import dsse
from gate.core.control.state import ControlState, begin
from gate.core.genesis import first_standing
from gate.core.lineage import Judged, Place, is_control, judge, key_records
from gate.core.policy.issues import AstDiffers, EngineUnavailable
from gate.core.proof.merkle import EMPTY, Frontier, leaf_hash
from gate.core.state import LineageKeys, Salts
from gate.core.topics import Topics
from gate.core.trust import TrustRootInvalid, read_trust_root
from gate.core.wire.changelog import read_control_state
from gate.core.wire.reader import WireError
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition

BATCH_RECORDS = 1_000
DIFFERENCES_LISTED_MAX = 10


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


class Replay:
    """One partition's replay, from Genesis on.

    `cuts` are batch sizes in records, at least 1 each; the last one is repeated. `until` is the
    input offset before which to end, the lineage's end by default. Raises `ConfigInvalid` when
    there is nothing to begin with, or the secret is another one.
    """

    def __init__(
        self,
        reader: LogReader,
        topics: Topics,
        partition: int,
        *,
        keys: LineageKeys | None = None,
        cuts: Iterable[int] = (BATCH_RECORDS,),
        until: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Read Genesis and the first trust root."""
        self._recorded = RecordedLeaves(reader, topics, partition, progress)
        genesis, self.origin = self._recorded.genesis, self._recorded.origin
        self.partition = partition
        if keys is not None and keys.secret_sha256 != genesis.lineage_secret_sha256:
            raise ConfigInvalid("lineage secret is not the one that Genesis commits to")
        salts = GivenSalts() if keys is None else Salts(keys, self.origin)
        self._given = salts if isinstance(salts, GivenSalts) else None
        self._place = Place(
            origin=self.origin,
            partition=partition,
            partition_count=genesis.partition_count,
            salts=salts,
        )
        control, parts = _first_control(reader, topics, partition, self._recorded)
        self._standing = first_standing(control, Frontier(1, EMPTY.hashes), parts)
        self._taken: dict[bytes, bytes] = {}
        end = self._recorded.next_offset
        self._is_whole = until is None or until >= end
        self._input = Cursor(
            reader,
            TopicPartition(topics.requests, partition),
            start=genesis.first_offset,
            until=end if until is None else min(until, end),
            progress=progress,
        )
        self._cuts = _sizes(cuts)
        self._waiting: list[LogRecord] = []
        self.stopped = ""
        if self._input.first > genesis.first_offset:
            self.stopped = f"input before offset {self._input.first} is no longer kept"

    def batches(self) -> Iterator[Sequence[Compared]]:
        """Yield every leaf that was decided again, a batch at a time."""
        while not self.stopped and (records := self._next_records(next(self._cuts))):
            first_index = self._standing.frontier.size
            recorded = self._recorded.take(len(records))
            if len(recorded) < len(records) and self._recorded.gap_index >= 0:
                self.stopped = f"leaf {self._recorded.gap_index} is a gap"
                records = records[: len(recorded)]
                if not records:
                    return
            judged = self._judge(records, recorded)
            if judged is None:
                return
            yield _compare(first_index, judged, recorded)
        if self._is_whole and not self.stopped:
            yield self._left_over()

    def run(self) -> Replayed:
        """Replay to the end and return what differed."""
        leaves, count, next_offset = 0, 0, self._recorded.genesis.first_offset
        listed: list[Difference] = []
        for batch in self.batches():
            leaves += len(batch)
            for item in batch:
                if item.is_equal:
                    continue
                count += 1
                if len(listed) < DIFFERENCES_LISTED_MAX:
                    listed.append(_difference(item))
            if batch:
                next_offset = max(next_offset, batch[-1].input_offset + 1)
        return Replayed(
            partition=self.partition,
            origin=self.origin,
            leaves=leaves,
            next_offset=next_offset,
            has_computed_salts=self._given is None,
            differences=tuple(listed),
            differences_count=count,
            stopped=self.stopped,
        )

    def _next_records(self, count: int) -> Sequence[LogRecord]:
        """Return at most `count` records, a control record only as the last one."""
        waiting = self._waiting
        while len(waiting) < count and (more := self._input.next_slice()):
            waiting += more
        taken = waiting[:count]
        for position, record in enumerate(taken):
            if is_control(record):
                taken = taken[: position + 1]
                break
        del waiting[: len(taken)]
        return taken

    def _judge(
        self, records: Sequence[LogRecord], recorded: Sequence[RecordedLeaf]
    ) -> Judged | None:
        place, standing, taken = self._place, self._standing, self._taken
        if self._given is not None:
            self._given.give(records, recorded)
        try:
            keyed = key_records(records, place=place, control=standing.control)
            known = {key: taken[key] for key in keyed.state_keys if key in taken}
            judged = judge(keyed, known, place=place, standing=standing)
        except (EngineUnavailable, AstDiffers) as fault:
            self.stopped = f"this build can not decide again: {fault}"
            return None
        for key, value, is_part in judged.changes:
            if not is_part:
                taken[key] = value
        self._standing = standing._replace(
            control=judged.control,
            frontier=Frontier(standing.frontier.size + len(judged.leaves), ()),
            sequence=judged.sequence,
            prev_input_offset=records[-1].offset,
        )
        return judged

    def _left_over(self) -> Sequence[Compared]:
        """Return what is recorded beyond the input: nothing, in a sound lineage."""
        left = self._recorded.take(BATCH_RECORDS)
        first_index = self._standing.frontier.size
        return [
            Compared(index, -1, None, leaf.entry, leaf.leaf_hash)
            for index, leaf in enumerate(left, first_index)
        ]


def _sizes(cuts: Iterable[int]) -> Iterator[int]:
    sizes = tuple(cuts)
    assert all(size > 0 for size in sizes), "a batch has at least one record"
    return chain(sizes, repeat(sizes[-1]))


def _compare(
    first_index: int, judged: Judged, recorded: Sequence[RecordedLeaf]
) -> Sequence[Compared]:
    missing = [RecordedLeaf(None, b"")] * (len(judged.leaves) - len(recorded))
    return [
        Compared(index, leaf.input.offset, leaf.entry, kept[0], kept[1])
        for index, (leaf, kept) in enumerate(
            zip(judged.leaves, [*recorded, *missing], strict=True), first_index
        )
    ]


def _difference(item: Compared) -> Difference:
    fields = differing_fields(item.recorded, item.decided)
    if not fields and item.decided is not None:
        fields = [("leaf_hash", item.recorded_hash.hex(), leaf_hash(item.decided).hex())]
    return Difference(item.leaf_index, item.input_offset, tuple(fields))


def _first_control(
    reader: LogReader, topics: Topics, partition: int, recorded: RecordedLeaves
) -> tuple[ControlState, int]:
    """Return the control state of Genesis, and how many changelog parts it has."""
    genesis = recorded.genesis
    where = TopicPartition(topics.changelog, partition)
    for log_record in Cursor(reader, where).records():
        if (log_record.key or b"").startswith(b"root/"):
            try:
                envelope = read_control_state(log_record.value or b"").body
                root = read_trust_root(dsse.read_envelope(envelope).payload)
            except (WireError, dsse.EnvelopeInvalid, TrustRootInvalid) as fault:
                raise ConfigInvalid(f"first trust root can not be read: {fault}") from fault
            if root.sha256 != genesis.trust_root_sha256:
                break
            return begin(genesis, root, envelope), 2
    raise ConfigInvalid(
        f"expected trust root {genesis.trust_root_sha256.hex()} of Genesis in topic "
        f"`{topics.changelog}` partition {partition}, found none"
    )
