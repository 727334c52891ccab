"""Each reader survives ten seconds of fuzzing; one with a planted leniency does not."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).relative_to(ROOT).with_name("fuzz_readers.py")

pytestmark = pytest.mark.slow


def fuzz(root: Path, target: str, seconds: int, folder: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("atheris", reason="atheris is not installed")
    command = [sys.executable, str(root / SCRIPT), target, str(seconds)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("target", ["request", "statement", "control_record", "entry"])
def test_a_reader_survives_fuzzing(target: str, tmp_path: Path) -> None:
    done = fuzz(ROOT, target, 10, tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert runs is not None
    assert int(runs[1]) > 10_000


@pytest.mark.parametrize(
    ("strict", "lenient"),
    [
        ("        if byte == 0:\n", "        if False:\n"),
        ("        if byte > 1:\n", "        if False:\n"),
        ("        if not 0 <= number < count:\n", "        if not number < count:\n"),
        ("        if self.position != self.size:\n", "        if False:\n"),
    ],
    ids=["overlong integers", "booleans of any byte", "negative indexes", "trailing bytes"],
)
def test_fuzzing_finds_a_planted_leniency(strict: str, lenient: str, tmp_path: Path) -> None:
    skipped = shutil.ignore_patterns("__pycache__")
    for folder in ("gate/core", "schemas", "tests/unit/core/wire", "tests/fuzz"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=skipped)
    shutil.copy(ROOT / "gate/__init__.py", tmp_path / "gate")
    reader = tmp_path / "gate/core/wire/reader.py"
    source = reader.read_text()
    assert source.count(strict) == 1
    reader.write_text(source.replace(strict, lenient))
    done = fuzz(tmp_path, "entry", 20, tmp_path)
    assert done.returncode != 0
    assert "Uncaught Python exception" in done.stderr + done.stdout
