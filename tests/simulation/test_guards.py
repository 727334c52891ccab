"""Negative controls: with a guard taken out, the simulation or the audit must notice."""

import hashlib
from collections.abc import Callable

import pytest

from gate.core import dsse
from gate.core.trust import verify_first
from gate.core.wire.control_record import read_control_record
from gate.errors import PartitionStopped
from gate.ports import EventKind, OutputRecord, TopicPartition
from tests.builders import (
    AUDIENCE,
    GATE,
    KeySigner,
    a_control_record,
    a_key,
    a_request,
    a_root_envelope,
    loan_partition,
)
from tests.planted import planted
from tests.simulation.gate_world import SimulatedGate
from tests.simulation.test_seeds import story
from tests.simulation.world import Boundary, Fault, Way
from tests.worlds import TOPICS


def _noticed(module: str, good: str, bad: str, check: Callable[[], object]) -> None:
    """The check passes with the guard, and fails without it."""
    check()
    noticed = (AssertionError, PartitionStopped, pytest.fail.Exception)
    with planted(module, good, bad), pytest.raises(noticed):
        check()


def _one_batch_with_a_key_twice() -> None:
    gate = SimulatedGate(1, partitions=1)
    gate.activate()
    gate.live()
    for number in range(3):
        now_ms = gate.clock.now_ms()
        request = a_request(score=None, signer=None, request_id=f"r{number}", issued_at_ms=now_ms)
        gate.submit((b"L-1", request))
    gate.world.random.seed(5)
    gate.live()
    approved = [d.request_id for d in gate.decisions() if d.outcome]
    assert approved == ["r0"]


def test_without_the_overlay_a_key_is_approved_twice() -> None:
    _noticed(
        "gate.core.lineage",
        "self._overlay[state_key] = change",
        "pass",
        _one_batch_with_a_key_twice,
    )


def test_without_apply_after_commit_an_aborted_key_stays_taken() -> None:
    """The store may only know what was committed."""

    def check() -> None:
        fault = Fault(Boundary.COMMIT, 2, Way.REFUSED)
        gate = SimulatedGate(3, [fault], partitions=1)
        gate.activate()
        gate.live()
        gate.submit_some(12)
        gate.live()
        gate.audit()
        assert gate.world.fired == [fault]

    _noticed(
        "gate.runtime.transaction",
        "    ports.output.commit()  # 8\n    for item in provisional:\n"
        "        _apply_and_adopt(item)  # 9, 10\n",
        "    for item in provisional:\n        _apply_and_adopt(item)\n    ports.output.commit()\n",
        check,
    )


def test_without_the_fork_check_a_lost_offset_forks_the_lineage() -> None:
    """Offsets set back behind the lineage must stop the partition."""

    def check() -> None:
        gate = SimulatedGate(4, partitions=1)
        gate.activate()
        gate.submit_some(6)
        gate.live()
        group = gate.log.group(GATE, TOPICS.requests)
        old = dict(group.committed)
        gate.submit_some(6)
        gate.live()
        group.committed.update(old)
        with pytest.raises(PartitionStopped) as stop:
            gate.live()
        assert stop.value.cause == "lineage_fork"

    _noticed(
        "gate.runtime.recovery",
        '    if expected != found:\n        raise PartitionStopped(\n            "lineage_fork"',
        '    if False:\n        raise PartitionStopped(\n            "lineage_fork"',
        check,
    )


def test_without_the_output_check_a_torn_transaction_goes_unseen() -> None:
    """A decision that is in the lineage but not in its topic must stop the partition (d2)."""

    def check() -> None:
        gate = SimulatedGate(5, partitions=1)
        gate.activate()
        gate.submit((b"L-1", b"junk"))
        gate.live()
        log = gate.log.partition(TopicPartition(TOPICS.denied, 0))
        for entry in reversed(log.entries):
            if entry.record is not None:
                entry.is_visible = False
                break
        with pytest.raises(PartitionStopped) as stop:
            gate.live()
        assert stop.value.cause == "output_torn"

    _noticed("gate.runtime.outputs", "if found != expected:", "if False:", check)


def test_without_placement_a_key_is_approved_in_two_partitions() -> None:
    def check() -> None:
        gate = SimulatedGate(6, partitions=2)
        gate.activate()
        gate.live()
        home = loan_partition("L-1", 2)
        for number in (home, 1 - home):
            request = a_request(score=None, signer=None, issued_at_ms=gate.clock.now_ms())
            gate.submit((b"L-1", request), partition=number)
        gate.live()
        gate.audit()

    _noticed(
        "gate.core.admission",
        "partition_of(key, setting.partition_count) != setting.partition",
        "False",
        check,
    )


def test_without_settling_an_unknown_outcome_by_a_new_producer_runs_tear() -> None:
    """Some seed with delayed commits must notice that the producer was not renewed."""

    def check() -> None:
        for seed in range(300):
            story(seed)

    noticed = pytest.raises((AssertionError, PartitionStopped))
    with planted("gate.runtime.loop", "self.ports.output.renew()", "pass"), noticed:
        check()


def test_a_foreign_changelog_record_stops_the_partition() -> None:
    gate = SimulatedGate(7, partitions=1)
    gate.activate()
    gate.submit_some(6)
    gate.live()
    gate.log.write_foreign(OutputRecord(TOPICS.changelog, 0, b"x" * 16, b"not ours"))
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "output_torn"


