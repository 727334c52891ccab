"""The README's commands on Apache Kafka, in a temporary folder, on the run's broker."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kafka.local import ROOT, LocalKafka
from tests.unit.cli.harness import without_gate_variables

SECTION = "## On Apache Kafka\n"
FIRST = "## Change the policy, submit a request, verify the answer\n"


def section(title: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.partition(title)[2].partition("\n## ")[0]


def put(text: str, before: str, after: str) -> str:
    assert text.count(before) == 1, f"the README has no `{before}`"
    return text.replace(before, after)


def free_port() -> int:
    """Return the first of two neighbouring ports that were free."""
    for port in range(20_000, 30_000, 2):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


@pytest.fixture
def commands(kafka: LocalKafka) -> str:
    """The README's commands, with this run's broker, a gate and a port that no other test uses."""
    (shell,) = re.findall(r"```sh\n(.*?)```", section(SECTION), re.DOTALL)
    shell = put(shell, "$(make kafka --silent)", kafka.bootstrap)
    shell = put(shell, "gate init on-kafka", "gate init on-kafka --gate readme")
    port = free_port()
    shell = put(shell, "GATE_HEALTH__PORT=9464", f"GATE_HEALTH__PORT={port}")
    return put(shell, "http://127.0.0.1:9464", f"http://127.0.0.1:{port}")


@pytest.mark.slow
def test_a_newcomer_runs_a_gate_on_kafka(tmp_path: Path, commands: str) -> None:
    command = tmp_path / "bin" / "gate"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gate "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    request = re.findall(r"cat > (request.yaml <<'YAML'\n.*?\nYAML\n)", section(FIRST), re.DOTALL)
    (tmp_path / "dev").mkdir()
    done = subprocess.run(
        ["bash", "-e", "-c", f"cat > dev/{request[0]}{commands}wait\n"],
        cwd=tmp_path,
        env={
            **without_gate_variables(),
            "PATH": f"{command.parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "APPROVED" in done.stdout
    assert "approved twice: 0" in done.stdout
    assert "ok: nothing found" in done.stdout
    assert " 0 bad" in done.stderr
    log = (tmp_path / "on-kafka" / "gate.log").read_text()
    assert log.count('"gate_stopped"') == 2
