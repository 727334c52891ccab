"""Whether every transaction on a partition has ended: last stable offset = high watermark.

A commit returns before its markers are written (2 ms at the median, 7 ms at p99 on Kafka 4.3.1),
so what is held right after one is asked again for a moment before it is doubted.
`design/transaction.md` §2.5.
"""

from collections.abc import Mapping, Sequence

from gate.errors import Pending, Pinned
from gate.ports import Ends, TopicPartition
from gate.runtime.settings import MARKER_INTERVAL_MS, MARKER_WAIT_MS, GateSettings, Ports


def is_held(ends: Ends) -> bool:
    """Say whether an unfinished transaction holds a partition's last stable offset."""
    return ends.last_stable != ends.high_watermark


def held(where: TopicPartition, ends: Ends) -> Pinned:
    """Return the error for an output that an unfinished transaction holds."""
    return Pinned(
        f"topic `{where.topic}` partition {where.partition}: an unfinished transaction holds the "
        f"last stable offset at {ends.last_stable}, the log ends at {ends.high_watermark}"
    )


def settled_ends(
    numbers: Sequence[int], settings: GateSettings, ports: Ports
) -> Mapping[TopicPartition, Ends]:
    """Return the ends of these partitions' outputs once nothing holds them and their offsets.

    Waits at most `MARKER_WAIT_MS`. Raises `Pinned`, `Pending`, `Unreachable`.
    """
    outputs = [TopicPartition(topic, n) for n in numbers for topic in settings.topics.outputs]
    deadline_ms = ports.clock.monotonic_ms() + MARKER_WAIT_MS
    while True:
        try:
            return _ends(outputs, numbers, settings, ports)
        except (Pinned, Pending):
            if ports.clock.monotonic_ms() >= deadline_ms:
                raise
            ports.clock.sleep_ms(MARKER_INTERVAL_MS)


def _ends(
    outputs: Sequence[TopicPartition],
    numbers: Sequence[int],
    settings: GateSettings,
    ports: Ports,
) -> Mapping[TopicPartition, Ends]:
    found = ports.reader.ends(outputs)
    for where, ends in found.items():
        if is_held(ends):
            raise held(where, ends)
    ports.reader.committed(settings.gate, settings.topics.requests, numbers)
    return found
