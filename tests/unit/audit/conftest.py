"""A small gate that has decided one of each kind, recorded once for all tests of this folder."""

import copy
from pathlib import Path

import pytest

from tests.builders import (
    a_bundle,
    a_control_record,
    a_request,
    a_root_envelope,
    a_trust_root,
    an_activation,
    digest_of,
)
from tests.unit.audit.recorded_log import RecordedLog, recorded
from tests.worlds import TOPICS, EmbeddedWorld

PARTITIONS = 2


def run_a_gate(folder: Path) -> EmbeddedWorld:
    """Decide approvals, replays, conflicts, junk, control records of each kind, in many batches."""
    world = EmbeddedWorld(folder, partitions=PARTITIONS)
    world.init()
    world.submit((b"L-1", a_request(request_id="early")))
    world.run()
    world.control(an_activation(a_bundle(), topic_id=world.topic_id))
    world.submit(*[(f"L-{n}".encode(), a_request(loan_id=f"L-{n}")) for n in range(1, 9)])
    world.run()
    world.submit(
        (b"L-1", a_request(request_id="again")),
        (b"L-2", a_request(loan_id="L-2", request_id="other", loan_amount=16_000)),
        (b"L-3", a_request(loan_id="L-3", request_id="no-score", score=None)),
        (b"L-9", a_request(loan_id="L-9", request_id="large", loan_amount=60_000)),
    )
    world.submit((b"L-1", b"junk"), (None, b""), (None, b"\xc3\x01"), partition=0)
    world.submit((b"L-1", b"x" * 70_000), partition=1)
    world.run()
    world.control(a_control_record(2, b"{}"))
    root = a_root_envelope(version=2, previous=a_trust_root().sha256.hex())
    world.control(a_control_record(1, root))
    world.control(a_control_record(1, root))
    second = a_bundle(sequence=2, previous=digest_of(a_bundle()), limit=40_000)
    world.control(
        an_activation(
            second,
            topic_id=world.topic_id,
            previous=digest_of(a_bundle()),
            activation_sequence=2,
        )
    )
    world.submit(*[(f"M-{n}".encode(), a_request(loan_id=f"M-{n}")) for n in range(1, 9)])
    world.run()
    return world


@pytest.fixture(scope="session")
def audited_world(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedWorld:
    return run_a_gate(tmp_path_factory.mktemp("audited"))


@pytest.fixture(scope="session")
def recorded_once(audited_world: EmbeddedWorld) -> RecordedLog:
    return recorded(audited_world.reader(), TOPICS)


@pytest.fixture
def log(recorded_once: RecordedLog) -> RecordedLog:
    """A copy that a test may change."""
    return copy.deepcopy(recorded_once)
