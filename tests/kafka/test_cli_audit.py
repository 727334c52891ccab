"""`gate audit` and `gate replay` on a real broker: by partition, kept, and cut."""

import pytest

from gate.cli import resuming
from tests.kafka.cli_gate import kafka_gate_folder, on_kafka, running_on_kafka, unique
from tests.kafka.test_cli_submit import SIGNED, request
from tests.unit.cli.harness import Ended, Shell
from tests.unit.cli.test_resuming import interrupt_after

__all__ = ["kafka_gate_folder", "on_kafka", "running_on_kafka"]

REPLAYED = ("partition", "leaves", "next_offset", "differences_count", "stopped", "ok")


@pytest.fixture
def decided(running_on_kafka: Shell) -> Shell:
    """Give a gate that has decided a few requests more, in transactions of their own."""
    for _ in range(3):
        files = [
            request(running_on_kafka, unique("L"), f"audited-{number}.json") for number in range(4)
        ]
        assert running_on_kafka("submit", *files, *SIGNED, "--wait", "30").code == 0
    return running_on_kafka


def compared(ended: Ended) -> list[object]:
    assert ended.code == 0, ended
    return ended.json()


def test_nothing_is_found_and_every_byte_is_decided_again(decided: Shell) -> None:
    (audited,) = compared(decided("audit", "--output", "json", "--trust-root", "trust-root.json"))
    assert audited["ok"] is True
    assert audited["totals"]["keys"] >= 12
    options = ("--lineage-secret", "--output", "json")
    replayed = compared(decided("replay", *options))
    assert [item["partition"] for item in replayed] == list(range(6))
    assert {(item["differences_count"], item["stopped"]) for item in replayed} == {(0, "")}
    entries = sum(item["leaves"] for item in replayed) + 6  # and Genesis of each
    assert entries == audited["totals"]["entries"]


@pytest.mark.parametrize("command", ["audit", "replay"])
def test_what_was_cut_goes_on_to_the_same_result(
    decided: Shell, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(resuming, "INTERVAL_MS", 0)
    file = unique("at")
    whole = compared(decided(command, "--output", "json"))
    for count in (1, 2, 3):
        with monkeypatch.context() as patch:
            interrupt_after(count, patch)
            assert decided(command, "--resume", file).code == 130
    assert compared(decided(command, "--resume", file, "--output", "json")) == whole
    assert compared(decided(command, "--resume", file, "--output", "json")) == whole


def test_a_partition_is_audited_alone_and_kept_checkpoints_hold(decided: Shell) -> None:
    (before,) = compared(decided("audit", "--partition", "2", "--output", "json"))
    assert [item["partition"] for item in before["partitions"]] == [2]
    (decided.folder / "kept.note").write_text(before["checkpoints"][0]["note"])
    assert decided("submit", request(decided, unique("L")), *SIGNED, "--wait", "30").code == 0
    assert decided("audit", "--partition", "2", "--kept", "kept.note").code == 0
