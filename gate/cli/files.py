"""Reading and writing files that the command line names. Every fault names the file and a cure."""

import hashlib
import os
from pathlib import Path

from gate.authoring.check import check_source
from gate.cli.exits import Usage
from gate.core import dsse
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.policy.bundle import parse_bundle
from gate.core.policy.compiled import Policy, compile_policy
from gate.core.policy.issues import AstDiffers, BundleInvalid, EngineUnavailable
from gate.core.signature import key_id
from gate.core.trust import TrustRoot, TrustRootInvalid, verify_first
from gate.errors import ConfigInvalid
from gate.ports import Signer

FILE_BYTES_MAX = 32 * 1024 * 1024
_SOURCES = (".yaml", ".yml")


def read_file(path: Path, what: str, bytes_max: int = FILE_BYTES_MAX) -> bytes:
    """Return a file's content. Raises `ConfigInvalid` when it can not be read or is too long."""
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ConfigInvalid(f"{what} `{path}` can not be read: {reason}: name another") from error
    if len(data) > bytes_max:
        raise ConfigInvalid(f"{what} `{path}`: expected at most {bytes_max} bytes")
    return data


def write_file(path: Path, data: bytes, what: str) -> None:
    """Write a new file whole, or not at all. Raises `ConfigInvalid`, also when it exists."""
    if path.exists():
        raise ConfigInvalid(f"{what} `{path}` exists already: name another file")
    replace_file(path, data, what)


def replace_file(path: Path, data: bytes, what: str) -> None:
    """Write a file whole, or not at all, over what was there. Raises `ConfigInvalid`."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        reason = (error.strerror or "").lower()
        raise ConfigInvalid(f"{what} `{path}` can not be written: {reason}") from error


def is_source(path: Path) -> bool:
    """Say whether the name is that of a policy's YAML source."""
    return path.suffix.lower() in _SOURCES


def read_envelope(path: Path, what: str, payload_type: str) -> dsse.Envelope:
    """Return the envelope of a file, its signatures unseen. Raises `ConfigInvalid`."""
    data = read_file(path, what, CONTROL_BYTES_MAX)
    try:
        envelope = dsse.read_envelope(data)
    except dsse.EnvelopeInvalid as error:
        raise ConfigInvalid(f"{what} `{path}`: {error}") from error
    if envelope.payload_type != payload_type:
        raise ConfigInvalid(
            f"{what} `{path}`: expected payload type `{payload_type}`, "
            f"got `{envelope.payload_type}`"
        )
    return envelope


def read_trust(path: Path) -> TrustRoot:
    """Return a trust root that its own root keys signed. Raises `ConfigInvalid`."""
    try:
        return verify_first(read_file(path, "trust root", CONTROL_BYTES_MAX))
    except TrustRootInvalid as error:
        raise ConfigInvalid(f"trust root `{path}`: {error}") from error


def compile_payload(payload: bytes, path: Path) -> Policy:
    """Return the policy of a bundle's payload. Raises `ConfigInvalid`."""
    try:
        return compile_policy(parse_bundle(payload), hashlib.sha256(payload).digest())
    except (BundleInvalid, EngineUnavailable, AstDiffers) as error:
        raise ConfigInvalid(f"policy `{path}`: {error}") from error


def read_policy(path: Path) -> Policy:
    """Return the policy of a YAML source, or of a signed bundle. Raises `ConfigInvalid`."""
    if is_source(path):
        return check_source(read_file(path, "policy"), str(path)).policy
    return compile_payload(read_envelope(path, "signed bundle", dsse.POLICY).payload, path)


def tests_beside(policy: Path) -> Path:
    """Return where a policy's test file lies: `x.policy.yaml` has `x.tests.yaml`."""
    stem = policy.name.removesuffix(policy.suffix).removesuffix(".policy")
    return policy.with_name(f"{stem}.tests{policy.suffix}")


def sign_envelope(envelope: dsse.Envelope, signers: list[Signer]) -> dsse.Envelope:
    """Return the envelope with one more signature of each signer. Raises `Usage` for a second."""
    message = dsse.pae(envelope.payload_type, envelope.payload)
    signatures = list(envelope.signatures)
    for signer in signers:
        name = key_id(signer.public_key())
        if any(name == known for known, _ in signatures):
            raise Usage(f"key `{name}` has signed already: each key signs once")
        signatures.append((name, signer.sign(message)))
    return envelope._replace(signatures=tuple(signatures))
