"""Commands run apart from the caller's gate, and what they say when they fail is passed on."""

import signal
import sys
from pathlib import Path

import pytest

from gate.adapters.clock import SystemClock
from gate.demo.processes import DemonstrationFailed, Processes, typed_command


@pytest.mark.integration
def test_a_failing_command_is_told_with_its_message(tmp_path: Path) -> None:
    processes = Processes(tmp_path, tmp_path, SystemClock(), [].append)
    with pytest.raises(DemonstrationFailed) as failed:
        processes.run("run", "--config", "absent.toml")
    assert str(failed.value).startswith(
        "`gate run --config absent.toml`: expected exit code 0, got 3: error: configuration"
    )


@pytest.mark.integration
def test_the_callers_gate_variables_are_kept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATE_SLOT", "the-callers")
    monkeypatch.setenv("GATE_NONSENSE", "refused if it were seen")
    made = tmp_path / "made"
    typed: list[str] = []
    processes = Processes(made, tmp_path, SystemClock(), typed.append)
    processes.run("init", str(made), folder=tmp_path)
    processes.run("init-lineage", "--from", "beginning")
    with processes.gate("run", {"GATE_RUN__BATCH_RECORDS_MAX": "7"}) as process:
        while process.is_running():
            pass
    assert typed == [
        f"gate init {made}",
        "gate init-lineage --from beginning",
        "GATE_RUN__BATCH_RECORDS_MAX=7 gate run --until-caught-up",
    ]
    log = (tmp_path / "run.log").read_text()
    assert '"gate_stopped"' in log
    assert "the-callers" not in log


@pytest.mark.integration
def test_a_gate_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path, tmp_path, SystemClock(), [].append)
    with (
        pytest.raises(DemonstrationFailed, match="the gate ended with exit code 3: error:"),
        processes.gate("run", {}) as process,
    ):
        while process.is_running():
            pass


@pytest.mark.integration
def test_no_process_outlives_the_demonstration(tmp_path: Path) -> None:
    processes = Processes(tmp_path, tmp_path, SystemClock(), [].append)
    with pytest.raises(KeyboardInterrupt), processes.gate("run", {}) as process:
        raise KeyboardInterrupt
    assert process._process.returncode == -signal.SIGKILL


def test_the_command_to_type_is_this_pythons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", "/usr/bin")
    assert typed_command() == f"{folder / 'python'} -m gate"
    (folder / "gate").touch(mode=0o755)
    assert typed_command() == str(folder / "gate")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin")
    assert typed_command() == "gate"
