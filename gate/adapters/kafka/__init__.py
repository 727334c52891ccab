"""The log on Apache Kafka, through confluent-kafka.

Promises what the ports promise with transactions, group membership and read committed of the
brokers; every wait is bounded, and what is unreachable says why. A commit that has returned may
be visible some milliseconds later: until then `ends` shows the LSO below the high watermark and
`committed` raises `Pending`. `design/transaction.md`.

Each object owns its clients and is used by one thread at a time.
"""

from gate.adapters.kafka.admin import KafkaAdmin
from gate.adapters.kafka.input import KafkaInput
from gate.adapters.kafka.output import KafkaOutput
from gate.adapters.kafka.publisher import KafkaPublisher
from gate.adapters.kafka.reader import KafkaReader
from gate.adapters.kafka.settings import Connection

__all__ = [
    "Connection",
    "KafkaAdmin",
    "KafkaInput",
    "KafkaOutput",
    "KafkaPublisher",
    "KafkaReader",
]
