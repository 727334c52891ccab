"""What is told of a transaction: counts for the monitor, and nothing that somebody else wrote."""

from pathlib import Path

import pytest

from gate.ports import EventKind
from gate.views import Committed, GateView, PartitionView, PolicyView
from tests.builders import (
    NOW_MS,
    a_bundle,
    a_control_record,
    a_request,
    an_activation,
    digest_of,
)
from tests.planted import planted
from tests.simulation.gate_world import OPEN_POLICY
from tests.worlds import EmbeddedWorld

MARKER = "quotedbynobody"
POLICY = a_bundle(requester="open", source=OPEN_POLICY)


class Seen:
    """A monitor that keeps everything."""

    def __init__(self) -> None:
        self.views: list[GateView] = []
        self.transactions: list[Committed] = []
        self.steps = 0

    def turned(self, view: GateView) -> None:
        self.views.append(view)

    def stepped(self) -> None:
        self.steps += 1

    def committed(self, transaction: Committed) -> None:
        self.transactions.append(transaction)


class WatchedWorld(EmbeddedWorld):
    """A world whose gates have a monitor."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seen = Seen()
        self.init()

    def run(self, **changes: object) -> None:
        gate = self.gate(**changes)
        object.__setattr__(gate.ports, "monitor", self.seen)
        gate.run(should_stop=lambda: False, until_caught_up=True)


@pytest.fixture
def world(tmp_path: Path) -> WatchedWorld:
    return WatchedWorld(tmp_path)


def requests(*loans: str) -> list[tuple[bytes, bytes]]:
    return [
        (loan.encode(), a_request(loan_id=loan, score=None, signer=None, request_id=f"r-{number}"))
        for number, loan in enumerate(loans)
    ]


def test_a_transaction_is_counted_by_outcome_and_first_reason(world: WatchedWorld) -> None:
    world.control(an_activation(POLICY, topic_id=world.topic_id))
    world.run()
    world.seen.transactions.clear()
    world.submit(*requests("L-1", "L-2", "L-1"), (b"L-1", b"junk"), (b"L-1", None))
    world.run()

    (counted,) = world.seen.transactions
    assert world.seen.steps == 2, "a sign of life before each commit"
    assert counted._replace(elapsed_ms=0) == Committed(
        decisions={
            ("approved", "approved"): 2,
            ("denied", "replayed"): 1,
            ("denied", "framing_unknown"): 1,
            ("denied", "empty"): 1,
        },
        quarantined={"framing_unknown": 1},
        append_times_ms=[NOW_MS] * 5,
        committed_at_ms=NOW_MS,
        elapsed_ms=0,
    )
    last = world.telemetry.of(EventKind.TRANSACTION_COMMITTED)[-1]
    assert {**last, "elapsed_ms": 0} == {
        "partitions": 1,
        "records": 5,
        "reasons": {"approved": 2, "empty": 1, "framing_unknown": 1, "replayed": 1},
        "elapsed_ms": 0,
    }


def test_an_accepted_control_record_is_no_decision(world: WatchedWorld) -> None:
    world.control(an_activation(POLICY, topic_id=world.topic_id))
    world.run()

    (counted,) = world.seen.transactions
    assert (counted.decisions, counted.append_times_ms) == ({}, [NOW_MS])
    assert world.telemetry.of(EventKind.TRANSACTION_COMMITTED)[-1]["reasons"] == {"control": 1}
    assert world.telemetry.of(EventKind.CONTROL_ACCEPTED) == [{"partition": 0, "input_offset": 0}]


def test_the_last_view_is_of_a_gate_that_has_caught_up(world: WatchedWorld) -> None:
    world.control(an_activation(POLICY, topic_id=world.topic_id))
    world.submit(*requests("L-1", "L-2"))
    world.run()

    first, *_, last = world.seen.views
    assert (first.partitions, last.is_producer_usable, last.unreachable) == ((), True, "")
    (partition,) = last.partitions
    assert partition._replace(input_lag=0) == PartitionView(
        number=0,
        phase="ready",
        cause="",
        text="",
        restore_remaining=0,
        tree_size=4,
        input_lag=0,
        is_input_pinned=False,
        policies=(PolicyView("loans", "1.0.0", digest_of(POLICY)),),
    )


def hostile() -> list[tuple[None, bytes]]:
    """Control records of somebody whom nobody trusts."""
    text = MARKER
    forged = {"authors": (text,), "activators": (text,), "topic_id": text}
    return [
        (None, an_activation(a_bundle(policy=text), **forged)),
        (None, an_activation(a_bundle(policy=text), audience=text, **forged)),
        (None, a_control_record(1, text.encode())),
        (None, a_control_record(2, text.encode())),
    ]


def test_a_refused_control_record_is_not_quoted(world: WatchedWorld) -> None:
    world.submit(*hostile(), partition=0)
    world.run()

    assert [event.keys() for event in world.telemetry.of(EventKind.CONTROL_REFUSED)] == [
        {"partition", "field"}
    ] * 4
    assert MARKER not in repr((world.telemetry.events, world.seen.views, world.seen.transactions))


def test_without_leaving_its_text_out_it_would_be(world: WatchedWorld) -> None:
    with (
        planted("gate.runtime.report", "field=refusal.field)", "text=refusal.text, field='')"),
        pytest.raises(AssertionError),
    ):
        test_a_refused_control_record_is_not_quoted(world)
    assert MARKER in repr(world.telemetry.events)
