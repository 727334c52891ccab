"""First starts on Kafka that meet one another, or were cut."""

import subprocess
import sys
from pathlib import Path

from gate import wiring
from gate.cli.main import main
from gate.config import load_config
from tests.kafka.cli_gate import ROOT, unique
from tests.kafka.local import LocalKafka
from tests.unit.cli.harness import without_gate_variables

ROUNDS = 3


def first_starts_at_once(folder: Path, bootstrap: str) -> list[tuple[int, str]]:
    """Begin one gate by two processes; return their exit codes and what they said."""
    name = unique("first").replace("_", "-")
    assert main(["init", str(folder), "--kafka", bootstrap, "--gate", name]) == 0
    wiring.create_topics(load_config(folder / "gate.toml").config)
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "gate", "init-lineage", "--from", "beginning"],
            cwd=folder,
            env={**without_gate_variables(), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60) for process in both]
    return [(process.returncode, err) for process, (_, err) in zip(both, said, strict=True)]


def test_of_two_first_starts_one_begins_the_lineage(
    kafka: LocalKafka, tmp_path: Path, monkeypatch
) -> None:
    """Init containers of two pods do this. A second Genesis would keep every gate from starting."""
    for number in range(ROUNDS):
        folder = tmp_path / f"gate-{number}"
        ended = first_starts_at_once(folder, kafka.bootstrap)
        assert sum(code == 0 for code, _ in ended) == 1, ended
        monkeypatch.chdir(folder)
        assert main(["run", "--until-caught-up"]) == 0
        assert main(["audit"]) == 0
