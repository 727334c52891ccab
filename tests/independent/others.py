"""The judges: a Go program over `sumdb/note` and `sumdb/tlog`, and the `openssl` command.

They get bytes and say yes or no. What stands in this file follows the specifications (C2SP
signed-note, RFC 8410), imports nothing of the gate, and uses no library of cryptography but
hashing.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PROGRAM = Path(__file__).parent / "go"
GO_MIN = (1, 23)
OPENSSL_MIN = 3
BUILD_TIMEOUT_S = 300
RUN_TIMEOUT_S = 60

ACCEPTED = "accepted"
_ED25519 = b"\x01"  # C2SP signed-note, signature types
_SPKI_OF_ED25519 = bytes.fromhex("302a300506032b6570032100")  # RFC 8410 §4, before the 32 bytes


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def verifier_key(name: str, public: bytes) -> str:
    """Print a key as C2SP signed-note has it, for the Go program."""
    key_id = hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]
    return f"{name}+{key_id.hex()}+{to_base64(_ED25519 + public)}"


def pem(public: bytes) -> str:
    encoded = to_base64(_SPKI_OF_ED25519 + public)
    return f"-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n"


class Case(NamedTuple):
    """A checkpoint, and what is claimed under it; proofs are hashes of 32 bytes, concatenated."""

    key: str
    note: bytes
    leaf: bytes | None = None
    leaf_hash: bytes | None = None
    index: int | None = None
    path: bytes = b""
    older: bytes | None = None
    proof: bytes = b""

    def json_line(self) -> str:
        case: dict[str, object] = {"key": self.key, "note": to_base64(self.note)}
        if self.index is not None:
            leaf = (
                {"leaf_hash": to_base64(self.leaf_hash or b"")}
                if self.leaf is None
                else {"leaf": to_base64(self.leaf)}
            )
            case["inclusion"] = {**leaf, "index": self.index, "path": _hashes(self.path)}
        if self.older is not None:
            case["consistency"] = {"older": to_base64(self.older), "proof": _hashes(self.proof)}
        return json.dumps(case) + "\n"


def _hashes(data: bytes) -> list[str]:
    return [to_base64(data[start : start + 32]) for start in range(0, len(data), 32)]


class GoJudge:
    """The program in `go/`, built."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def verdicts(self, cases: list[Case]) -> list[str]:
        """Return `accepted` or `refused <step>: <reason>` of each case."""
        lines = "".join(case.json_line() for case in cases)
        done = subprocess.run(
            [self._program],
            input=lines,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_TIMEOUT_S,
        )
        verdicts = done.stdout.splitlines()
        assert (len(verdicts), done.stderr) == (len(cases), "")
        assert done.returncode == any(verdict != ACCEPTED for verdict in verdicts)
        return verdicts

    def refused_at(self, cases: list[Case]) -> list[str]:
        """Return for each case the step at which it was refused; a case accepted is `accepted`."""
        return [
            verdict.removeprefix("refused ").partition(":")[0] for verdict in self.verdicts(cases)
        ]


def _go(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["go", *arguments],
        cwd=PROGRAM,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_TIMEOUT_S,
    )


@cache
def _why_not_go() -> str:
    """Return why the program can not be built here; empty where it can."""
    expected = f"expected Go {'.'.join(map(str, GO_MIN))} or newer"
    if shutil.which("go") is None:
        return f"{expected}, found no `go`: install it"
    said = _go("version").stdout.strip()
    version = re.search(r"go(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < GO_MIN:
        return f"{expected}, found `{said}`: install it"
    fetched = _go("mod", "download")
    if fetched.returncode:
        return f"the Go module proxy did not answer: {fetched.stderr.strip()}"
    return ""


_built: list[GoJudge] = []


@pytest.fixture(scope="session")
def go_judge(tmp_path_factory: pytest.TempPathFactory) -> GoJudge:
    """The Go program, built once a run, also where several modules import this fixture."""
    if not _built:
        why_not = _why_not_go()
        if why_not:
            pytest.skip(why_not)
        program = tmp_path_factory.mktemp("go") / "judge"
        built = _go("build", "-buildvcs=false", "-o", str(program), ".")
        assert built.returncode == 0, built.stderr
        _built.append(GoJudge(program))
    return _built[0]


class OpenSsl:
    """The `openssl` command, and a folder for the files that it must be given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def accepts(self, body: bytes, signature: bytes, public: bytes) -> bool:
        """Tell whether an Ed25519 signature over the body is the key's."""
        (self._folder / "body").write_bytes(body)
        (self._folder / "signature").write_bytes(signature)
        (self._folder / "key.pem").write_text(pem(public), encoding="ascii")
        command = "openssl pkeyutl -verify -rawin -pubin -inkey key.pem -in body -sigfile signature"
        done = subprocess.run(
            command.split(),
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_TIMEOUT_S,
        )
        said = {0: "Signature Verified Successfully", 1: "Signature Verification Failure"}
        assert said.get(done.returncode) == done.stdout.strip(), done.stderr
        return done.returncode == 0


@cache
def _why_not_openssl() -> str:
    if shutil.which("openssl") is None:
        return f"expected OpenSSL {OPENSSL_MIN} or newer, found no `openssl`: install it"
    said = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"OpenSSL (\d+)\.", said)
    if version is None or int(version[1]) < OPENSSL_MIN:
        return f"expected OpenSSL {OPENSSL_MIN} or newer, found `{said.strip()}`: install it"
    return ""


@pytest.fixture
def openssl(tmp_path: Path) -> OpenSsl:
    why_not = _why_not_openssl()
    if why_not:
        pytest.skip(why_not)
    return OpenSsl(tmp_path)
