"""The thin line through the whole gate on the embedded log."""

from pathlib import Path

import pytest

from gate.core.values import APPROVED
from tests.builders import a_bundle, a_request, an_activation
from tests.worlds import EmbeddedWorld, outcomes


@pytest.fixture
def world(tmp_path: Path) -> EmbeddedWorld:
    world = EmbeddedWorld(tmp_path)
    world.init()
    return world


def test_a_request_without_a_policy_is_denied(world: EmbeddedWorld) -> None:
    world.submit((b"L-1", a_request()))
    world.run()
    assert outcomes(world.decisions()) == [("r-1", "no_policy")]


def test_junk_gets_exactly_one_entry_each(world: EmbeddedWorld) -> None:
    world.submit((b"L-1", b"junk"), (b"L-1", None), (None, b"\xc3\x01"), (b"L-1", a_request()))
    world.run()
    assert [code for _, code in outcomes(world.decisions())] == [
        "framing_unknown",
        "empty",
        "framing_unknown",
        "no_policy",
    ]


def test_a_key_is_approved_once_and_replays_are_denied(world: EmbeddedWorld) -> None:
    world.control(an_activation(a_bundle(), topic_id=world.topic_id))
    world.submit((b"L-1", a_request()), (b"L-1", a_request(request_id="r-2")))
    world.run()
    world.submit((b"L-1", a_request(request_id="r-3", loan_amount=16_000)))
    world.run()
    decisions = world.decisions()
    assert outcomes(decisions) == [
        ("r-1", "approved"),
        ("r-2", "replayed"),
        ("r-3", "replay_conflict"),
    ]
    assert decisions[0].outcome == APPROVED
    assert decisions[0].constraints == (("max_amount", 15_000),)
