"""The input of the demonstration: what is sent, in which order, to which partition.

Promises that the same applications, keys and time give the same records in the same order, so the
second sending is the first one byte by byte.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gate.core.placement import partition_of
from gate.demo.applications import Application
from gate.demo.planted import Case, Setting, place_cases
from gate.ports import OutputRecord, Publisher

_PUBLISHED_AT_ONCE = 500


class Sent(NamedTuple):
    """One record of the input: a real application, or a planted case."""

    application: Application
    case: Case | None
    partition: int
    key: bytes
    value: bytes


class Place(NamedTuple):
    """Where in the requests topic a record stands."""

    partition: int
    offset: int


def assemble(setting: Setting, applications: Sequence[Application]) -> Iterator[Sent]:
    """Yield every record in sending order: the applications, with the planted cases among them."""
    placed = place_cases(applications)
    count = setting.partition_count
    for position, application in enumerate(applications):
        key = application.id.encode()
        draft = setting.desk.draft(application, f"req-{application.id}")
        value = setting.desk.sign(draft)
        yield Sent(application, None, partition_of(key, count), key, value)
        if position in placed:
            case, figures = placed[position]
            planted = case.make(setting, figures)
            partition = planted.partition
            if partition is None:
                partition = partition_of(planted.key, count)
            yield Sent(figures, case, partition, planted.key, planted.value)


def publish(
    sent: Sequence[Sent],
    *,
    topic: str,
    publisher: Publisher,
    told: Callable[[int], None],
) -> tuple[Place, ...]:
    """Publish the records and return where each one stands. Raises what the port raises."""
    places: list[Place] = []
    for start in range(0, len(sent), _PUBLISHED_AT_ONCE):
        part = sent[start : start + _PUBLISHED_AT_ONCE]
        offsets = publisher.publish(
            [OutputRecord(topic, item.partition, item.key, item.value) for item in part]
        )
        places += [
            Place(item.partition, offset) for item, offset in zip(part, offsets, strict=True)
        ]
        told(len(places))
    return tuple(places)
