"""`gate demo` as a newcomer runs it: real processes, real input, and nothing left to belief."""

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gate import wiring
from gate.audit.audit import audit
from gate.cli.main import main
from gate.config import load_config
from gate.core.reasons import Code
from gate.demo import main as demonstration
from gate.demo import planted
from gate.demo.main import run_demo
from gate.demo.planted import CASES
from gate.demo.report import next_commands, text_of, values_of
from gate.demo.summary import Summary
from tests.next_commands import unanswered

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GATE_")},
    "PYTHONPATH": str(ROOT),
}
APPLICATIONS, PARTITIONS = 200, 4
SENT = APPLICATIONS + len(CASES)
INPUT = PARTITIONS + 2 * SENT  # one activation in each partition, then everything twice


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def summary(folder: Path, told: io.StringIO) -> Summary:
    return run_demo(folder, stream=told, applications_max=APPLICATIONS)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_everything_comes_out_as_it_must(summary: Summary) -> None:
    assert summary.failures == ()
    assert [(r.case.name, r.answer) for r in summary.first.cases] == [
        (case.name, case.expected.name.lower()) for case in CASES
    ]


def test_the_last_line_counts_every_record_once(summary: Summary) -> None:
    last = text_of(summary).splitlines()[-1]
    assert last == (
        f"{INPUT} input records + {PARTITIONS} Genesis = {INPUT + PARTITIONS} entries; "
        "0 keys approved twice"
    )


def test_the_audits_figures_hold_when_it_is_asked_again(summary: Summary) -> None:
    config = load_config(summary.folder / "gate.toml").config
    with wiring.open_reader(config) as reader:
        trust = wiring.first_root(config).root
        result = audit(reader, wiring.topics(config), trust=trust)
    assert (result.is_ok, result.keys, result.keys_approved_twice) == (
        True,
        summary.second.approved_before,
        0,
    )
    assert sum(sum(counts.pending.values()) for counts in result.partitions) == 0
    assert sum(counts.input_records for counts in result.partitions) == INPUT


def test_the_gate_was_killed_in_mid_run_and_went_on(summary: Summary) -> None:
    logs = summary.folder / "logs"
    assert '"gate_stopped"' not in (logs / "run-2-killed.log").read_text()
    assert '"gate_stopped"' in (logs / "run-3-restarted.log").read_text()
    second = summary.second
    assert 0 < second.committed_at_kill < SENT
    assert second.committed_at_kill + second.decided_after_restart == SENT


def test_the_evidence_is_of_an_approval_and_verified_elsewhere(summary: Summary) -> None:
    evidence = summary.evidence
    assert evidence.file.is_file()
    assert "SIGNED" in evidence.result


@pytest.mark.slow
def test_what_to_try_next_can_be_typed_as_it_is_printed(summary: Summary) -> None:
    for line in next_commands(summary):
        assert f"  {summary.command} {line}\n" in text_of(summary)
    assert unanswered(summary, ENVIRONMENT) == {}


def test_progress_is_told_step_by_step_without_escapes(summary: Summary, told: io.StringIO) -> None:
    lines = told.getvalue().splitlines()
    assert [line[:5] for line in lines if line.startswith("[")] == [
        f"[{step}/9]" for step in range(1, 10)
    ]
    assert "\x1b" not in told.getvalue()


def test_a_second_start_makes_a_folder_of_its_own_and_touches_nothing_else(
    summary: Summary, folder: Path
) -> None:
    before = digests(folder)
    second = run_demo(folder, stream=io.StringIO(), applications_max=APPLICATIONS)
    assert (summary.folder.name, second.folder.name) == ("run-1", "run-2")
    assert second.failures == ()
    after = {k: v for k, v in digests(folder).items() if not k.startswith("run-2/")}
    assert after == before
    assert values_of(second)["bank"] == values_of(summary)["bank"]


@pytest.mark.slow
def test_an_answer_other_than_expected_fails_the_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The negative control: the first case is the replay, and here a conflict is expected."""
    wrong = CASES[0]._replace(expected=Code.REPLAY_CONFLICT)
    monkeypatch.setattr(planted, "CASES", (wrong, *CASES[1:]))
    assert main(["demo", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "Planted among them: 24 of 25 denied for the expected reason" in said
    assert "FAILED: every planted case is denied for its reason\n" in said
    assert "replayed, expected replay_conflict\n" in said


@pytest.mark.slow
def test_a_step_that_can_not_be_shown_fails_the_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demonstration, "POLICY_FILE", "policies/absent.policy.yaml")
    assert main(["demo", "--folder", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "FAILED: `gate policy activate policies/absent.policy.yaml" in said
    assert "expected exit code 0, got 3" in said


@pytest.mark.slow
def test_the_whole_demonstration_takes_less_than_a_minute(tmp_path: Path) -> None:
    started = time.monotonic()
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "gate",
            "demo",
            "--folder",
            str(tmp_path / "out"),
            "--output",
            "json",
        ],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    values = json.loads(ended.stdout)
    assert (values["ok"], values["applications"]) == (True, 2380)
    assert values["audit"]["line"] == (
        "4,814 input records + 4 Genesis = 4,818 entries; 0 keys approved twice"
    )
    assert time.monotonic() - started < 60
