"""The floor: consume records and produce them again, one transaction a batch, deciding nothing.

    python -m loadtest.kafka.pass_through BOOTSTRAP INPUT OUTPUT GROUP RECORDS BATCH

Uses the gate's own client settings; tells each transaction as the gate does.
"""

import json
import sys

from confluent_kafka import Consumer, Producer, TopicPartition

from gate.adapters.kafka.settings import (
    Connection,
    input_properties,
    transactional_properties,
)

_CALL_S = 60.0
_POLL_S = 0.02


def main() -> None:
    bootstrap, source, sink, group, wanted, batch = sys.argv[1:]
    connection = Connection(bootstrap_servers=bootstrap)

    def ignore(_error: object) -> None: ...

    consumer = Consumer(
        {
            **input_properties(connection, group_id=group, slot=group, on_error=ignore),
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([source])
    producer = Producer(transactional_properties(connection, group, ignore))
    producer.init_transactions(_CALL_S)
    left = int(wanted)
    while left > 0:
        messages = consumer.consume(int(batch), _POLL_S)
        if not messages:
            continue
        producer.begin_transaction()
        ends: dict[int, int] = {}
        for message in messages:
            if message.error() is not None:
                sys.exit(str(message.error()))
            number = message.partition()
            while True:
                try:
                    producer.produce(sink, message.value(), message.key(), number)
                    break
                except BufferError:
                    producer.poll(0.05)
            ends[number] = message.offset() + 1
        offsets = [TopicPartition(source, number, end) for number, end in ends.items()]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), _CALL_S)
        producer.commit_transaction(_CALL_S)
        left -= len(messages)
        tell = {"event": "transaction_committed", "records": len(messages)}
        print(json.dumps(tell), file=sys.stderr, flush=True)
    consumer.close()


if __name__ == "__main__":
    main()
