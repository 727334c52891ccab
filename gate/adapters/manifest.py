"""The runtime manifest: what software it is that decides, as one digest.

Canonical JSON of the package's version, the SHA-256 of each of its files, the Python version and
the versions of the run-time dependencies. The same wheel, lock and Python give the same digest; it
stands in every checkpoint, not in the leaf. Self-reported: a signature over it does not prove that
this is what ran. `design/decision.md` §2.
"""

import hashlib
import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import gate
from gate.core import jcs

DISTRIBUTION: Final = "governance-gate"
DEPENDENCIES: Final = (
    "cel-expr-python",
    "confluent-kafka",
    "cryptography",
    "fastavro",
    "jinja2",
    "prometheus-client",
    "pydantic-settings",
    "pyyaml",
    "rich",
    "rocksdict",
    "structlog",
    "typer",
)
"""The run-time dependencies of `pyproject.toml`, in its order."""
UNINSTALLED: Final = "0+source"
"""The version of a gate that runs from its source folder without being installed."""


def package_version() -> str:
    """Return the version of the installed gate."""
    return _version(DISTRIBUTION) or UNINSTALLED


def runtime_manifest() -> bytes:
    """Return the manifest as canonical JSON; an absent dependency is null."""
    return jcs.canonical(
        {
            "dependencies": {name: _version(name) for name in DEPENDENCIES},
            "files": dict(_files(Path(gate.__file__).parent)),
            "format": "gate-runtime/1",
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "version": package_version(),
        }
    )


def runtime_line() -> str:
    """Return the extension line of checkpoints: `runtime <name>/<version> sha256:<hex>`."""
    digest = hashlib.sha256(runtime_manifest()).hexdigest()
    return f"runtime {DISTRIBUTION}/{package_version()} sha256:{digest}"


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each file's path inside the package and its digest; compiled files do not count."""
    for where, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if not name.endswith(".pyc"):
                path = Path(where, name)
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                yield path.relative_to(folder).as_posix(), digest


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
