"""The same input gives the same bytes: in every process, setting, batch cut and partition mix."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.determinism import decide_all

ROOT = Path(__file__).parents[2]
FROZEN = Path(__file__).parents[1] / "vectors" / "frozen-leaves.json"
CLOCK_OF_1999 = (
    "import time, runpy, sys; time.time = lambda: 925_000_000.0;"
    "time.time_ns = lambda: 925_000_000 * 10**9; sys.argv = ['x', '7'];"
    "runpy.run_module('tests.determinism', run_name='__main__')"
)

pytestmark = pytest.mark.integration


def _elsewhere(*arguments: str, **environment: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def here() -> dict[str, object]:
    return decide_all(1000, shuffled=False)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        pytest.param(("-m", "tests.determinism", "7"), {"PYTHONHASHSEED": "1"}, id="process"),
        pytest.param(("-m", "tests.determinism", "7"), {"PYTHONHASHSEED": "4242"}, id="hash seed"),
        pytest.param(
            ("-m", "tests.determinism", "7"),
            {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONUTF8": "0"},
            id="locale",
        ),
        pytest.param(("-m", "tests.determinism", "7"), {"TZ": "Pacific/Kiritimati"}, id="zone"),
        pytest.param(("-c", CLOCK_OF_1999), {}, id="clock"),
        pytest.param(("-m", "tests.determinism", "3", "shuffled"), {}, id="partition mix"),
    ],
)
def test_another_setting_gives_the_same_bytes(
    here: dict[str, object], arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    assert _elsewhere(*arguments, **environment) == here


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64])
def test_batch_cuts_do_not_matter(here: dict[str, object], size: int) -> None:
    assert decide_all(size, shuffled=size % 2 == 0) == here


def test_the_bytes_are_those_of_the_first_release(here: dict[str, object]) -> None:
    """A change here changes what a replay of old topics gives: it needs another engine name."""
    assert here == json.loads(FROZEN.read_text(encoding="utf-8"))
