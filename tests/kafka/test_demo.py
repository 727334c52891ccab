"""`gate demo --kafka` on a real broker, what others read of it, and `make demo-kafka`'s script."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from gate import wiring
from gate.audit.audit import audit
from gate.cli.main import main
from gate.config import load_config
from gate.core.topics import topics_of
from gate.demo import main as of_a_run
from gate.demo.main import run_demo
from gate.demo.planted import CASES
from gate.demo.processes import DemonstrationFailed
from gate.demo.report import text_of
from gate.demo.summary import Summary
from gate.demo.verdicts import read_verdicts
from gate.ports import TopicPartition
from tests.kafka.local import ROOT, LocalKafka
from tests.next_commands import unanswered
from tests.unit.cli.harness import without_gate_variables

APPLICATIONS, PARTITIONS = 120, 6
SENT = APPLICATIONS + len(CASES)
INPUT = PARTITIONS + 2 * SENT  # one activation in each partition, then everything twice
SCRIPTS = ROOT / "deploy" / "local-kafka"
ENVIRONMENT = {**without_gate_variables(), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def summary(kafka: LocalKafka, folder: Path) -> Summary:
    return demonstration(kafka, folder)


def demonstration(kafka: LocalKafka, folder: Path) -> Summary:
    return run_demo(
        folder, stream=io.StringIO(), kafka=kafka.bootstrap, applications_max=APPLICATIONS
    )


def topics_there(kafka: LocalKafka) -> set[str]:
    client = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 3})
    return set(client.list_topics(timeout=10).topics)


def test_everything_comes_out_as_it_must(summary: Summary) -> None:
    assert summary.failures == ()
    assert text_of(summary).splitlines()[-1] == (
        f"{INPUT} input records + {PARTITIONS} Genesis = {INPUT + PARTITIONS} entries; "
        "0 keys approved twice"
    )


def test_the_gate_was_killed_in_mid_run_and_went_on(summary: Summary) -> None:
    logs = summary.folder / "logs"
    assert '"gate_stopped"' not in (logs / "run-2-killed.log").read_text()
    assert '"gate_stopped"' in (logs / "run-3-restarted.log").read_text()
    second = summary.second
    assert 0 < second.committed_at_kill < SENT
    assert second.committed_at_kill + second.decided_after_restart == SENT


def test_a_second_run_has_topics_of_its_own_and_adds_nothing_to_the_first(
    kafka: LocalKafka, summary: Summary, folder: Path
) -> None:
    config = load_config(summary.folder / "gate.toml").config
    with wiring.open_reader(config) as reader:
        before = read_verdicts(reader, wiring.topics(config), PARTITIONS)
        second = demonstration(kafka, folder)
        after = read_verdicts(reader, wiring.topics(config), PARTITIONS)
        result = audit(reader, wiring.topics(config), trust=wiring.first_root(config).root)
    assert (after, result.is_ok) == (before, True)
    assert second.failures == ()
    assert {*topics_of(summary.gate), *topics_of(second.gate)} <= topics_there(kafka)
    assert not {*topics_of(summary.gate)} & {*topics_of(second.gate)}


def test_under_the_name_of_an_earlier_run_nothing_is_begun_or_sent(
    kafka: LocalKafka, summary: Summary, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without a name of its own a run meets the topics of another."""
    options = ("--kafka", kafka.bootstrap, "--gate", summary.gate)
    monkeypatch.setattr(of_a_run, "_init_options", lambda *_: options)
    config = load_config(summary.folder / "gate.toml").config
    requests = [TopicPartition(wiring.topics(config).requests, n) for n in range(PARTITIONS)]
    with wiring.open_reader(config) as reader:
        before = reader.ends(requests)
        with pytest.raises(DemonstrationFailed, match="gate init-lineage --from beginning"):
            demonstration(kafka, folder)
        assert reader.ends(requests) == before


