"""A whole gate in one process on a real broker, with clean topics."""

import threading
import time
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from gate.adapters.clock import SystemClock
from gate.adapters.kafka import (
    Connection,
    KafkaAdmin,
    KafkaInput,
    KafkaOutput,
    KafkaPublisher,
    KafkaReader,
)
from gate.core.topics import transactional_id
from gate.ports import TopicPartition
from gate.runtime.settled import is_held
from tests.builders import GATE
from tests.worlds import TOPICS, World

SESSION_TIMEOUT_MS = 1_500
SETTLE_S = 5


def connection_to(bootstrap: str) -> Connection:
    return Connection(bootstrap_servers=bootstrap, session_timeout_ms=SESSION_TIMEOUT_MS)


def remove_topics(bootstrap: str, names: Sequence[str]) -> None:
    """Delete topics, and with them the offsets of every group; wait until they are gone."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    for future in client.delete_topics(list(names)).values():
        try:
            future.result(10)
        except KafkaException as error:
            assert error.args[0].name() == "UNKNOWN_TOPIC_OR_PART", error
    while set(names) & client.list_topics(timeout=10).topics.keys():
        time.sleep(0.02)


class KafkaWorld(World):
    """On a real broker; the clock is the system's."""

    replicas = 1

    def __init__(self, bootstrap: str, *, partitions: int = 1) -> None:
        self.connection = connection_to(bootstrap)
        remove_topics(bootstrap, TOPICS)
        self._readers: dict[int, KafkaReader] = {}
        self._publisher = KafkaPublisher(self.connection)
        self._wait_for_an_empty_group()
        super().__init__(
            admin=KafkaAdmin(self.connection, replication_factor=self.replicas),
            partitions=partitions,
            clock=SystemClock(),
        )

    def _wait_for_an_empty_group(self) -> None:
        while not self.reader().group_is_empty(GATE):
            time.sleep(0.1)

    def reader(self) -> KafkaReader:
        """One for each thread: a gate may run beside the test."""
        thread = threading.get_ident()
        if thread not in self._readers:
            self._readers[thread] = KafkaReader(self.connection)
        return self._readers[thread]

    def publisher(self) -> KafkaPublisher:
        return self._publisher

    def renew_publisher(self) -> None:
        """Publish as a process that was started now: an old one may not begin a transaction."""
        self._publisher.close()
        self._publisher = KafkaPublisher(self.connection)

    def make_input(self) -> KafkaInput:
        return KafkaInput(self.connection, group_id=GATE, slot="gate-0", topic=TOPICS.requests)

    def make_output(self, slot: str) -> KafkaOutput:
        return KafkaOutput(
            self.connection,
            transactional_id=transactional_id(GATE, slot),
            input_topic=TOPICS.requests,
        )

    def settle(self) -> None:
        """Wait for the markers, which come after the acknowledgement of a commit."""
        where = [TopicPartition(name, n) for name in TOPICS for n in range(self.partitions)]
        deadline = time.monotonic() + SETTLE_S
        while any(map(is_held, self.reader().ends(where).values())):
            if time.monotonic() > deadline:
                return  # something holds them for longer: whoever reads says what is missing
            time.sleep(0.01)

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
        self._publisher.close()
