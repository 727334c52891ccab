"""Names of the topics and of those who write them, and what a topic is: `design/README.md` §3.

Every name follows from one prefix, the gate's name, which is also its consumer group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Topics(NamedTuple):
    """The topics of one gate; all have the partition count of `requests`."""

    requests: str
    approved: str
    denied: str
    lineage: str
    quarantine: str
    changelog: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The topics that only the gate writes."""
        return (self.approved, self.denied, self.lineage, self.quarantine, self.changelog)


def topics_of(prefix: str) -> Topics:
    """Return the topic names under `prefix`."""
    return Topics(*(f"{prefix}.{name}.v1" for name in Topics._fields))


def transactional_id(prefix: str, slot: str) -> str:
    """Return the stable id of one running place of the gate."""
    return f"{prefix}.{slot}"


def init_transactional_id(prefix: str) -> str:
    """Return the id of `gate init-lineage`."""
    return f"{prefix}-init"


def control_transactional_id(prefix: str) -> str:
    """Return the one id of all control tools; a second tool is fenced."""
    return f"{prefix}-control"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic to be made."""

    name: str
    partition_count: int
    settings: Mapping[str, str]


class PartitionStanding(NamedTuple):
    """How many replicas a partition has, how many are in sync, and whether one leads."""

    number: int
    replicas: int
    in_sync: int
    has_leader: bool


class SettingFound(NamedTuple):
    """A setting in force; `is_own`: made for this topic, not inherited from the cluster."""

    value: str
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicStanding:
    """A topic as it was found; what the right to look was missing for is `None`.

    `rights`: what the asking principal may do with the topic, in Kafka's words (`READ`, `ALTER`).
    """

    topic_id: str
    partitions: tuple[PartitionStanding, ...] | None
    settings: Mapping[str, SettingFound] | None
    rights: frozenset[str] | None = None


class TopicsWanted(NamedTuple):
    """What a configuration asks of its topics: of each, and of every partition its replicas.

    `internal_…`: what is asked of the topics of Kafka's own; less is only warned of where
    `insecure_dev` is set.
    """

    topics: Topics
    specs: Sequence[TopicSpec]
    replicas: int
    insecure_dev: bool
    internal_replicas: int
    internal_settings: Mapping[str, str]
