"""Replay: a partition's input decided again, and the leaves compared with those recorded.

The same core decides, from Genesis on, in a fresh fold: control state from the input itself,
admission records in memory (about 250 bytes an approved key). What batches the gate once cut does
not matter; `cuts` cuts them otherwise, to show it.

The salt of a leaf is taken as given from the recorded entry, unless the lineage secret is at hand:
then it is computed, and compared with the rest. The first trust root is taken from the changelog
and compared with the digest in Genesis. A Gap ends the replay: what follows it rests on an order.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

from gate.audit.kept_state import Recorder, Values
from gate.audit.recorded_leaves import RecordedLeaf, RecordedLeaves
from gate.audit.replayed import Compared, Replayed, Tally, taken_keys, taken_record
from gate.audit.salts import GivenSalts
from gate.audit.topics_reading import Cursor, Progress
from gate.core import dsse
from gate.core.control.restore import ControlStateDamaged, restore
from gate.core.control.state import ControlState, begin, initial_parts
from gate.core.genesis import first_standing
from gate.core.lineage import Judged, Place, is_control, judge, key_records
from gate.core.policy.issues import AstDiffers, EngineUnavailable
from gate.core.proof.merkle import EMPTY, Frontier
from gate.core.state import LineageKeys, Salts
from gate.core.topics import Topics
from gate.core.trust import TrustRootInvalid, read_trust_root
from gate.core.values import ControlStateRecord
from gate.core.wire.changelog import encode_control_state, read_control_state
from gate.core.wire.reader import WireError
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition

BATCH_RECORDS = 1_000


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
        recorder: Recorder | None = None,
    ) -> None:
        """Read Genesis and the first trust root, or stand where the replay that was cut stood."""
        self._recorder = recorder
        before = None if recorder is None else recorder.kept()
        kept = None if before is None else before.partitions.get(partition)
        leaves = None if kept is None else kept.part("leaves")
        self._recorded = RecordedLeaves(reader, topics, partition, progress, leaves)
        genesis, self.origin = self._recorded.genesis, self._recorded.origin
        self.partition = partition
        if keys is not None and keys.secret_sha256 != genesis.lineage_secret_sha256:
            raise ConfigInvalid("lineage secret is not the one that Genesis commits to")
        salts = GivenSalts() if keys is None else Salts(keys, self.origin)
        self._given = salts if isinstance(salts, GivenSalts) else None
        self._place = Place(self.origin, partition, genesis.partition_count, salts)
        control, self._parts = _first_control(reader, topics, partition, self._recorded)
        self._standing = first_standing(control, Frontier(1, EMPTY.hashes), len(self._parts))
        self._taken: dict[bytes, bytes] = {}
        self._added = bytearray()
        self._tally = Tally(genesis.first_offset)
        self._cuts = _sizes(cuts)
        self._waiting: list[LogRecord] = []
        self.stopped = self._recorded.displaced
        start = genesis.first_offset if kept is None else kept.number("input")
        end = self._recorded.next_offset
        self._is_whole = until is None or until >= end
        self._input = Cursor(
            reader,
            TopicPartition(topics.requests, partition),
            start=start,
            until=end if until is None else min(until, end),
            progress=progress,
        )
        if self._input.first > start:
            self.stopped = f"input before offset {self._input.first} is no longer kept"
        if before is not None and kept is not None:
            self._restore(kept, before.keys)

    def batches(self) -> Iterator[Sequence[Compared]]:
        """Yield every leaf that was decided again, a batch at a time, and what is left over."""
        yield from self._decided()
        if self._is_whole and not self.stopped:
            yield self._left_over()

    def _decided(self) -> Iterator[Sequence[Compared]]:
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

    def run(self) -> Replayed:
        """Replay to the end and return what differed."""
        tally, recorder = self._tally, self._recorder
        for batch in self._decided():
            tally.add(batch)
            if recorder is not None and recorder.is_due():
                self._keep(recorder)
        if recorder is not None:
            self._keep(recorder)
        if self._is_whole and not self.stopped:
            tally.add(self._left_over())
        return Replayed(
            partition=self.partition,
            origin=self.origin,
            leaves=tally.leaves,
            next_offset=tally.next_offset,
            has_computed_salts=self._given is None,
            differences=tuple(tally.listed),
            differences_count=tally.count,
            stopped=self.stopped,
        )

    def _keep(self, recorder: Recorder) -> None:
        """Keep where the replay stands; where it was stopped it has passed more than it decided."""
        if self.stopped:
            return
        standing, waiting = self._standing, self._waiting
        state = {
            "input": waiting[0].offset if waiting else self._input.offset,
            "size": standing.frontier.size,
            "sequence": standing.sequence,
            "prev_input_offset": standing.prev_input_offset,
            "parts": {key.hex(): value.hex() for key, value in self._parts.items()},
            "leaves": self._recorded.state(),
            "tally": self._tally.state(),
        }
        added, self._added = bytes(self._added), bytearray()
        recorder.keep({self.partition: state}, {}, added)

    def _restore(self, kept: Values, keys: bytes) -> None:
        parts = kept.texts("parts")
        try:
            self._parts = {bytes.fromhex(k): bytes.fromhex(value) for k, value in parts.items()}
            records = [(key, read_control_state(value)) for key, value in self._parts.items()]
            control = restore(records)
        except (EngineUnavailable, AstDiffers) as fault:
            self.stopped = f"this build can not decide again: {fault}"
            return
        except (ControlStateDamaged, WireError, ValueError) as fault:
            raise ConfigInvalid(f"resume file: control state: {fault}") from fault
        self._standing = self._standing._replace(
            control=control,
            frontier=Frontier(kept.number("size"), ()),
            sequence=kept.number("sequence"),
            prev_input_offset=kept.number("prev_input_offset"),
        )
        self._taken = dict(taken_keys(keys, self.partition))
        self._tally.restore(kept.part("tally"))

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
            if is_part:
                self._parts[key] = value
                continue
            taken[key] = value
            if self._recorder is not None:
                self._added += taken_record(self.partition, key, value)
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


def _first_control(
    reader: LogReader, topics: Topics, partition: int, recorded: RecordedLeaves
) -> tuple[ControlState, dict[bytes, bytes]]:
    """Return the control state of Genesis, and its changelog parts."""
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
            parts = {
                key: encode_control_state(ControlStateRecord(sequence, 0, -1, body))
                for sequence, (key, body) in enumerate(initial_parts(genesis, root, envelope), 1)
            }
            return begin(genesis, root, envelope), parts
    raise ConfigInvalid(
        f"expected trust root {genesis.trust_root_sha256.hex()} of Genesis in topic "
        f"`{topics.changelog}` partition {partition}, found none"
    )
