"""What commands that read topics share: their partitions, and how reading is shown."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gate import wiring
from gate.audit.topics_reading import Reached
from gate.cli.exits import Usage
from gate.cli.waiting import reading_shown
from gate.client.followed_trust import Reading
from gate.errors import ConfigInvalid
from gate.ports import LogReader, TopicPartition


def partitions_named(reader: LogReader, topic: str, asked: Sequence[int] | None) -> tuple[int, ...]:
    """Return the partitions asked for, all of the topic where none is.

    Raises `ConfigInvalid` when there is no such topic, `Usage` for a partition that it has not.
    """
    found = reader.topic(topic)
    if found is None:
        raise ConfigInvalid(f"gate has no topic `{topic}`: check the configuration")
    numbers = tuple(sorted(set(asked or range(found.partition_count))))
    if numbers[-1] >= found.partition_count:
        raise Usage(f"there are partitions 0 to {found.partition_count - 1} only")
    return numbers


@contextmanager
def shown_reading(what: str) -> Iterator[Reading]:
    """Show how far a topic has been read for a client."""
    with reading_shown(what, wiring.clock()) as progress:

        def follow(where: TopicPartition, offset: int, end: int) -> None:
            progress(Reached(where, offset, end))

        yield follow
