"""Waiting for decisions: by input position, in the topics to which the gate writes them.

Promises: a decision is given only with what its verification said; records that others wrote
into the topic, or that do not read, are passed over.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gate.core.proof.records import CheckpointVerifier
from gate.core.proof.verdict import Refused, Trust, Verified
from gate.core.topics import Topics
from gate.core.values import Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record
from gate.ports import LogReader, LogRecord, TopicPartition

_SLICE_RECORDS = 1_000


class Found(NamedTuple):
    """A decision on one input position, with the verification's answer."""

    partition: int
    input_offset: int
    decision: Decision
    reference: str
    verdict: Verified | Refused


class DecisionWatch:
    """Follows approved and denied topics from where they ended when the watch was made."""

    def __init__(
        self, reader: LogReader, topics: Topics, partitions: Sequence[int], trust: Trust
    ) -> None:
        """Begin before the requests are published, or an answer could be missed."""
        self._reader = reader
        self._verifier = CheckpointVerifier(trust)
        where = [
            TopicPartition(topic, number)
            for topic in (topics.approved, topics.denied)
            for number in partitions
        ]
        self._offsets = {part: ends.last_stable for part, ends in reader.ends(where).items()}

    def poll(self) -> Iterator[Found]:
        """Yield every decision that was committed since the last call."""
        for where, offset in self._offsets.items():
            part = self._reader.read(where, offset=offset, records_max=_SLICE_RECORDS)
            self._offsets[where] = part.next_offset
            for record in part.records:
                found = self._found(record)
                if found is not None:
                    yield found

    def _found(self, record: LogRecord) -> Found | None:
        try:
            read = read_decision_record(record.value or b"")
            entry = read_entry(read.entry)
        except WireError:
            return None
        if not isinstance(entry, Decision):
            return None
        reference = f"{read.log}#{read.leaf_index}"
        verdict = self._verifier.verify(read)
        return Found(entry.input_partition, entry.input_offset, entry, reference, verdict)
