"""The gate's process with one thing taken out, to see what that thing costs.

    python -m loadtest.kafka.variants at-least-once run --config gate.toml
    python -m loadtest.kafka.variants without-ends-check run --config gate.toml

Neither is a gate to be used: the first forgets exactly-once, the second the check of
`design/transaction.md` §2.5 that nothing older is undecided where it is about to write.
"""

import sys
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Producer, TopicPartition

from gate.__main__ import main as gate_main
from gate.adapters.kafka.input import KafkaInput
from gate.adapters.kafka.settings import Connection, plain_properties
from gate.ports import GroupIdentity, OffsetCommit, OutputRecord
from gate.runtime import transaction
from gate.wiring import gates

_FLUSH_S = 60.0


class RememberedInput(KafkaInput):
    """The input, which the output without transactions asks to commit offsets."""

    last: "RememberedInput"

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        RememberedInput.last = self

    def commit(self, offsets: Sequence[TopicPartition]) -> None:
        self._consumer.commit(offsets=list(offsets), asynchronous=False)


class PlainOutput:
    """The `Output` port without transactions: produce, flush, then commit the offsets."""

    def __init__(self, connection: Connection, *, transactional_id: str, input_topic: str) -> None:
        del transactional_id
        self._topic = input_topic
        self._producer = Producer(
            {
                **plain_properties(connection, lambda _error: None),
                "enable.idempotence": True,
                "batch.size": 1_000_000,
                "queue.buffering.max.kbytes": 64 * 1024,
                "queue.buffering.max.messages": 200_000,
            }
        )
        self._offsets: list[TopicPartition] = []

    def open(self) -> None: ...

    def begin(self) -> None: ...

    def produce(self, record: OutputRecord) -> None:
        topic, partition, key, value, headers = record
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=list(headers))
            except BufferError:
                self._producer.poll(0.05)
            else:
                return

    def send_offsets(self, offsets: Sequence[OffsetCommit], identity: GroupIdentity) -> None:
        del identity
        self._offsets = [TopicPartition(self._topic, *offset) for offset in offsets]

    def commit(self) -> None:
        assert not self._producer.flush(_FLUSH_S), "the broker is there"
        RememberedInput.last.commit(self._offsets)

    def abort(self) -> None: ...

    def renew(self) -> None: ...

    def close(self) -> None: ...


def main() -> None:
    variant = sys.argv.pop(1)
    if variant == "at-least-once":
        gates.KafkaInput = RememberedInput  # type: ignore[misc]
        gates.KafkaOutput = PlainOutput  # type: ignore[assignment,misc]
    elif variant == "without-ends-check":
        transaction.settled_ends = lambda *_: {}  # type: ignore[assignment]
    else:
        sys.exit(f"expected `at-least-once` or `without-ends-check`, got `{variant}`")
    gate_main()


if __name__ == "__main__":
    main()
