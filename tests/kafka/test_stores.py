"""The local stores of a gate on Kafka: lost, set back, damaged, and of another lineage.

Whatever happens to them, the topics have everything: a gate rebuilds or tops up and decides as if
nothing had been, or refuses and says why. `transaction.md` §3 b, e to h; `proof.md` §2 row 10.
"""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import a_request
from tests.kafka.local import LocalKafka
from tests.kafka.processes import KafkaProcessWorld
from tests.kafka.under_load import (
    Load,
    Running,
    activate,
    check_end,
    ended_at_last,
    now_ms,
)
from tests.unit.adapters.test_rocksdb_damage import DAMAGES, KINDS, do_damage

BEFORE, AFTER, DAMAGED = 400, 100, 20


@pytest.fixture
def world(kafka: LocalKafka, tmp_path: Path) -> Iterator[KafkaProcessWorld]:
    made = _begun(kafka, tmp_path / "gate")
    _decide(made, "first", range(BEFORE))
    yield made
    made.close()


def _begun(kafka: LocalKafka, folder: Path) -> KafkaProcessWorld:
    world = KafkaProcessWorld(kafka.bootstrap, folder, partitions=2, batch_records_max=100)
    world.init()
    activate(world)
    return world


def _decide(world: KafkaProcessWorld, name: str, loans: range) -> Running:
    """Have requests for these loans decided by a gate that ends in peace; return it."""
    _submit(world, name, loans)
    gate = _run(world)
    assert gate.process.returncode == 0, gate.last_words()
    return gate


def _submit(world: KafkaProcessWorld, name: str, loans: range) -> None:
    values = []
    for number in loans:
        loan = f"L-{number}"
        request = a_request(
            loan_id=loan,
            score=None,
            signer=None,
            request_id=f"{name}-{number}",
            issued_at_ms=now_ms(),
        )
        values.append((loan.encode(), request))
    world.submit(*values)


def _run(world: KafkaProcessWorld) -> Running:
    gate = Running(world.start("--until-caught-up"))
    with ended_at_last(gate):
        gate.ended()
    return gate


def _restored(gate: Running) -> dict[int, int]:
    """Return how far each partition was replayed."""
    return {e["partition"]: e["sequence"] for _, e in gate.of("restore_progressed")}


def _approved(gate: Running) -> int:
    reasons = [e["reasons"] for _, e in gate.of("transaction_committed")]
    return sum(found.get("approved", 0) for found in reasons)


def test_a_lost_store_is_rebuilt_from_the_changelog(world: KafkaProcessWorld) -> None:
    shutil.rmtree(world.folder / "state")

    gate = _decide(world, "again", range(BEFORE + AFTER))

    assert _restored(gate).keys() == {0, 1}
    assert _approved(gate) == AFTER
    assert check_end(world) == 2 * BEFORE + AFTER


def test_an_older_store_is_topped_up(world: KafkaProcessWorld) -> None:
    shutil.copytree(world.folder / "state", world.folder / "older")
    in_peace = _decide(world, "later", range(BEFORE, BEFORE + AFTER))
    assert _restored(in_peace) == {}, "a store that was closed needs no replay"
    shutil.rmtree(world.folder / "state")
    shutil.copytree(world.folder / "older", world.folder / "state")

    gate = _decide(world, "again", range(BEFORE + 2 * AFTER))

    assert _restored(gate).keys() == {0, 1}
    assert not gate.of("store_moved_aside")
    assert _approved(gate) == AFTER
    assert check_end(world) == 2 * BEFORE + 3 * AFTER


def test_a_damaged_store_is_set_aside_and_rebuilt(world: KafkaProcessWorld) -> None:
    path = min((world.folder / "state" / "gate-0" / "0").glob("*.sst"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    gate = _decide(world, "again", range(BEFORE + AFTER))

    assert [e["partition"] for _, e in gate.of("store_moved_aside")] == [0]
    assert _restored(gate).keys() == {0}
    assert _approved(gate) == AFTER
    assert check_end(world) == 2 * BEFORE + AFTER


@pytest.mark.slow
def test_any_damage_ends_rebuilt_and_equal_or_refused(world: KafkaProcessWorld) -> None:
    """One damage after the other, each to a store that holds everything decided before."""
    chance, refused, rebuilt = random.Random(4), 0, 0
    for number in range(DAMAGED):
        folder = world.folder / "state" / "gate-0" / str(number % 2)
        files = sorted(path for kind in KINDS for path in folder.glob(kind))
        do_damage(chance.choice(files), chance.choice(DAMAGES), chance)
        start = BEFORE + 10 * number
        _submit(world, f"d{number}", range(start - 10, start + 10))
        gate = _run(world)
        if gate.process.returncode != 0:
            refused += 1
            assert "error: state store " in gate.last_words()
            shutil.rmtree(folder)
            gate = _run(world)
        assert gate.process.returncode == 0, gate.last_words()
        assert _approved(gate) == 10
        rebuilt += len(gate.of("store_moved_aside"))
    print(f"of {DAMAGED}: {rebuilt} rebuilt, {refused} refused, the others harmless")

    assert check_end(world) == BEFORE + 20 * DAMAGED


@pytest.mark.slow
def test_a_store_of_another_lineage_is_refused_with_both_ids(
    kafka: LocalKafka, world: KafkaProcessWorld, tmp_path: Path
) -> None:
    """It may know of approvals that this log has lost: an operator decides."""
    older = world.topic_id
    other = _begun(kafka, tmp_path / "other")
    shutil.copytree(world.folder / "state", other.folder / "state")
    code, errors = other.finish()

    assert code == 5, errors
    assert "topic_changed" in errors
    assert older in errors
    assert other.topic_id in errors
    shutil.rmtree(other.folder / "state")
    with Load(other):
        assert other.finish()[0] == 0
    assert check_end(other) > 0
    other.close()
