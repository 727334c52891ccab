"""A transaction that outlived its timeout, and a slot that was taken meanwhile, are told apart.

The brokers answer `_FENCED` to both. `design/transaction.md` §4.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from gate.adapters.kafka import KafkaOutput
from gate.core.topics import transactional_id
from gate.errors import Fenced
from gate.ports import EventKind, GroupIdentity, OffsetCommit, OutputRecord
from tests.builders import GATE
from tests.kafka.local import LocalKafka
from tests.kafka.place import Place, place, wait_for
from tests.kafka.requests import activate, submit_some
from tests.kafka.world import KafkaWorld
from tests.lines import check_lines
from tests.planted import planted
from tests.worlds import TOPICS, outcomes

__all__ = ["place"]

TIMEOUT_MS = 2_000
STALL_S = 3.5

pytestmark = pytest.mark.slow


class StallingOutput(KafkaOutput):
    """Stands still once inside a transaction, for longer than the brokers leave it open."""

    on_stall: Callable[[], object] = staticmethod(lambda: None)
    has_stalled = False

    def send_offsets(self, offsets: list[OffsetCommit], identity: GroupIdentity) -> None:
        if not self.has_stalled:
            self.has_stalled = True
            time.sleep(STALL_S)
            self.on_stall()
        super().send_offsets(offsets, identity)


class StallingWorld(KafkaWorld):
    on_stall: Callable[[], object] = staticmethod(lambda: None)

    def make_output(self, slot: str) -> StallingOutput:
        made = StallingOutput(
            replace(self.connection, transaction_timeout_ms=TIMEOUT_MS),
            transactional_id=transactional_id(GATE, slot),
            input_topic=TOPICS.requests,
        )
        made.on_stall = self.on_stall
        return made


@pytest.fixture
def world(kafka: LocalKafka) -> Iterator[StallingWorld]:
    made = StallingWorld(kafka.bootstrap, partitions=2)
    made.init()
    activate(made)
    yield made
    made.close()


def test_a_transaction_that_outlived_its_timeout_is_decided_again_once(
    world: StallingWorld,
) -> None:
    submit_some(world, 12)
    world.run()

    check_lines(world)
    assert len(outcomes(world.decisions())) == 12
    (unknown,) = world.telemetry.of(EventKind.OUTCOME_UNKNOWN)
    assert "outlived its timeout" in str(unknown["why"])
    assert world.telemetry.of(EventKind.PRODUCER_RENEWED) == [{"cause": "outcome_unknown"}]
    assert not world.telemetry.of(EventKind.PARTITION_STOPPED)


def a_standstill_with_a_successor(world: StallingWorld, place: Place) -> None:
    """Another process takes the slot meanwhile; it must be able to go on."""
    submit_some(world, 4)
    successor = KafkaWorld.make_output(world, "gate-0")

    def take_over() -> None:
        member = world.make_input()
        place.parts.append(member)
        wait_for(lambda: member.poll(records_max=1, timeout_ms=20).assigned)
        successor.open()
        successor.begin()
        successor.produce(OutputRecord(place.name, 0, None, b"the successor's"))

    world.on_stall = take_over
    with pytest.raises(Fenced, match="slot_in_use"):
        world.run()
    successor.commit()
    successor.close()
    assert place.values() == [b"the successor's"]


def test_who_stood_still_while_its_slot_was_taken_lets_go(
    world: StallingWorld, place: Place
) -> None:
    a_standstill_with_a_successor(world, place)

    assert not world.telemetry.of(EventKind.PRODUCER_RENEWED)
    assert outcomes(world.decisions()) == []


def test_without_the_poll_before_a_renewal_there_is_a_duel(
    world: StallingWorld, place: Place
) -> None:
    """The negative control: the old process takes the transactional id back."""
    guard = "if self._renewal_cause == OUTCOME_UNKNOWN:"
    with planted("gate.runtime.loop", guard, "if False:"), pytest.raises(Fenced):
        a_standstill_with_a_successor(world, place)
