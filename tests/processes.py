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


def _secret_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)


class ProcessWorld(EmbeddedWorld):
    """A world whose gate runs as `gate run`, in a process of its own."""

    def __init__(
        self, folder: Path, *, partitions: int = 2, batch_records_max: int = 5_000
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, partitions=partitions)
        self.folder = folder
        private = a_key("checkpoint").private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        _secret_file(folder / "keys" / "checkpoint.key", private)
        _secret_file(folder / "keys" / "lineage.secret", SECRET.hex().encode() + b"\n")
        (folder / "trust-root.json").write_bytes(a_root_envelope())
        self.config = folder / "gate.toml"
        self.config.write_text(
            f'domain = "{DOMAIN}"\ngate = "{GATE}"\nslot = "gate-0"\n'
            f'[log]\nkind = "embedded"\nfile = "log.sqlite"\npartitions = {partitions}\n'
            '[state]\nfolder = "state"\n'
            '[keys]\ncheckpoint = "keys/checkpoint.key"\nlineage_secret = "keys/lineage.secret"\n'
            '[trust]\nroot = "trust-root.json"\n'
            f"[run]\nbatch_records_max = {batch_records_max}\n",
            encoding="utf-8",
        )

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start `gate run`; its events are lines on stderr."""
        return subprocess.Popen(
            [sys.executable, "-m", "gate", "run", "--config", str(self.config), *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, *options: str) -> tuple[int, str]:
        """Run until caught up; return exit code and stderr."""
        process = self.start("--until-caught-up", *options)
        _, errors = process.communicate(timeout=120)
        return process.returncode, errors
