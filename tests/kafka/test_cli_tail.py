"""`gate tail` and `gate quarantine` on a real broker."""

import json
import signal
import subprocess

from gate import wiring
from gate.config import load_config
from gate.core.placement import partition_of
from gate.ports import OutputRecord
from tests.kafka.cli_gate import (
    beside,
    ended,
    kafka_gate_folder,
    on_kafka,
    running_on_kafka,
    unique,
)
from tests.kafka.test_cli_submit import SIGNED, request
from tests.unit.cli.harness import Shell

__all__ = ["kafka_gate_folder", "on_kafka", "running_on_kafka"]


def lines_of(process: subprocess.Popen[str], count: int) -> list[dict[str, object]]:
    assert process.stdout is not None
    return [json.loads(process.stdout.readline()) for _ in range(count)]


def test_new_decisions_are_shown_verified_as_they_come(running_on_kafka: Shell) -> None:
    shell, loan, actor = running_on_kafka, unique("L"), unique("ann")
    command = ("tail", "--from-beginning", "--actor", actor, "--output", "json")
    with beside(shell.folder, *command) as tail:
        file = request(shell, loan, actor=actor, request_id="one")
        shell("submit", file, *SIGNED, "--wait", "30")
        (first,) = lines_of(tail, 1)
        file = request(shell, loan, actor=actor, request_id="two")
        shell("submit", file, *SIGNED, "--wait", "30")
        (second,) = lines_of(tail, 1)
        tail.send_signal(signal.SIGINT)
        after = ended(tail)

    shown = [(item["request_id"], item["outcome"], item["verified"]) for item in (first, second)]
    assert shown == [("one", "approved", "signed"), ("two", "denied", "signed")]
    assert (after.code, after.out, after.err) == (130, "", "interrupted\n")


def test_a_tail_of_one_outcome_and_partition_ends_at_its_count(running_on_kafka: Shell) -> None:
    shell, loan = running_on_kafka, unique("L")
    number = partition_of(loan.encode(), 6)
    shell("submit", request(shell, loan), *SIGNED, "--wait", "30")
    options = ("--outcome", "approved", "--partition", str(number), "--count", "1")
    shown = shell("tail", "--from-beginning", *options, "--output", "json")
    assert shown.code == 0
    assert [(item["outcome"], item["partition"]) for item in shown.json()] == [("approved", number)]


def test_junk_is_listed_and_shown_with_its_decision(running_on_kafka: Shell) -> None:
    shell, junk = running_on_kafka, b"\x1b[2J" + unique("junk").encode()
    config = load_config(shell.folder / "gate.toml").config
    topic = wiring.topics(config).requests
    with wiring.open_publisher(config) as publisher:
        (offset,) = publisher.publish([OutputRecord(topic, 5, b"k", junk)])
    options = ("--from-beginning", "--partition", "5", "--reason", "framing_unknown")
    assert shell("tail", *options, "--count", "1").code == 0
    listed = shell("quarantine", "list", "--partition", "5", "--output", "json").json()
    assert (listed[-1]["input_offset"], listed[-1]["reason"]) == (offset, "framing_unknown")
    one = shell("quarantine", "show", f"5/{offset}", "--output", "json")
    (value,) = one.json()
    assert one.code == 0
    assert (value["value"], value["verified"], value["is_decided_input"]) == (
        junk.hex(),
        "signed",
        True,
    )
    assert "\x1b" not in shell("quarantine", "show", f"5/{offset}").out
