"""The application on Quix Streams: everything around the function that decides.

    python job.py '{"bootstrap": …, "source": …, "prefix": …, "records": …, "batch": …,
                    "state": …, "schemas": …, "bundle": …, "audience": …,
                    "kind": "same", "is_signed": true}'

Exactly-once, one transaction a `batch` records (the gate's number), lz4, state in its store with a
changelog. `kind` is `same` or `short`, see `same_job` and `short_job`. With `is_signed`, one
Ed25519 signature of each decision. Reads what the gate's interpreter can not: it runs in an
environment of its own, and nothing of the gate is imported.
"""

import gc
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from quixstreams import Application, message_context
from same_job import SameJob
from short_job import ShortJob


class Told:
    """Tells progress as the gate does: one line a batch, on stderr."""

    def __init__(self, batch: int) -> None:
        self._batch, self.pending = batch, 0

    def processed(self, _topic, _partition, _offset) -> None:
        self.pending += 1
        if self.pending == self._batch:
            self.tell()

    def tell(self) -> None:
        line = {"event": "transaction_committed", "records": self.pending}
        print(json.dumps(line), file=sys.stderr, flush=True)
        self.pending = 0


def main() -> None:
    given = json.loads(sys.argv[1])
    told = Told(given["batch"])
    prefix = given["prefix"]
    app = Application(
        broker_address=given["bootstrap"],
        consumer_group=prefix,
        auto_offset_reset="earliest",
        state_dir=given["state"],
        processing_guarantee="exactly-once",
        commit_interval=5.0,
        commit_every=given["batch"],
        consumer_poll_timeout=0.1,
        loglevel="ERROR",
        on_message_processed=told.processed,
        consumer_extra_config={"log_level": 2},
        producer_extra_config={
            "log_level": 2,
            "linger.ms": 5,
            "compression.type": "lz4",
            "retry.backoff.ms": 2,
        },
    )
    raw = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    out = {"key_serializer": "bytes", "value_serializer": "bytes"}
    requests = app.topic(given["source"], **raw)
    approved, denied = app.topic(f"{prefix}.approved", **out), app.topic(f"{prefix}.denied", **out)
    key = Ed25519PrivateKey.generate() if given["is_signed"] else None
    schemas = Path(given["schemas"])
    if given["kind"] == "same":
        job = SameJob(schemas, given["bundle"].encode(), given["audience"], key)
    else:
        job = ShortJob(schemas, key)

    def decide(value, _key, timestamp, _headers, state):
        context = message_context()
        return job.decide(value, context.partition, context.offset, timestamp, state)

    gc.freeze()  # as the gate does: collections are rare, and look at what is new only
    gc.set_threshold(50_000, 20, 100)
    frame = app.dataframe(requests).apply(decide, stateful=True, metadata=True)
    frame.to_topic(lambda *_: approved if job.is_approved else denied)
    app.run(count=given["records"], timeout=60, collect=False)
    told.tell()  # the rest, committed as the application ended


if __name__ == "__main__":
    main()
