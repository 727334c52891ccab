"""The README's commands, word by word, in a temporary folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
SECTION = "## Change the policy, submit a request, verify the answer"


def _blocks() -> tuple[list[str], str]:
    """The shell blocks of the section, and the rule that it adds."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition(SECTION)[2].partition("\n## ")[0]
    shell = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    (rule,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    return shell, rule


@pytest.fixture
def gate_on_path(tmp_path: Path) -> dict[str, str]:
    command = tmp_path / "bin" / "gate"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gate "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(tmp_path),
    }


def test_a_newcomer_adds_a_rule_and_verifies_a_decision(
    tmp_path: Path, gate_on_path: dict[str, str]
) -> None:
    (first, second), rule = _blocks()
    edit = (
        "python3 - <<'EDIT'\n"
        "from pathlib import Path\n"
        "path = Path('policies/boston-mortgage.policy.yaml')\n"
        "text = path.read_text()\n"
        f"path.write_text(text.replace('constraints:', {rule!r} + 'constraints:', 1))\n"
        "EDIT\n"
    )
    last = "gate decide request.yaml --policy policies/boston-mortgage.policy.yaml\n"
    done = subprocess.run(
        ["bash", "-e", "-c", first + edit + second + last],
        cwd=tmp_path,
        env=gate_on_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 of 20 passed" in done.stdout
    assert "SIGNED" in done.stdout
    assert "approved twice: 0" in done.stdout
    assert "ok: nothing found" in done.stdout
    assert done.stdout.rstrip().splitlines()[-3].startswith("APPROVED")


def test_every_make_target_that_the_readme_names_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`?make ([a-z-]+)", readme))
    assert {"demo", "test", "check"} <= named
    assert [target for target in sorted(named) if f"\n{target}:" not in makefile] == []
