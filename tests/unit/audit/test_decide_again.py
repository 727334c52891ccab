"""Deciding again says plainly what a file of one decision can not show."""

from pathlib import Path

import pytest

from gate.audit.decide_again import decide_again
from gate.audit.evidence import build_evidence, find_decisions
from gate.core.proof.evidence import encode_evidence
from gate.core.proof.verdict import Verified
from gate.core.proof.verify import verify_evidence
from gate.core.reasons import Code
from tests.builders import a_bundle, a_request, a_trust_root, an_activation, loan_partition
from tests.worlds import TOPICS, EmbeddedWorld


@pytest.fixture
def world(tmp_path: Path) -> EmbeddedWorld:
    world = EmbeddedWorld(tmp_path, partitions=2)
    world.init()
    world.control(an_activation(a_bundle(), topic_id=world.topic_id))
    return world


def decided_again(world: EmbeddedWorld, request_id: str) -> tuple[Code, bool]:
    """The code of the request's only decision, and whether it was decided again."""
    (match,) = find_decisions(world.reader(), TOPICS, request_id)
    file = encode_evidence(build_evidence(world.reader(), TOPICS, match))
    result = verify_evidence(file, a_trust_root(), decide_again=decide_again)
    assert isinstance(result, Verified), result
    return match.entry.reasons[0].code, result.re_decided


def test_a_wrong_record_key_shows_in_the_file(world: EmbeddedWorld) -> None:
    world.submit((b"other", a_request(request_id="wrong-key")))
    world.run()
    assert decided_again(world, "wrong-key") == (Code.MISROUTED, True)


def test_a_wrong_partition_does_not_show_in_the_file(world: EmbeddedWorld) -> None:
    wrong = 1 - loan_partition("L-1", 2)
    world.submit((b"L-1", a_request(request_id="wrong-place")), partition=wrong)
    world.run()
    assert decided_again(world, "wrong-place") == (Code.MISROUTED, False)


@pytest.mark.parametrize(
    ("request_id", "changes", "code"),
    [
        ("stale", {"issued_at_ms": 1}, Code.STALE),
        ("unsigned", {"signer": None}, Code.SIGNATURE_MISSING),
        ("stranger", {"signer": "mallory"}, Code.IDENTITY_UNKNOWN),
        ("revoked", {"signer": "revoked"}, Code.IDENTITY_REVOKED),
        ("no-score", {"score": None}, Code.SIGNAL_MISSING),
        ("bad-score", {"score": 1}, Code.SIGNAL_OUT_OF_BOUNDS),
        ("low-score", {"score": 600}, Code.NO_PERMIT),
        ("other-action", {"action": "loan.close"}, Code.NO_POLICY),
        ("other-gate", {"audience": "acme.example/other"}, Code.WRONG_AUDIENCE),
        ("other-loan", {"resource": "loan/L-2"}, Code.RESOURCE_MISMATCH),
    ],
)
def test_denials_of_every_step_are_decided_again(
    world: EmbeddedWorld, request_id: str, changes: dict[str, object], code: Code
) -> None:
    world.submit((b"L-1", a_request(request_id=request_id, **changes)))
    world.run()
    assert decided_again(world, request_id) == (code, True)
