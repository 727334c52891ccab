"""The control tool's side: publishes trust roots and activations to every partition.

Promises: one record in every partition or in none, in one transaction of the one transactional id
of all control tools, so that their order is the same everywhere; what each partition answered is
read from its lineage and denials, by the record's own input position.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from gate.core.reasons import Code
from gate.core.topics import Topics, control_transactional_id
from gate.core.values import Control, ControlRecord, Decision
from gate.core.wire.control_record import encode_control_record
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record, read_lineage_record
from gate.errors import ConfigInvalid, Fenced, OutcomeUnknown, TransactionAborted
from gate.ports import LogReader, LogRecord, OutputRecord, Publisher, TopicPartition

TRUST_ROOT, POLICY_ACTIVATION = 1, 2
_SLICE_RECORDS = 1_000


class Answer(Enum):
    """What a partition did with a control record."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNDECIDED = "not decided yet"


class PartitionAnswer(NamedTuple):
    """One partition's answer; `culprit` names what was wrong with a refused record."""

    partition: int
    input_offset: int
    answer: Answer
    culprit: str = ""


def control_value(kind: int, envelope: bytes) -> bytes:
    """Return the control record's bytes."""
    return encode_control_record(ControlRecord(kind, envelope))


class ControlPublication:
    """One control record, published, and the answers to it so far."""

    def __init__(
        self, value: bytes, *, gate: str, topics: Topics, reader: LogReader, publisher: Publisher
    ) -> None:
        """Publish the record.

        Raises `ConfigInvalid` without topics, `TransactionAborted` when another control tool took
        over meanwhile, and what the port raises.
        """
        requests = reader.topic(topics.requests)
        if requests is None:
            raise ConfigInvalid(
                f"gate has no topic `{topics.requests}`: run `gate init-lineage` first"
            )
        partitions = range(requests.partition_count)
        where = [
            TopicPartition(topic, number)
            for topic in (topics.lineage, topics.denied)
            for number in partitions
        ]
        self._reader = reader
        self._topics = topics
        self._next = {part: ends.last_stable for part, ends in reader.ends(where).items()}
        records = [OutputRecord(topics.requests, number, None, value) for number in partitions]
        offsets = _published(records, control_transactional_id(gate), publisher)
        self._answers = {
            number: PartitionAnswer(number, offset, Answer.UNDECIDED)
            for number, offset in zip(partitions, offsets, strict=True)
        }

    @property
    def answers(self) -> Mapping[int, PartitionAnswer]:
        """The answers by partition."""
        return self._answers

    @property
    def is_decided(self) -> bool:
        """Say whether every partition has answered."""
        return all(item.answer is not Answer.UNDECIDED for item in self._answers.values())

    def poll(self) -> None:
        """Take in what was committed since the last call, a slice of each topic partition."""
        ends = self._reader.ends(list(self._next))
        for where, offset in self._next.items():
            if ends[where].last_stable <= offset:
                continue
            part = self._reader.read(where, offset=offset, records_max=_SLICE_RECORDS)
            self._next[where] = part.next_offset
            for record in part.records:
                self._take(where, record)

    def _take(self, where: TopicPartition, record: LogRecord) -> None:
        asked = self._answers[where.partition]
        try:
            if where.topic == self._topics.lineage:
                entries = [item.entry for item in read_lineage_record(record.value or b"").entries]
            else:
                entries = [read_decision_record(record.value or b"").entry]
            read = [read_entry(entry) for entry in entries]
        except WireError:
            return
        for entry in read:
            if not isinstance(entry, Control | Decision):
                continue
            if entry.input_offset != asked.input_offset:
                continue
            if isinstance(entry, Control):
                self._answers[where.partition] = asked._replace(answer=Answer.ACCEPTED)
            elif entry.reasons[0].code is Code.CONTROL_REJECTED:
                self._answers[where.partition] = asked._replace(
                    answer=Answer.REFUSED, culprit=entry.reasons[0].field
                )


def _published(
    records: Sequence[OutputRecord], transactional_id: str, publisher: Publisher
) -> Sequence[int]:
    """Publish all or none and return the offsets; errors say what has become of it."""
    try:
        return publisher.publish(records, transactional_id=transactional_id)
    except Fenced as fenced:
        raise TransactionAborted(
            f"another control tool took over transactional id `{transactional_id}`: nothing was "
            "published: look at what it changed, then try again"
        ) from fenced
    except OutcomeUnknown as doubt:
        raise OutcomeUnknown(
            f"{doubt}: it is in every partition or in none: look with `gate policy status` before "
            "trying again; one that comes twice is refused or changes nothing"
        ) from doubt
