"""Following decisions: in the topics to which the gate writes them, from then on or from the first.

Promises: a decision is given only with what its verification said; a turn asks for the ends of all
topics in one call and reads only those that moved; nothing is passed over in silence.

Leaves to others: pauses between turns, and what to do about a record that is no decision.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gate.client.followed_trust import FollowedTrust
from gate.core.proof.verdict import Refused, Verified
from gate.core.values import Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record
from gate.errors import Lost
from gate.ports import Ends, LogReader, LogRecord, TopicPartition

_SLICE_RECORDS = 1_000


class Found(NamedTuple):
    """A decision, and what its verification said; `None` where none was asked for."""

    where: TopicPartition
    offset: int
    decision: Decision
    reference: str
    verdict: Verified | Refused | None

    @property
    def place(self) -> tuple[int, int]:
        """The input partition and offset that it is about."""
        return self.decision.input_partition, self.decision.input_offset


class Unread(NamedTuple):
    """A record that is no decision; `text` says why."""

    where: TopicPartition
    offset: int
    text: str


class Gone(NamedTuple):
    """Records that the log removed before they were read, up to before `first`."""

    where: TopicPartition
    offset: int
    first: int


Seen = Found | Unread | Gone


class DecisionWatch:
    """Follows topics of decisions from where they ended when the watch was made."""

    def __init__(
        self,
        reader: LogReader,
        topics: Sequence[str],
        partitions: Sequence[int],
        trust: FollowedTrust | None,
        *,
        is_from_beginning: bool = False,
    ) -> None:
        """Begin before requests are published, or an answer could be missed."""
        self._reader = reader
        self._trust = trust
        where = [TopicPartition(topic, number) for topic in topics for number in partitions]
        self._offsets = {
            part: ends.first if is_from_beginning else ends.last_stable
            for part, ends in reader.ends(where).items()
        }

    def poll(self) -> Iterator[Seen]:
        """Yield what was committed since the last call, at most a slice of each topic partition.

        Raises `Lost` when a topic ends before what was read of it: it was made anew.
        """
        ends = self._reader.ends(list(self._offsets))
        for where, offset in self._offsets.items():
            yield from self._news(where, offset, ends[where])

    def _news(self, where: TopicPartition, offset: int, ends: Ends) -> Iterator[Seen]:
        if ends.high_watermark < offset:
            raise Lost(
                f"topic `{where.topic}` partition {where.partition}: expected it to reach offset "
                f"{offset}, which was read, found {ends.high_watermark}: it was made anew"
            )
        if ends.first > offset:
            yield Gone(where, offset, ends.first)
            offset = self._offsets[where] = ends.first
        if ends.last_stable <= offset:
            return
        part = self._reader.read(where, offset=offset, records_max=_SLICE_RECORDS)
        self._offsets[where] = part.next_offset
        for record in part.records:
            yield self._seen(where, record)

    def _seen(self, where: TopicPartition, record: LogRecord) -> Seen:
        try:
            read = read_decision_record(record.value or b"")
            entry = read_entry(read.entry)
        except WireError as fault:
            return Unread(where, record.offset, str(fault))
        if not isinstance(entry, Decision):
            return Unread(where, record.offset, "expected a decision, got another entry")
        verdict = None
        if self._trust is not None:
            verdict = self._trust.verify(read, entry, partition=where.partition)
        return Found(where, record.offset, entry, f"{read.log}#{read.leaf_index}", verdict)
