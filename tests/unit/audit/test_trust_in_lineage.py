"""Checkpoints are judged by the trust root of their moment, along every rotation."""

from pathlib import Path

import pytest

from gate.audit.audit import audit
from gate.audit.findings import Fault
from tests.builders import (
    KeySigner,
    a_control_record,
    a_key,
    a_root_envelope,
    a_trust_root,
)
from tests.planted import planted
from tests.worlds import TOPICS, EmbeddedWorld

ORIGINS = ["acme.example/payments/"]


def listed(name: str, status: str = "active") -> dict[str, object]:
    return {"key": a_key(name).public.hex(), "origins": ORIGINS, "status": status}


BOTH = {
    "version": 2,
    "previous": a_trust_root().sha256.hex(),
    "checkpoint_keys": [listed("checkpoint"), listed("checkpoint-2")],
}
ONLY_NEW = {
    "version": 3,
    "previous": a_trust_root(**BOTH).sha256.hex(),
    "checkpoint_keys": [listed("checkpoint", "revoked"), listed("checkpoint-2")],
}


@pytest.fixture
def world(tmp_path: Path) -> EmbeddedWorld:
    world = EmbeddedWorld(tmp_path)
    world.init()
    world.control(a_control_record(1, a_root_envelope(**BOTH)))
    world.submit((b"L-1", b"under both"))
    world.run()
    return world


def test_a_rotation_in_order_has_no_finding(world: EmbeddedWorld) -> None:
    world.signer = KeySigner(a_key("checkpoint-2"))
    world.control(a_control_record(1, a_root_envelope(**ONLY_NEW)))
    world.submit((b"L-1", b"under the new one"))
    world.run()
    result = audit(world.reader(), TOPICS, trust=a_trust_root(**ONLY_NEW))
    assert result.findings == ()
    assert result.partitions[0].control == 2


def test_a_checkpoint_by_a_key_that_was_revoked_before_is_found(world: EmbeddedWorld) -> None:
    """The gate stops before it would sign so; the audit has to notice one that does not."""
    world.control(a_control_record(1, a_root_envelope(**ONLY_NEW)))
    world.submit((b"L-1", b"after the revocation"))
    revoked = "isinstance(trust.checkpoint_key(own_public, log), KeyRefusal)"
    with planted("gate.runtime.own_key", revoked, "False"):
        world.run()
    before = audit(world.reader(), TOPICS, trust=None).partitions[0].checkpoints
    result = audit(world.reader(), TOPICS, trust=a_trust_root())
    kinds = [item.fault for item in result.findings]
    assert before > 3
    assert Fault.NOT_SIGNED in kinds
    assert set(kinds) <= {Fault.NOT_SIGNED, Fault.PROOF_REFUSED}


def test_a_checkpoint_by_a_key_not_listed_yet_is_found(tmp_path: Path) -> None:
    world = EmbeddedWorld(tmp_path)
    world.init()
    world.submit((b"L-1", b"one"))
    world.run()
    sound = audit(world.reader(), TOPICS, trust=a_trust_root())
    other = [listed("checkpoint-2")]
    judged = audit(
        world.reader(),
        TOPICS,
        trust=a_trust_root(version=2, previous="00" * 32, checkpoint_keys=other),
    )
    assert sound.findings == ()
    assert [item.fault for item in judged.findings] == [Fault.TRUST_ROOT_DIFFERS]
