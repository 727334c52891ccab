"""What is wrong with the topics of a log, measured by the table: each finding with its cure.

Pure: compares what the table asks for with what was found. For `gate topics`, `gate doctor` and
whoever starts a gate. `design/operations.md` §3.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, NamedTuple

from gate.core.topics import SettingFound, Topics, TopicSpec, TopicStanding, TopicsWanted
from gate.core.wire.text import escaped

_REPLICAS: Final = "add replicas with `kafka-reassign-partitions.sh`"
_APPLY: Final = "set it with `gate topics apply`"
IN_SYNC_MIN: Final = "min.insync.replicas"
INTERNAL_TOPICS: Final = ("__consumer_offsets", "__transaction_state")
"""Where Kafka keeps what makes a transaction one: offsets, and who committed what."""


class Level(Enum):
    """How bad it is. `UNKNOWN`: it could not be looked at."""

    BAD = "bad"
    WARNING = "warning"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """One difference. `stops_start`: a gate must not run on it."""

    level: Level
    topic: str
    about: str
    expected: str
    found: str
    cure: str
    stops_start: bool = False

    def __str__(self) -> str:
        """Return the whole sentence."""
        return (
            f"topic `{self.topic}`: {self.about}: expected {self.expected}, found {self.found}: "
            f"{self.cure}"
        )


def find_all(
    wanted: TopicsWanted, standing: Mapping[str, TopicStanding | None]
) -> tuple[Finding, ...]:
    """Return what is wrong, the gate's own topics first; internal ones only if looked at."""
    found = [
        finding for spec in wanted.specs for finding in _of_topic(wanted, spec, standing[spec.name])
    ]
    for name in INTERNAL_TOPICS:
        if name in standing:
            found += _of_internal(wanted, name, standing[name])
    return tuple(found)


def _of_topic(
    wanted: TopicsWanted, spec: TopicSpec, found: TopicStanding | None
) -> Iterator[Finding]:
    if found is None:
        yield Finding(
            Level.BAD, spec.name, "topic", f"{spec.partition_count} partitions", "no such topic",
            "make it with `gate topics apply`", True,
        )  # fmt: skip
        return
    if found.partitions is None:
        yield _not_seen(spec.name, "topic", "DESCRIBE")
        return
    if len(found.partitions) != spec.partition_count:
        yield Finding(
            Level.BAD, spec.name, "partitions", str(spec.partition_count),
            str(len(found.partitions)),
            "a count can not be changed under a gate: set `log.partitions` to that of the "
            "requests topic, or, where nothing was decided yet, delete the topic and run "
            "`gate topics apply`", True,
        )  # fmt: skip
    for finding in _replicas(found, spec.name, wanted.replicas):
        yield finding._replace(stops_start=True)
    yield from _in_sync(found, spec.name)
    if found.settings is None:
        yield _not_seen(spec.name, "settings", "DESCRIBE_CONFIGS")
        return
    yield from _in_sync_min(wanted, spec.name, found, spec.settings[IN_SYNC_MIN])
    yield from _settings(wanted.topics, spec, found.settings)


def _of_internal(wanted: TopicsWanted, name: str, found: TopicStanding | None) -> Iterator[Finding]:
    """Judge a topic of Kafka's own; on a fresh broker it is made at the first use."""
    if found is None:
        yield Finding(
            Level.UNKNOWN, name, "topic", "it to be there", "none yet",
            "Kafka makes it at its first use: check again after `gate init-lineage`",
        )  # fmt: skip
        return
    if found.partitions is None:
        yield _not_seen(name, "topic", "DESCRIBE")
        return
    level = Level.WARNING if wanted.insecure_dev else Level.BAD
    for finding in _replicas(found, name, wanted.internal_replicas):
        yield finding._replace(level=level, cure=_REPLICAS)
    yield from _in_sync(found, name)
    if found.settings is None:
        yield _not_seen(name, "settings", "DESCRIBE_CONFIGS")
        return
    for key, expected in wanted.internal_settings.items():
        value = found.settings.get(key)
        if value is None or value.value == expected:
            continue
        if key != IN_SYNC_MIN or int(value.value) < int(expected):
            yield Finding(
                level, name, key, expected, value.value,
                "set it on the brokers, or with `kafka-configs.sh --alter --entity-type topics "
                f"--entity-name {name} --add-config {key}={expected}`",
            )  # fmt: skip


def _replicas(found: TopicStanding, name: str, expected: int) -> Iterator[Finding]:
    fewest = min(found.partitions or (), key=lambda part: part.replicas)
    if fewest.replicas < expected:
        yield Finding(
            Level.BAD, name, "replicas", str(expected),
            f"{fewest.replicas} of partition {fewest.number}",
            f"{_REPLICAS}, or for development set `insecure_dev = true`",
        )  # fmt: skip


def _in_sync(found: TopicStanding, name: str) -> Iterator[Finding]:
    for part in found.partitions or ():
        if not part.has_leader or part.in_sync < part.replicas:
            yield Finding(
                Level.WARNING if part.has_leader else Level.BAD,
                name, f"partition {part.number}", f"{part.replicas} replicas in sync",
                str(part.in_sync) if part.has_leader else "no leader",
                "start the broker that is away, or wait for it to catch up",
            )  # fmt: skip


def _in_sync_min(
    wanted: TopicsWanted, name: str, found: TopicStanding, expected: str
) -> Iterator[Finding]:
    """Judge the min ISR: one above the replica count Kafka accepts, and caps."""
    value = (found.settings or {}).get(IN_SYNC_MIN)
    replicas = min(part.replicas for part in found.partitions or ())
    if value is None or int(value.value) < int(expected):
        yield Finding(
            Level.BAD, name, IN_SYNC_MIN, f"at least {expected}",
            "nothing" if value is None else value.value, _APPLY, True,
        )  # fmt: skip
    elif int(value.value) > replicas:
        yield Finding(
            Level.WARNING if wanted.insecure_dev else Level.BAD,
            name, IN_SYNC_MIN, f"at most {replicas}, as there are replicas", value.value,
            f"it means nothing so: {_REPLICAS}",
            not wanted.insecure_dev,
        )  # fmt: skip


def _settings(
    topics: Topics, spec: TopicSpec, found: Mapping[str, SettingFound]
) -> Iterator[Finding]:
    stops = _stopping(topics, spec.name)
    for key, expected in spec.settings.items():
        value = found.get(key)
        if key == IN_SYNC_MIN or (value is not None and value.value == expected):
            continue
        yield Finding(
            Level.BAD, spec.name, key, expected,
            "nothing" if value is None else escaped(value.value),
            _APPLY, key in stops,
        )  # fmt: skip
    for key, value in found.items():
        if value.is_own and key not in spec.settings:
            yield Finding(
                Level.WARNING, spec.name, key, "none, as the table has none", escaped(value.value),
                "take it away if nobody needs it: `kafka-configs.sh --alter --entity-type topics "
                f"--entity-name {spec.name} --delete-config {key}`",
            )  # fmt: skip


def _stopping(topics: Topics, name: str) -> frozenset[str]:
    """Return the settings without which a gate must not run."""
    more = {topics.changelog: "cleanup.policy", topics.requests: "message.timestamp.type"}
    return frozenset({"unclean.leader.election.enable", more.get(name, IN_SYNC_MIN)})


def _not_seen(name: str, about: str, right: str) -> Finding:
    return Finding(
        Level.UNKNOWN, name, about, "it to be seen", "no right to look",
        f"grant {right} on the topic",
    )  # fmt: skip
