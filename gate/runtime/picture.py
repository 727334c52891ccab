"""What the topics say of all partitions that are in doubt, asked in one go.

Steps a, c, and the last records of d and d2 of assignment: a handful of requests for the whole
assignment, however many partitions it has. `design/transaction.md` §3. Judging it is left to
`assignment`; a picture is used in the turn in which it was taken, and dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gate.ports import Ends, LogRecord, OffsetCommit, TopicIdentity, TopicPartition
from gate.runtime.settings import GateSettings, Ports
from gate.runtime.settled import is_held


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Identities of the input and the changelog, ends, stable offsets, last records."""

    cluster_id: str
    requests: TopicIdentity | None
    changelog: TopicIdentity | None
    ends: Mapping[TopicPartition, Ends]
    offsets: Mapping[int, OffsetCommit | None]
    """Of every partition of the group."""
    last: Mapping[TopicPartition, LogRecord | None]
    """Of each output of the partitions asked for that no transaction holds."""


def take_picture(numbers: Sequence[int], settings: GateSettings, ports: Ports) -> Picture:
    """Ask about these partitions. Raises `Pending`, `Unreachable`, `Lost`, `Unreadable`."""
    topics, reader = settings.topics, ports.reader
    requests, changelog = reader.topic(topics.requests), reader.topic(topics.changelog)
    outputs = [TopicPartition(topic, number) for number in numbers for topic in topics.outputs]
    has_all = requests is not None and changelog is not None
    ends = reader.ends(outputs) if has_all else {}
    group = [] if requests is None else list(range(requests.partition_count))
    offsets = reader.committed(settings.gate, topics.requests, group) if has_all else {}
    settled = [where for where in outputs if where in ends and not is_held(ends[where])]
    return Picture(
        cluster_id=reader.cluster_id(),
        requests=requests,
        changelog=changelog,
        ends=ends,
        offsets=offsets,
        last=reader.last_of(settled),
    )