def test_anybody_reads_a_decision_without_the_gates_code(
    kafka: LocalKafka, summary: Summary, tmp_path: Path
) -> None:
    read = subprocess.run(
        [
            sys.executable,
            SCRIPTS / "read_decision.py",
            kafka.bootstrap,
            f"{summary.gate}.denied.v1",
        ],
        cwd=tmp_path,
        env={name: value for name, value in ENVIRONMENT.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    said: dict[str, list[str]] = {}
    for line in read.stdout.splitlines():
        said.setdefault(line[:12].strip(), []).append(line[12:])
    config = load_config(summary.folder / "gate.toml").config
    with wiring.open_reader(config) as reader:
        verdicts = read_verdicts(reader, wiring.topics(config), PARTITIONS)
    (request,) = said["DENIED"]
    (verdict,) = {
        verdict
        for found in verdicts.values()
        for verdict in found
        if request.startswith(f"{verdict.decision.request_id}: ")
        and f"{verdict.log}: leaf {verdict.leaf_index} of " in said["checkpoint"][0]
    }
    decision = verdict.decision
    assert said["reason"] == [
        f"{reason.code.name.lower()} {reason.rule} {reason.message}" for reason in decision.reasons
    ]
    assert said["policy"] == [f"{decision.policy_id} {decision.policy_version}"]
    assert len(said.get("evaluated", [])) == len(decision.evaluated)
    assert len(said["signed by"]) == 1


def test_the_script_takes_no_record_for_a_decision_that_is_none(
    kafka: LocalKafka, summary: Summary
) -> None:
    read = subprocess.run(
        [
            sys.executable,
            SCRIPTS / "read_decision.py",
            kafka.bootstrap,
            f"{summary.gate}.lineage.v1",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (read.returncode, read.stdout) == (1, "")
    assert read.stderr.startswith("expected a decision-record, got a record that begins with c301")


def test_without_a_broker_nothing_is_made_and_the_cure_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    assert main(["demo", "--kafka", "127.0.0.1:1", "--folder", str(made)]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: Kafka at `127.0.0.1:1` can not be reached: ")
    assert "`make kafka` starts one" in said.err.splitlines()[-1]
    assert not made.exists()


def test_without_java_the_script_says_what_to_install_before_anything_happens(
    tmp_path: Path,
) -> None:
    ended = run_script(tmp_path, JAVA_HOME=str(tmp_path))
    assert (ended.returncode, ended.stdout) == (4, "")
    assert ended.stderr.startswith("demo-kafka: expected Java 17 or newer, found no `")
    assert "install a Java runtime 17 or newer" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def run_script(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        script(folder, *options),
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def script(folder: Path, *options: str) -> list[str]:
    command = SCRIPTS / "kafka_demo.py"
    return [sys.executable, str(command), "--folder", str(folder / "made"), *options]


@pytest.mark.slow
def test_what_to_try_next_can_be_typed_as_it_is_printed(summary: Summary) -> None:
    assert unanswered(summary, ENVIRONMENT) == {}


@pytest.mark.slow
def test_the_script_shows_everything_in_two_minutes_and_stops_its_broker(tmp_path: Path) -> None:
    started = time.monotonic()
    ended = run_script(tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 keys approved twice\n" in ended.stdout
    assert "PartitionCount: 6" in ended.stdout  # kafka-topics.sh
    assert "\nAPPROVED    req-APP-" in ended.stdout  # read_decision.py
    assert not any_runs(tmp_path)
    assert time.monotonic() - started < 120


@pytest.mark.slow
def test_an_interruption_ends_the_demonstration_its_gate_and_its_broker(tmp_path: Path) -> None:
    with subprocess.Popen(
        script(tmp_path), env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "$ gate run" in line:
                break
        os.kill(process.pid, signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert rest.endswith("the broker is stopped\ninterrupted\n")
    assert not any_runs(tmp_path)


def any_runs(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    listed = subprocess.run(["ps", "-eww", "-o", "args="], capture_output=True, check=True)
    return [line for line in listed.stdout.decode().splitlines() if str(folder) in line]