def test_a_topic_made_again_stops_the_partition() -> None:
    gate = SimulatedGate(8, partitions=1)
    gate.submit_some(3)
    gate.live()
    gate.log.recreate(TOPICS.changelog)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "topic_changed"


def test_forgotten_offsets_stop_the_partition() -> None:
    gate = SimulatedGate(9, partitions=1)
    gate.submit_some(3)
    gate.live()
    gate.log.forget_offsets(GATE, TOPICS.requests)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "target_missing"
    assert "init-lineage" in str(stop.value)


def test_a_store_ahead_of_the_committed_target_stops_with_both_numbers() -> None:
    gate = SimulatedGate(10, partitions=1)
    gate.activate()
    gate.submit_some(6)
    gate.live()
    store = gate.stores.partitions[0]
    position = store.position()
    from dataclasses import replace

    store._content.apply((), replace(position, sequence=position.sequence + 3), store.identity())
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "state_ahead"
    assert str(position.sequence + 3) in str(stop.value)
    assert str(position.sequence) in str(stop.value)


def test_another_secret_is_refused() -> None:
    gate = SimulatedGate(11, partitions=1)
    gate.submit_some(3)
    gate.live()
    from gate.core.state import derive_keys

    gate.keys = derive_keys(b"\x01" * 32)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "secret_differs"


def test_a_checkpoint_key_that_is_not_listed_is_refused() -> None:
    gate = SimulatedGate(12, partitions=1)
    gate.submit_some(3)
    gate.live()
    gate.signer = KeySigner(a_key("thief"))
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "signer_not_trusted"


def test_a_time_that_the_broker_did_not_set_stops_the_partition() -> None:
    gate = SimulatedGate(13, partitions=1)
    gate.log.topics[TOPICS.requests].is_append_time = False
    gate.submit_some(2)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "append_time_off"


def test_a_lost_marker_pins_the_partition_and_the_other_goes_on() -> None:
    gate = SimulatedGate(14, partitions=2)
    gate.activate()
    gate.live()
    gate.log.hold_markers()
    gate.submit_some(12)
    home = gate.gate()
    home.ports.output.open()
    for _ in range(12):
        home._turn()
    pinned = TopicPartition(TOPICS.denied, 0)
    gate.log.lose_markers(pinned)
    gate.log.release_markers()
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert (stop.value.cause, stop.value.partition) == ("pinned", 0)
    ready = [e["partition"] for e in gate.telemetry.of(EventKind.PARTITION_READY)]
    assert 1 in ready


def test_an_unreadable_record_stops_its_partition_and_the_other_goes_on() -> None:
    gate = SimulatedGate(15, partitions=2)
    gate.activate()
    gate.live()
    gate.submit_some(12)
    where = TopicPartition(TOPICS.requests, 0)
    gate.log.damage(where, gate.log.partition(where).end - 1)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert (stop.value.cause, stop.value.partition) == ("unreadable", 0)
    left = {number: _undecided(gate, number) for number in (0, 1)}
    assert left == {0: 1, 1: 0}


def test_records_gone_before_they_were_read_stop_the_partition() -> None:
    gate = SimulatedGate(16, partitions=1)
    gate.activate()
    gate.live()
    gate.submit_some(5)
    where = TopicPartition(TOPICS.requests, 0)
    gate.log.truncate(where, gate.log.partition(where).end - 1)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "lost"


def _undecided(gate: SimulatedGate, number: int) -> int:
    """Records of a partition behind its committed offset."""
    committed = gate.log.group(GATE, TOPICS.requests).committed[number]
    entries = gate.log.partition(TopicPartition(TOPICS.requests, number)).entries
    return sum(1 for entry in entries[committed.next_offset :] if entry.record is not None)


def _rotation(*keys: tuple[str, str], version: int, previous: bytes) -> bytes:
    """A trust root with these checkpoint keys: names and states."""
    envelope = a_root_envelope(
        version=version,
        previous=previous.hex(),
        checkpoint_keys=[
            {"key": a_key(name).public.hex(), "origins": [f"{AUDIENCE}/"], "status": status}
            for name, status in keys
        ],
    )
    return a_control_record(1, envelope)


def test_a_trust_root_that_revokes_our_key_is_not_consumed_with_it() -> None:
    """The gate stops before the record; with the new key it goes on, and every note counts."""
    gate = SimulatedGate(17, partitions=1)
    gate.submit_some(3)
    gate.live()
    first = verify_first(a_root_envelope())
    second = _rotation(
        ("checkpoint", "active"), ("checkpoint-2", "active"), version=2, previous=first.sha256
    )
    gate.control(second)
    gate.live()
    payload = dsse.read_envelope(read_control_record(second).envelope).payload
    third = _rotation(
        ("checkpoint", "revoked"),
        ("checkpoint-2", "active"),
        version=3,
        previous=hashlib.sha256(payload).digest(),
    )
    gate.control(third)
    gate.submit_some(3)
    with pytest.raises(PartitionStopped) as stop:
        gate.live()
    assert stop.value.cause == "signer_not_trusted"
    gate.signer = KeySigner(a_key("checkpoint-2"))
    gate.live()
    gate.audit()
