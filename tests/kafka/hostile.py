"""A gate that runs beside the test that does harm to its topics, and what must hold before."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from gate.core.wire.entry import read_entry
from gate.core.wire.record import read_decision_record, read_lineage_record
from gate.ports import Ends, EventKind, LogRecord, TopicPartition
from gate.runtime.loop import Gate
from tests.builders import GATE, loan_partition
from tests.kafka.place import wait_for
from tests.kafka.requests import request_for
from tests.kafka.world import KafkaWorld
from tests.lines import _check_consistency, fold, leaves_of
from tests.worlds import TOPICS, outcomes

Inputs = Mapping[int, Sequence[LogRecord]]


class Running:
    """A gate in a thread; `error` is what ended it, if something did."""

    def __init__(self, make: Callable[[], Gate]) -> None:
        self.error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[make], daemon=True)
        self._thread.start()

    def _run(self, make: Callable[[], Gate]) -> None:
        try:
            make().run(should_stop=self._stop.is_set)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self, seconds: float = 30) -> None:
        self._stop.set()
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the gate did not stop"


class HostileWorld(KafkaWorld):
    """With hands on everything that an operator, or a stranger, may get hold of."""

    def __init__(self, bootstrap: str, *, partitions: int = 2) -> None:
        super().__init__(bootstrap, partitions=partitions)
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})

    @contextmanager
    def running(self) -> Iterator[Running]:
        found = Running(self.gate)
        try:
            yield found
        finally:
            found.stop()

    def submit_to(self, partition: int, *names: str) -> None:
        """Publish requests for loans of one partition, named after their ids."""
        for name in names:
            loan = next(
                loan
                for number in range(1_000)
                if loan_partition(loan := f"L-{name.upper()}-{number}", self.partitions)
                == partition
            )
            self.submit(request_for(loan, name))

    def ends(self, topic: str, partition: int) -> Ends:
        where = TopicPartition(topic, partition)
        return self.reader().ends([where])[where]

    def outputs_of(self, partition: int) -> list[Ends]:
        return [self.ends(topic, partition) for topic in TOPICS.outputs]

    def inputs(self) -> Inputs:
        found: dict[int, list[LogRecord]] = {number: [] for number in range(self.partitions)}
        for record in self.records(TOPICS.requests):
            found[record.partition].append(record)
        return found

    def decided(self) -> list[str]:
        return sorted(name for name, _ in outcomes(self.decisions()))

    def stops(self) -> list[tuple[int, str]]:
        stops = self.telemetry.of(EventKind.PARTITION_STOPPED)
        return [(int(str(stop["partition"])), str(stop["cause"])) for stop in stops]

    def remove_below(self, topic: str, partition: int, first: int) -> None:
        where = ClientPartition(topic, partition, first)
        for future in self.admin.delete_records([where]).values():
            future.result(10)

    def wait_until_decided(self, *names: str, seconds: float = 20) -> None:
        wait_for(lambda: set(names) <= set(self.decided()), seconds=seconds)

    def leave_group(self) -> None:
        """Wait until a gate that stopped is no member any more."""
        wait_for(lambda: self.reader().group_is_empty(GATE), seconds=10)


def check_lines_before(world: KafkaWorld, inputs: Inputs) -> dict[int, int]:
    """Check (a) to (d) for what was committed; return how many inputs each partition decided."""
    decided = {}
    for number in range(world.partitions):
        leaves = leaves_of(world, number)
        _check_fold(world, number, inputs[number], leaves)
        decided[number] = len(leaves) - 1
    _check_approvals(world)
    return decided


def check_lines_before_a_tear(world: KafkaWorld, inputs: Inputs) -> dict[int, int]:
    """The same where a transaction is visible in one topic and hidden in another: before it."""
    decided = {}
    for number in range(world.partitions):
        found: dict[int, bytes] = {}
        lineage = [
            read_lineage_record(record.value or b"")
            for record in world.records(TOPICS.lineage)
            if record.partition == number
        ]
        for entry in (entry for record in lineage for entry in record.entries):
            found[entry.leaf_index] = entry.entry
        for topic in (TOPICS.approved, TOPICS.denied):
            for record in world.records(topic):
                if record.partition == number:
                    decision = read_decision_record(record.value or b"")
                    assert decision.leaf_index not in found, "(a): one leaf index twice"
                    found[decision.leaf_index] = decision.entry
        whole = next(index for index in range(len(found) + 1) if index not in found)
        before = [record for record in lineage if record.tree_size <= whole]
        leaves = [found[index] for index in range(before[-1].tree_size)]
        _check_consistency(before, leaves)
        _check_fold(world, number, inputs[number], leaves)
        decided[number] = len(leaves) - 1
    _check_approvals(world)
    return decided


def _check_fold(
    world: KafkaWorld, number: int, inputs: Sequence[LogRecord], leaves: Sequence[bytes]
) -> None:
    assert leaves == fold(world, number, inputs)[: len(leaves)], "(a), (c): not a fold of the input"


def _check_approvals(world: KafkaWorld) -> None:
    approved = [
        read_entry(read_decision_record(record.value or b"").entry).admission_key
        for record in world.records(TOPICS.approved)
    ]
    assert len(approved) == len(set(approved)), "(b): a key approved twice"
