"""Key files: what is accepted, what is refused, and that no secret is ever shown."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gate.adapters.keyfile import (
    FileSigner,
    create_key,
    create_secret,
    read_secret,
)
from gate.errors import ConfigInvalid


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_key_made_signs_so_that_its_public_key_verifies(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    public = create_key(path)
    signer = FileSigner(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signer.public_key() == public
    key = Ed25519PublicKey.from_public_bytes(public)
    key.verify(signer.sign(b"message"), b"message")
    with pytest.raises(InvalidSignature):
        key.verify(signer.sign(b"message"), b"another")


def test_a_secret_made_reads_back(tmp_path: Path) -> None:
    create_secret(tmp_path / "one")
    create_secret(tmp_path / "two")

    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    one, two = read_secret(tmp_path / "one"), read_secret(tmp_path / "two")
    assert (len(one), len(two)) == (32, 32)
    assert one != two


def test_files_are_made_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key(tmp_path / "key.pem")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("make", [create_key, create_secret])
def test_an_existing_file_is_never_overwritten(tmp_path: Path, make: object) -> None:
    path = write(tmp_path / "key.pem", b"precious")

    with pytest.raises(ConfigInvalid, match="exists already: name another file"):
        make(path)  # type: ignore[operator]
    assert path.read_bytes() == b"precious"


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="can not be made: check its folder"):
        create_key(tmp_path / "nowhere" / "key.pem")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
@pytest.mark.parametrize("read", [FileSigner, read_secret])
def test_a_file_open_to_others_is_refused(tmp_path: Path, read: object, mode: int) -> None:
    path = tmp_path / "private"
    create_key(path) if read is FileSigner else create_secret(path)
    path.chmod(mode)

    with pytest.raises(ConfigInvalid, match=f"expected mode 600, got {mode:o}: `chmod 600`"):
        read(path)  # type: ignore[operator]


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_file_is_accepted(tmp_path: Path, mode: int) -> None:
    create_key(tmp_path / "key.pem")
    (tmp_path / "key.pem").chmod(mode)

    assert len(FileSigner(tmp_path / "key.pem").sign(b"")) == 64


@pytest.mark.parametrize("read", [FileSigner, read_secret])
def test_a_missing_file_is_named_with_its_cure(tmp_path: Path, read: object) -> None:
    with pytest.raises(ConfigInvalid, match=r"missing` does not exist: name the right file"):
        read(tmp_path / "missing")  # type: ignore[operator]


@pytest.mark.parametrize("read", [FileSigner, read_secret])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, read: object) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir()

    for name in ("pipe", "folder"):
        with pytest.raises(ConfigInvalid, match="not a regular file|can not be opened"):
            read(tmp_path / name)  # type: ignore[operator]


def test_a_key_of_another_type_is_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = write(tmp_path / "key.pem", pem)

    with pytest.raises(ConfigInvalid, match="has another type: expected Ed25519, got"):
        FileSigner(path)


def test_malformed_and_encrypted_keys_are_refused_without_showing_them(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    raw = key.private_bytes_raw()
    damaged = plain.replace(b"MC4", b"MC5")
    for content in (b"", b"secret-words", raw, raw.hex().encode(), plain[:40], damaged, locked):
        path = write(tmp_path / "key.pem", content)
        with pytest.raises(ConfigInvalid, match="is malformed: expected an unencrypted") as caught:
            FileSigner(path)
        shown = repr(caught.value) + repr(caught.value.__cause__)
        assert raw.hex() not in shown
        assert "secret-words" not in shown
        assert plain.split(b"\n")[1].decode()[20:] not in shown


@pytest.mark.parametrize(
    "content",
    [b"", b"5e" * 31, b"5e" * 33, b"5E" * 32, b"5e" * 32 + b"\n\n", b" " + b"5e" * 32, b"zz" * 32],
)
def test_a_malformed_secret_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "secret", content)

    with pytest.raises(ConfigInvalid, match="expected 64 hexadecimal digits") as caught:
        read_secret(path)
    assert "5e5e" not in str(caught.value).lower()
