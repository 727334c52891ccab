"""Two control tools at once on a real broker: the first is fenced, says so, and changes nothing."""

import subprocess
import sys
from pathlib import Path

from gate import wiring
from gate.config import load_config
from gate.ports import TopicPartition
from tests.kafka.cli_gate import ROOT, ended, kafka_gate_folder, on_kafka, running_on_kafka
from tests.unit.cli.harness import ACTIVATORS, Shell, without_gate_variables

__all__ = ["kafka_gate_folder", "on_kafka", "running_on_kafka"]

HELD = (
    "import sys\n"
    "from gate.adapters.kafka.output import KafkaOutput\n"
    "from gate.cli.main import main\n"
    "commit = KafkaOutput.commit\n"
    "def held(self):\n"
    "    print('ready', flush=True)\n"
    "    sys.stdin.readline()\n"
    "    commit(self)\n"
    "KafkaOutput.commit = held\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
"""The command line, waiting for a line before it commits."""


def held_before_commit(folder: Path, *command: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HELD, *command],
        cwd=folder,
        env={**without_gate_variables(), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def control_records(folder: Path) -> list[int]:
    """How many records each partition of the input holds."""
    config = load_config(folder / "gate.toml").config
    topic = wiring.topics(config).requests
    counts = []
    with wiring.open_reader(config) as reader:
        for number in range(config.log.partitions):
            where = TopicPartition(topic, number)
            part = reader.read(where, offset=0, records_max=100_000)
            counts.append(len(part.records))
    return counts


def in_force(shell: Shell) -> list[str]:
    told = shell("policy", "status", "--output", "json")
    assert told.code == 0, told
    return [line for line in told.out.splitlines() if "loan-approval" in line]


def test_the_first_of_two_is_fenced_and_changes_nothing(running_on_kafka: Shell) -> None:
    shell = running_on_kafka
    before, status = control_records(shell.folder), in_force(shell)
    withdraw = ("policy", "activate", "loan-approval", "--mode", "withdraw", "--yes", *ACTIVATORS)
    first = held_before_commit(shell.folder, *withdraw)
    second = shell("trust", "activate", "trust-root.json", "--yes", "--wait", "20")
    assert first.stdin is not None
    first.stdin.write("\n")
    first.stdin.flush()
    fenced = ended(first)

    assert second.code == 0, second
    assert (fenced.code, fenced.out) == (4, "")
    assert "another control tool took over transactional id `gate-control`" in fenced.err
    assert "nothing was published" in fenced.err
    assert control_records(shell.folder) == [count + 1 for count in before]
    assert in_force(shell) == status


def test_one_that_dies_before_its_commit_changes_nothing(running_on_kafka: Shell) -> None:
    shell = running_on_kafka
    before = control_records(shell.folder)
    withdraw = ("policy", "activate", "loan-approval", "--mode", "withdraw", "--yes", *ACTIVATORS)
    first = held_before_commit(shell.folder, *withdraw)
    first.kill()
    ended(first)
    after = shell("trust", "activate", "trust-root.json", "--yes", "--wait", "20")

    assert after.code == 0, after
    assert control_records(shell.folder) == [count + 1 for count in before]
