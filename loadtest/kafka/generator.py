"""The generator of the open loop: sends each request at its intended time, answer or not.

    python -m loadtest.kafka.generator BOOTSTRAP TOPIC AUDIENCE RATE COUNT SEED

Everything is made before; `ready` on stdout, then the first intended time (monotonic) is read from
stdin. At the end it says in JSON how late the calls to the client were. The client may hold a
record for 2 ms to batch it; that counts as latency.
"""

import gc
import json
import sys
import time

from confluent_kafka import Producer

from gate import wiring
from loadtest.kafka.gates import DOMAIN, PARTITIONS
from loadtest.workload import requests

_FLUSH_S = 30.0
_SLEEP_MIN_S = 0.0002


def main() -> None:
    bootstrap, topic, audience, rate, count, seed = sys.argv[1:]
    made = requests(
        "open",
        int(count),
        audience=audience,
        domain=DOMAIN,
        partitions=PARTITIONS,
        now_ms=wiring.clock().now_ms(),
        seed=int(seed),
    )
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 2,
            "log_level": 2,
        }
    )
    producer.list_topics(topic, timeout=10)
    gc.collect()
    gc.disable()
    print("ready", flush=True)
    begin_at, gap_s = float(sys.stdin.readline()), 1 / float(rate)
    late_s = []
    for number, (partition, key, value) in enumerate(made):
        due = begin_at + number * gap_s
        wait_s = due - time.monotonic()
        if wait_s > _SLEEP_MIN_S:
            producer.poll(0)
            time.sleep(max(due - time.monotonic(), 0))
        producer.produce(topic, value, key, partition)
        late_s.append(max(time.monotonic() - due, 0))
    left = producer.flush(_FLUSH_S)
    late_s.sort()
    print(
        json.dumps(
            {
                "sent": len(made) - left,
                "late_p99_ms": round(late_s[int(len(late_s) * 0.99)] * 1000, 3),
                "late_max_ms": round(late_s[-1] * 1000, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
