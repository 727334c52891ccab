"""A real gate process beside a test: its folder with keys and configuration, and its deaths."""

import os
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.builders import DOMAIN, GATE, a_key, a_root_envelope
from tests.worlds import SECRET, EmbeddedWorld

ROOT = Path(__file__).parents[1]
ENDS_WITHIN_S = 120


def write_configuration(folder: Path, log: str, *, batch_records_max: int) -> Path:
    """Write keys, trust root and `gate.toml` of the test gate; `log` has the log's sections."""
    private = a_key("checkpoint").private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    _secret_file(folder / "keys" / "checkpoint.key", private)
    _secret_file(folder / "keys" / "lineage.secret", SECRET.hex().encode() + b"\n")
    (folder / "trust-root.json").write_bytes(a_root_envelope())
    config = folder / "gate.toml"
    config.write_text(
        f'domain = "{DOMAIN}"\ngate = "{GATE}"\nslot = "gate-0"\n'
        f"{log}"
        '[state]\nfolder = "state"\n'
        '[keys]\ncheckpoint = "keys/checkpoint.key"\nlineage_secret = "keys/lineage.secret"\n'
        '[trust]\nroot = "trust-root.json"\n'
        f"[run]\nbatch_records_max = {batch_records_max}\n",
        encoding="utf-8",
    )
    return config


def _secret_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)


def gate_process(config: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Start `gate run`; its events are lines on stderr."""
    return subprocess.Popen(
        [sys.executable, "-m", "gate", "run", "--config", str(config), *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class ProcessWorld(EmbeddedWorld):
    """A world whose gate runs as `gate run`, in a process of its own."""

    def __init__(
        self, folder: Path, *, partitions: int = 2, batch_records_max: int = 5_000, more: str = ""
    ) -> None:
        """`more` are further sections of the configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, partitions=partitions)
        self.folder = folder
        log = f'[log]\nkind = "embedded"\nfile = "log.sqlite"\npartitions = {partitions}\n'
        self.config = write_configuration(folder, log + more, batch_records_max=batch_records_max)

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start `gate run`; its events are lines on stderr."""
        return gate_process(self.config, *options, **environment)

    def finish(self, *options: str) -> tuple[int, str]:
        """Run until caught up; return exit code and stderr."""
        process = self.start("--until-caught-up", *options)
        _, errors = process.communicate(timeout=ENDS_WITHIN_S)
        return process.returncode, errors
