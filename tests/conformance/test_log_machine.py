"""Each log against a model of a few lines: what is visible, and where, after any history."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gate.errors import Fenced
from gate.ports import (
    Ends,
    GroupIdentity,
    Input,
    OffsetCommit,
    Output,
    OutputRecord,
    TopicPartition,
)
from tests.conformance.harness import (
    APPROVED,
    GROUP,
    PARTITION_COUNT,
    REQUESTS,
    EmbeddedHarness,
    Harness,
    SimulatedHarness,
)

Value = bytes | None
KEYS = st.none() | st.binary(max_size=4)
VALUES = st.none() | st.binary(max_size=40)
PARTITIONS = st.integers(0, PARTITION_COUNT - 1)


class LogMachine(RuleBasedStateMachine):
    """Three rules of a log: a transaction is one step, epochs and generations only rise, and a
    reader sees exactly what was committed, in order, below the last stable offset."""

    outputs: Bundle[Output] = Bundle("outputs")

    def __init__(self) -> None:
        super().__init__()
        self.log = self.make()
        self.log.make_topics()
        self.reader = self.log.reader()
        self.visible: dict[int, list[tuple[Value, Value]]] = {
            number: [] for number in range(PARTITION_COUNT)
        }
        self.committed: dict[int, OffsetCommit | None] = dict.fromkeys(range(PARTITION_COUNT))
        self.open: dict[int, list[OutputRecord]] = {}
        self.offsets: dict[int, dict[int, OffsetCommit]] = {}
        self.newest: Output | None = None
        self.member: Input | None = None
        self.identity: GroupIdentity | None = None
        self.publishers = [self.log.publisher() for _ in range(2)]
        self.publisher_in_force: object = None
        self.was_used: set[int] = set()

    def make(self) -> Harness:
        raise NotImplementedError

    @initialize(target=outputs)
    def first(self) -> Output:
        self.newest = self.log.opened()
        return self.newest

    @rule(target=outputs)
    def take_over(self) -> Output:
        """A newer process; the old one, if it has a transaction open, tries to commit it."""
        old, was_open = self.newest, bool(self.open)
        self.newest = self.log.opened()
        self.open.clear()
        if was_open and old is not None:
            with pytest.raises(Fenced):
                old.commit()
        return self.newest

    @rule(output=outputs, partition=PARTITIONS, key=KEYS, value=VALUES)
    def produce(self, output: Output, partition: int, key: Value, value: Value) -> None:
        if output is self.newest:
            if id(output) not in self.open:
                output.begin()
                self.open[id(output)], self.offsets[id(output)] = [], {}
            record = OutputRecord(APPROVED, partition, key, value)
            output.produce(record)
            self.open[id(output)].append(record)

    @rule(partition=PARTITIONS, next_offset=st.integers(0, 99), metadata=st.text("ab", max_size=5))
    def send_offsets(self, partition: int, next_offset: int, metadata: str) -> None:
        output = self.newest
        if id(output) in self.open and output is not None and self.identity is not None:
            offset = OffsetCommit(partition, next_offset, metadata)
            output.send_offsets([offset], self.identity)
            self.offsets[id(output)][partition] = offset

    @rule()
    def commit(self) -> None:
        if self.newest is not None and id(self.newest) in self.open:
            self.newest.commit()
            for record in self.open.pop(id(self.newest)):
                self.visible[record.partition].append((record.key, record.value))
            self.committed.update(self.offsets.pop(id(self.newest)))

    @rule(output=outputs)
    def abort(self, output: Output) -> None:
        if output is self.newest:
            output.abort()
            self.open.pop(id(output), None)

    @rule(output=outputs)
    def a_fenced_producer_commits_nothing(self, output: Output) -> None:
        if output is not self.newest:
            with pytest.raises(Fenced):
                _transact(output, OutputRecord(APPROVED, 0, b"zombie", b"zombie"))

    @rule()
    def renew(self) -> None:
        assert self.newest is not None
        self.newest.renew()
        self.open.clear()

    @precondition(lambda self: not self.open)
    @rule()
    def join(self) -> None:
        self.member = self.log.joined()
        self.identity = self.member.group_identity()

    @rule(number=st.integers(0, 1), partition=PARTITIONS, value=VALUES)
    def publish(self, number: int, partition: int, value: Value) -> None:
        records = [OutputRecord(APPROVED, partition, None, value)] * 2
        if self.open:
            return  # what follows an open transaction is hidden by it in one log, not in another
        if number not in self.was_used or self.publisher_in_force == number:
            self.publishers[number].publish(records, transactional_id="control")
            self.publisher_in_force = number
            self.was_used.add(number)
            self.visible[partition] += [(None, value)] * 2
        else:
            with pytest.raises(Fenced):
                self.publishers[number].publish(records, transactional_id="control")

    @invariant()
    def everything_committed_is_visible_in_order(self) -> None:
        for number, expected in self.visible.items():
            found = self.log.everything(APPROVED, number)
            assert [(record.key, record.value) for record in found] == expected
            offsets = [record.offset for record in found]
            assert offsets == sorted(set(offsets))
            last = self.reader.last(TopicPartition(APPROVED, number))
            assert last == (found[-1] if found else None)

    @invariant()
    def ends_enclose_the_records(self) -> None:
        for number in range(PARTITION_COUNT):
            where = TopicPartition(APPROVED, number)
            found = self.reader.ends([where])[where]
            assert found == Ends(0, found.last_stable, found.high_watermark)
            assert found.last_stable <= found.high_watermark
            if not self.open:
                assert found.last_stable == found.high_watermark

    @invariant()
    def offsets_are_those_of_committed_transactions(self) -> None:
        if not any(self.offsets.get(number) for number in self.open):
            found = self.reader.committed(GROUP, REQUESTS, range(PARTITION_COUNT))
            assert found == self.committed


def _transact(output: Output, record: OutputRecord) -> None:
    output.abort()
    output.begin()
    output.produce(record)
    output.commit()


class SimulatedMachine(LogMachine):
    def make(self) -> Harness:
        return SimulatedHarness()


class EmbeddedMachine(LogMachine):
    def make(self) -> Harness:
        in_memory = "/dev/shm"  # else syncs are most of the time
        self.folder = Path(tempfile.mkdtemp(dir=in_memory if Path(in_memory).is_dir() else None))
        return EmbeddedHarness(self.folder)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


@pytest.mark.parametrize("machine", [SimulatedMachine, EmbeddedMachine])
def test_each_log_behaves_as_the_model(machine: Callable[[], LogMachine]) -> None:
    bounds = settings(
        max_examples=30,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [SimulatedMachine, EmbeddedMachine])
def test_each_log_behaves_as_the_model_for_long(machine: Callable[[], LogMachine]) -> None:
    bounds = settings(
        max_examples=500,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounds)
