"""Keys, secrets, trust and the runtime's own identity, as a configuration names them."""

import os
from pathlib import Path
from typing import NamedTuple

from gate.adapters import keyfile, manifest
from gate.adapters.clock import SystemClock
from gate.config import Config
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.state import LineageKeys, derive_keys
from gate.core.topics import Topics, topics_of
from gate.core.trust import TrustRoot, TrustRootInvalid, verify_first
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid
from gate.ports import Clock, Signer


class FirstRoot(NamedTuple):
    """The configured first trust root, verified, and its envelope as it is in the file."""

    root: TrustRoot
    envelope: bytes


def clock() -> Clock:
    """Return the system's clock."""
    return SystemClock()


def topics(config: Config) -> Topics:
    """Return the names of the gate's topics."""
    return topics_of(config.gate)


def signer(key_file: Path) -> Signer:
    """Return the signer of a private key file. Raises `ConfigInvalid`."""
    return keyfile.FileSigner(key_file)


def checkpoint_signer(config: Config) -> Signer:
    """Return the signer of checkpoints. Raises `ConfigInvalid`."""
    _check_there(config.keys.checkpoint, "checkpoint key")
    return signer(config.keys.checkpoint)


def lineage_keys(config: Config) -> LineageKeys:
    """Return the keys derived from the configured lineage secret. Raises `ConfigInvalid`."""
    _check_there(config.keys.lineage_secret, "lineage secret")
    return derive_keys(keyfile.read_secret(config.keys.lineage_secret))


def _check_there(file: Path, what: str) -> None:
    if not os.path.lexists(file):
        raise ConfigInvalid(
            f"{what} `{file}` does not exist: copy it from another node of this gate or from a "
            "backup; `gate init` makes one for a new gate only"
        )


def check_state_folder(config: Config) -> None:
    """Raise `ConfigInvalid` when the state folder is something else."""
    folder = config.state.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigInvalid(
            f"`state.folder`: expected a folder, got the file `{folder}`: name another"
        )


def create_key(key_file: Path) -> bytes:
    """Make a private key file of mode 600 and return the public key. Raises `ConfigInvalid`."""
    return keyfile.create_key(key_file)


def create_secret(secret_file: Path) -> None:
    """Make a lineage secret file of mode 600. Raises `ConfigInvalid`."""
    keyfile.create_secret(secret_file)


def runtime_manifest() -> bytes:
    """Return the manifest of the gate that is running, as canonical JSON."""
    return manifest.runtime_manifest()


def runtime_line() -> str:
    """Return the line that stands in every checkpoint for `runtime_manifest`."""
    return manifest.runtime_line()


def package_version() -> str:
    """Return the version of the gate that is running."""
    return manifest.package_version()


def first_root(config: Config) -> FirstRoot:
    """Return the configured first trust root. Raises `ConfigInvalid`, also for another domain's."""
    path = config.trust.root
    try:
        with path.open("rb") as file:
            envelope = file.read(CONTROL_BYTES_MAX + 1)
        root = verify_first(envelope)
    except OSError as error:
        raise ConfigInvalid(
            f"trust root `{path}` can not be read: {(error.strerror or '').lower()}"
        ) from error
    except TrustRootInvalid as error:
        raise ConfigInvalid(f"trust root `{path}`: {error}") from error
    if root.domain != config.domain:
        raise ConfigInvalid(
            f"`domain`: expected `{escaped(root.domain)}` as trust root `{path}` says, got "
            f"`{escaped(config.domain)}`: put it back, or name the trust root of that domain"
        )
    return FirstRoot(root, envelope)
