"""`gate tail`: what is shown, what is refused, and how it ends."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gate import wiring
from gate.authoring.quantities import moment_text
from gate.cli import tail
from gate.cli.main import main
from gate.client.decisions import Found
from gate.config import Config, load_config
from gate.core.values import Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.record import encode_decision_record, read_decision_record
from gate.ports import OutputRecord, TopicPartition
from tests.planted import planted
from tests.unit.cli.harness import ISSUERS, Shell, write_request

ROOT = Path(__file__).parents[3]
OLD = ("tail", "--from-beginning", "--count")


@pytest.fixture(scope="session")
def _tailed_template(template_in_force, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli-tailed") / "gate"
    shutil.copytree(template_in_force, folder)
    with contextlib.chdir(folder):
        for name in ("req-1", "req-2"):
            file = write_request(folder, request_id=name)
            assert main(["submit", file, "--key", "keys/requester.key", *ISSUERS]) == 0
        assert main(["run", "--until-caught-up"]) == 0
    return folder


@pytest.fixture
def decided(_tailed_template, tmp_path, monkeypatch, capsys) -> Shell:
    """Give a gate that approved `req-1` and denied `req-2`, which asks for the same."""
    folder = tmp_path / "tailed"
    shutil.copytree(_tailed_template, folder)
    monkeypatch.chdir(folder)
    return Shell(folder, capsys)


def configuration() -> Config:
    return load_config(Path("gate.toml")).config


def forge() -> None:
    """Append a copy of the approval with another signature, and something that is no record."""
    config = configuration()
    topic = wiring.topics(config).approved
    with wiring.open_reader(config) as reader, wiring.open_publisher(config) as publisher:
        for number in range(config.log.partitions):
            last = reader.last(TopicPartition(topic, number))
            if last is not None:
                record = read_decision_record(last.value or b"")
                (line,) = record.signatures
                forged = record._replace(signatures=(line[:-1] + bytes([line[-1] ^ 1]),))
                values = (encode_decision_record(forged), b"\x1b[2Jjunk")
                publisher.publish([OutputRecord(topic, number, b"k", value) for value in values])


def test_a_decision_is_an_object_with_what_filters_look_at(decided):
    ended = decided(*OLD, "2", "--output", "json")
    approved, denied = sorted(ended.json(), key=lambda item: item["outcome"])
    assert ended.code == 0
    assert approved == {
        "decision": approved["decision"],
        "partition": approved["partition"],
        "input_offset": approved["input_offset"],
        "time_ms": approved["time_ms"],
        "outcome": "approved",
        "reasons": [{"code": "approved", "rule": "prime", "field": ""}],
        "request_id": "req-1",
        "actor": "ann",
        "action": "loan.approve",
        "resource": "loan/L-1",
        "correlation_id": "",
        "policy": "loan-approval",
        "policy_version": approved["policy_version"],
        "constraints": {"max_amount": "15000"},
        "expires_ms": approved["expires_ms"],
        "verified": "signed",
    }
    assert approved["decision"].startswith("dev.example/gate/gate.requests.v1/")
    assert (denied["request_id"], denied["reasons"][0]["code"]) == ("req-2", "replayed")


def test_a_decision_is_a_line_that_is_safe_on_a_terminal(decided):
    (value,) = decided(*OLD, "1", "--outcome", "approved", "--output", "json").json()
    ended = decided(*OLD, "1", "--outcome", "approved")
    place = f"{value['partition']}/{value['input_offset']}"
    assert ended.out == (
        f"{moment_text(value['time_ms'])} APPROVED {place} request req-1: "
        "loan.approve of loan/L-1 by ann: approved:prime\n"
    )


def test_texts_of_a_request_can_not_move_the_cursor(decided):
    config = configuration()
    decision = a_denial(config)._replace(actor="a\x1b[2J\nb", request_id="r\u202er")
    found = Found(TopicPartition("t", 0), 0, decision, "o#1", None)
    text = tail._line(found, "denied")
    assert "request r\\u202er: loan.approve of loan/L-1 by a\\x1b[2J\\x0ab: replayed" in text


def a_denial(config: Config) -> Decision:
    topic = wiring.topics(config).denied
    with wiring.open_reader(config) as reader:
        for number in range(config.log.partitions):
            last = reader.last(TopicPartition(topic, number))
            if last is not None:
                found = read_entry(read_decision_record(last.value or b"").entry)
                assert isinstance(found, Decision)
                return found
    raise AssertionError("nothing was denied")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--outcome", "denied"), "req-2"),
        (("--outcome", "approved"), "req-1"),
        (("--reason", "replayed"), "req-2"),
        (("--reason", "no_permit", "--reason", "approved"), "req-1"),
        (("--actor", "ann", "--action", "loan.approve", "--outcome", "denied"), "req-2"),
    ],
)
def test_filters_leave_out_the_rest(decided, options, expected):
    ended = decided(*OLD, "1", *options, "--output", "json")
    assert [item["request_id"] for item in ended.json()] == [expected]


def test_a_reason_that_is_not_there_names_the_nearest(decided):
    ended = decided("tail", "--reason", "misrooted")
    assert (ended.code, "did you mean `misrouted`?" in ended.err) == (2, True)


def test_a_partition_that_is_not_there_is_named(decided):
    ended = decided("tail", "--partition", "9")
    assert (ended.code, ended.err) == (2, "error: there are partitions 0 to 3 only\n")


def started(shell: Shell, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gate", "tail", *options, "--output", "json"],
        cwd=shell.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def shown_by(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return sorted(json.loads(process.stdout.readline())["request_id"] for _ in range(count))


def test_new_decisions_are_shown_as_they_come(decided):
    process = started(decided, "--from-beginning", "--count", "3")
    assert shown_by(process, 2) == ["req-1", "req-2"]
    name = decided.request(request_id="req-3", parameters={"loan_id": "L-3"}, resource="loan/L-3")
    assert decided("submit", name, "--key", "keys/requester.key", *ISSUERS).code == 0
    assert decided("run", "--until-caught-up").code == 0
    assert shown_by(process, 1) == ["req-3"]
    assert (process.communicate(timeout=20), process.returncode) == (("", ""), 0)


def test_ctrl_c_ends_it_quietly(decided):
    process = started(decided, "--from-beginning")
    shown_by(process, 2)
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=20), process.returncode) == (("", "interrupted\n"), 130)


def test_what_does_not_verify_is_told_not_shown_and_the_answer_is_no(decided):
    forge()
    process = started(decided, "--from-beginning", "--reason", "no_permit")
    assert process.stderr is not None
    told = [process.stderr.readline() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=20), process.returncode) == (("", ""), 1)
    assert "does not verify: bad_signature: signature of key" in told[0]
    assert "is no decision: " in told[1]


def test_unverified_shows_what_is_there(decided):
    forge()
    ended = decided(*OLD, "3", "--no-verify", "--output", "json")
    assert [item["verified"] for item in ended.json()] == [None] * 3
    assert ended.code == 1  # the record that is no decision


def test_a_tail_that_verifies_nothing_would_be_noticed(decided):
    forge()
    with planted(
        "gate.client.decisions",
        "verdict = self._trust.verify(read, entry, partition=where.partition)",
        "pass",
    ):
        ended = decided(*OLD, "3", "--outcome", "approved", "--count", "2", "--output", "json")
    assert [item["verified"] for item in ended.json()] == [None] * 2
