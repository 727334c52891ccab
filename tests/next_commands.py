"""What a demonstration says to try next, tried."""

import shlex
import subprocess
import sys

from gate.demo.report import next_commands
from gate.demo.summary import Summary


def unanswered(summary: Summary, environment: dict[str, str]) -> dict[str, str]:
    """Type each command as it is printed; return those that did not end with 0, and their words."""
    found = {}
    for line in next_commands(summary):
        ended = subprocess.run(
            [sys.executable, "-m", "gate", *shlex.split(line)],
            cwd=summary.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if ended.returncode:
            found[line] = f"{ended.returncode}: {ended.stderr}"
    return found
