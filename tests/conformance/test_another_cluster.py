"""A gate that finds its lineage on another cluster than Genesis names stops, on every log."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gate.errors import PartitionStopped
from tests.planted import planted
from tests.simulation.gate_world import SimulatedGate
from tests.simulation.simulated_log import SimulatedReader
from tests.worlds import EmbeddedWorld


def embedded_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    del monkeypatch
    world = EmbeddedWorld(folder)
    world.init()
    world.submit((b"L-1", b"junk"))
    world.run()
    before = world.reader().cluster_id()
    connection = sqlite3.connect(world.path)
    with connection:
        connection.execute("UPDATE meta SET value = 'elsewhere' WHERE name = 'cluster_id'")
    connection.close()
    world.run()
    return before


def simulated_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    del folder
    gate = SimulatedGate(1, partitions=1)
    gate.submit((b"L-1", b"junk"))
    gate.live()
    before = gate.reader().cluster_id()
    monkeypatch.setattr(SimulatedReader, "cluster_id", lambda _: "elsewhere")
    gate.live()
    return before


@pytest.mark.parametrize("elsewhere", [embedded_elsewhere, simulated_elsewhere])
def test_another_cluster_stops_the_gate_and_both_are_named(
    elsewhere: Callable[[Path, pytest.MonkeyPatch], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(PartitionStopped, match=r"names cluster `\S+`, found `elsewhere`") as stop:
        elsewhere(tmp_path, monkeypatch)

    assert stop.value.cause == "topic_changed"


@pytest.mark.parametrize("elsewhere", [embedded_elsewhere, simulated_elsewhere])
def test_without_the_check_a_gate_goes_on_elsewhere(
    elsewhere: Callable[[Path, pytest.MonkeyPatch], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The negative control."""
    guard = "genesis.cluster_id != recovery.cluster_id"
    with planted("gate.runtime.assignment", guard, "False"):
        assert elsewhere(tmp_path, monkeypatch) != "elsewhere"
