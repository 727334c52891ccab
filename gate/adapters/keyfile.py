"""Private keys and the lineage secret in files of mode 600.

Promises that a file that others may read, or of another kind, is refused, and that no message
holds a byte of a secret. Keys are Ed25519 in PKCS #8 PEM without a password; the lineage secret is
32 bytes as 64 hexadecimal digits.
"""

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gate.errors import ConfigInvalid

SECRET_BYTES: Final = 32
_FILE_BYTES_MAX: Final = 16 * 1024


class FileSigner:
    """Implements `gate.ports.Signer` with a key read once from a file."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises `ConfigInvalid` naming the file and the cure."""
        pem = _read_private(path, "signing key")
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            text = (
                f"signing key `{path}` is malformed: expected an unencrypted PKCS #8 private key "
                "in PEM: make one with `gate keys`"
            )
            raise ConfigInvalid(text) from None  # the cause might quote the file
        if not isinstance(key, Ed25519PrivateKey):
            text = (
                f"signing key `{path}` has another type: expected Ed25519, got "
                f"{type(key).__name__.removesuffix('PrivateKey')}: make one with `gate keys`"
            )
            raise ConfigInvalid(text)
        self._sign = key.sign
        self._public_key = key.public_key().public_bytes_raw()

    def public_key(self) -> bytes:
        """Follow the port."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Follow the port."""
        return self._sign(message)


def create_key(path: Path) -> bytes:
    """Make a key file and return its public key. Raises `ConfigInvalid` when the file exists."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write_private(path, pem, "signing key")
    return key.public_key().public_bytes_raw()


def create_secret(path: Path) -> None:
    """Make a lineage secret file. Raises `ConfigInvalid` when the file exists."""
    _write_private(path, os.urandom(SECRET_BYTES).hex().encode() + b"\n", "lineage secret")


def read_secret(path: Path) -> bytes:
    """Return the 32 bytes of a lineage secret file. Raises `ConfigInvalid`."""
    encoded = _read_private(path, "lineage secret")
    digits = encoded.removesuffix(b"\n")
    if len(digits) != 2 * SECRET_BYTES or not set(digits) <= set(b"0123456789abcdef"):
        text = (
            f"lineage secret `{path}` is malformed: expected {2 * SECRET_BYTES} hexadecimal "
            "digits in lower case: copy the file again from another node of this gate"
        )
        raise ConfigInvalid(text)
    return bytes.fromhex(digits.decode())


def _read_private(path: Path, kind: str) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        text = (
            f"{kind} `{path}` does not exist: name the right file, or restore it from a copy; "
            "new keys are made by `gate keys create`"
        )
        raise ConfigInvalid(text) from error
    except OSError as error:
        text = f"{kind} `{path}` can not be opened: check its owner and mode: {error.strerror}"
        raise ConfigInvalid(text) from error
    try:
        _check_private(path, kind, os.fstat(handle).st_mode)
        return os.read(handle, _FILE_BYTES_MAX)
    except OSError as error:
        text = f"{kind} `{path}` can not be read: {error.strerror}"
        raise ConfigInvalid(text) from error
    finally:
        os.close(handle)


def _check_private(path: Path, kind: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        text = f"{kind} `{path}` is not a regular file: name another file"
        raise ConfigInvalid(text)
    if mode & 0o077:
        text = (
            f"{kind} `{path}` is open to others: expected mode 600, "
            f"got {stat.S_IMODE(mode):o}: `chmod 600`"
        )
        raise ConfigInvalid(text)


def _write_private(path: Path, content: bytes, kind: str) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        text = f"{kind} `{path}` exists already: name another file or remove it first"
        raise ConfigInvalid(text) from error
    except OSError as error:
        text = f"{kind} `{path}` can not be made: check its folder: {error.strerror}"
        raise ConfigInvalid(text) from error
    with os.fdopen(handle, "wb") as file:
        os.fchmod(handle, 0o600)  # a umask may have taken a bit of the owner's
        file.write(content)
        file.flush()
        os.fsync(handle)
