"""What the gate answered: decisions read from its topics and joined with the input.

Reads what is committed and trusts it as far as an executor's first look would; that every proof
holds and nothing is missing is for the audit to say.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gate.audit.topics_reading import Cursor
from gate.core.reasons import Code
from gate.core.topics import Topics
from gate.core.values import APPROVED, Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.record import read_decision_record
from gate.demo.sending import Place
from gate.ports import LogReader, TopicPartition


class Verdict(NamedTuple):
    """One decision, and where it stands in the lineage."""

    log: str
    leaf_index: int
    decision: Decision

    @property
    def is_approved(self) -> bool:
        """Say whether the request was approved."""
        return self.decision.outcome == APPROVED

    @property
    def code(self) -> Code:
        """Return the first reason's code."""
        return self.decision.reasons[0].code


def read_verdicts(
    reader: LogReader, topics: Topics, partition_count: int
) -> dict[Place, list[Verdict]]:
    """Return every committed decision by the place of its input record.

    More than one for a place would be a fault of the gate; the audit would name it.
    """
    found: dict[Place, list[Verdict]] = {}
    for topic in (topics.approved, topics.denied):
        for number in range(partition_count):
            for record in Cursor(reader, TopicPartition(topic, number)).records():
                carried = read_decision_record(record.value or b"")
                entry = read_entry(carried.entry)
                assert isinstance(entry, Decision), "only decisions stand in these topics"
                place = Place(entry.input_partition, entry.input_offset)
                verdict = Verdict(carried.log, carried.leaf_index, entry)
                found.setdefault(place, []).append(verdict)
    return found


def count_decided(places: Sequence[Place], next_offsets: dict[int, int]) -> int:
    """Return how many of the places lie below the committed offset of their partition."""
    return sum(place.offset < next_offsets[place.partition] for place in places)


def next_offsets(
    reader: LogReader, group_id: str, topic: str, partition_count: int
) -> dict[int, int]:
    """Return the committed offset of each partition, 0 where there is none yet."""
    committed = reader.committed(group_id, topic, range(partition_count))
    return {
        partition: 0 if commit is None else commit.next_offset
        for partition, commit in committed.items()
    }
