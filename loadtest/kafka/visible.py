"""The reader of the open loop: notes when each decision becomes visible to a committed reader.

    python -m loadtest.kafka.visible BOOTSTRAP GATE RATE COUNT SEED WARM_UP

A decision keeps its request's record key, which holds the request's number, hence its intended
time. Latency runs from that time (no coordinated omission); the first WARM_UP numbers are left
out. `ready` on stdout, then the first intended time from stdin; at the end JSON with the encoded
histogram, in microseconds.
"""

import gc
import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition
from hdrh.histogram import HdrHistogram

from gate.adapters.kafka.settings import Connection, reader_properties
from gate.core.topics import topics_of
from loadtest.kafka.gates import PARTITIONS

HIGHEST_US = 60_000_000
DIGITS = 3
PERCENTILES = {"p50": 50, "p90": 90, "p99": 99, "p99_9": 99.9, "max": 100}
_SILENCE_MAX_S = 20


def main() -> None:
    bootstrap, gate, rate, count, seed, warm_up = sys.argv[1:]
    wanted, first = int(count), int(warm_up)
    consumer = _reader(bootstrap, gate)
    print("ready", flush=True)
    begin_at, gap_s = float(sys.stdin.readline()), 1 / float(rate)
    prefix = f"L-{seed}-".encode()
    histogram = HdrHistogram(1, HIGHEST_US, DIGITS)
    seen = bytearray(wanted)
    left, twice, heard_at = wanted, 0, time.monotonic()
    gc.collect()
    gc.disable()
    while left and time.monotonic() - heard_at < _SILENCE_MAX_S:
        message = consumer.poll(0.5)
        if message is None:
            continue
        batch = [message, *consumer.consume(1_000, 0)]
        at = heard_at = time.monotonic()
        for message in batch:
            key = message.key()
            if message.error() is not None or key is None or not key.startswith(prefix):
                continue
            number = int(key[len(prefix) :])
            twice += seen[number]
            left -= not seen[number]
            seen[number] = 1
            if number >= first:
                histogram.record_value(max(int((at - begin_at - number * gap_s) * 1e6), 1))
    consumer.close()
    print(
        json.dumps(
            {
                "missing": left,
                "twice": twice,
                "measured": histogram.get_total_count(),
                "histogram": histogram.encode().decode("ascii"),
            }
        )
    )


def _reader(bootstrap: str, gate: str) -> Consumer:
    """Return a consumer at the end of every partition of both outputs."""
    connection = Connection(bootstrap_servers=bootstrap)
    properties = reader_properties(connection, lambda _error: None)
    consumer = Consumer({**properties, "enable.partition.eof": False, "fetch.wait.max.ms": 500})
    topics = topics_of(gate)
    places = []
    for topic in (topics.approved, topics.denied):
        for number in range(PARTITIONS):
            place = TopicPartition(topic, number)
            place.offset = consumer.get_watermark_offsets(place, timeout=10)[1]
            places.append(place)
    consumer.assign(places)
    consumer.poll(0.5)  # the first fetch is on its way
    return consumer


if __name__ == "__main__":
    main()
