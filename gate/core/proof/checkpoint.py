"""Checkpoints: the signed tree heads of lineages, as C2SP notes.

A note, as written and as read (C2SP signed-note, tlog-checkpoint):

    acme.example/payments/payments.requests.v1/7/1          origin
    109482                                                  size, decimal
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=            root, base64
    runtime governance-gate/0.1.0 sha256:<64 hex digits>    extension line: exactly this one

    — acme.example/payments/payments.requests.v1/7/1 <base64 of 4-byte key id ‖ signature>

Promises: what is signed is the four lines, each ended by LF, and nothing else is ever signed with
a checkpoint key; a note is read only in the one spelling that is written here (signature lines
of other names, of any algorithm, may stand beside the gate's).

Leaves to others: verifying signatures and deciding whose count (`verify`).
"""

import hashlib
import re
from typing import NamedTuple

from gate.core import jcs
from gate.core.proof.merkle import HASH_BYTES, SIZE_MAX
from gate.core.signature import PUBLIC_KEY_BYTES

ORIGIN_BYTES_MAX = 200
NOTE_BYTES_MAX = 128 * 1024
SIGNATURE_LINES_MAX = 16
KEY_ID_BYTES = 4

_ED25519 = b"\x01"  # C2SP signed-note, signature types
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_ORIGIN = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)+")
_RUNTIME = re.compile(r"runtime [A-Za-z0-9._-]+/[A-Za-z0-9._+-]+ sha256:[0-9a-f]{64}")
_SIGNATURE_LINE = re.compile(r"— ([^\s+\x00-\x1f\x7f]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_KEY_NAME = re.compile(r"[^\s+\x00-\x1f\x7f\ud800-\udfff]+")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class CheckpointInvalid(ValueError):
    """An origin, note or verifier key in another form than the one described; `str()` says why."""


class NoteSignature(NamedTuple):
    """One signature line, unverified: a name, a 4-byte key id, and the rest as it is."""

    name: str
    key_id: bytes
    signature: bytes


class SignedNote(NamedTuple):
    """A note as C2SP signed-note has it: the signed text, and its signature lines."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


class Note(NamedTuple):
    """A checkpoint as read, unverified. `body` is what its signatures are over."""

    body: bytes
    origin: str
    size: int
    root: bytes
    runtime: str
    signatures: tuple[NoteSignature, ...]


class VerifierKey(NamedTuple):
    """A named public key, from its printed form; the point itself is not checked yet."""

    name: str
    public: bytes


def origin(domain: str, gate: str, topic: str, partition: int, epoch: int) -> str:
    """Return the name of a partition's lineage, at most `ORIGIN_BYTES_MAX` bytes.

    Raises `CheckpointInvalid` unless domain, gate and topic are of ASCII letters, digits and
    `._-` (so an origin splits in one way only), the partition is not negative, the epoch at
    least 1.
    """
    for word, text in (("domain", domain), ("gate", gate), ("topic", topic)):
        if not _NAME.fullmatch(text):
            raise CheckpointInvalid(
                f"{word} {jcs.quoted(text)}: expected ASCII letters, digits and `._-`"
            )
    if partition < 0 or epoch < 1:
        raise CheckpointInvalid(
            f"expected a partition from 0 and an epoch from 1, got {partition} and {epoch}"
        )
    return check_origin(f"{domain}/{gate}/{topic}/{partition}/{epoch}")


def check_origin(text: str) -> str:
    """Return `text` if it may name a lineage. Raises `CheckpointInvalid`."""
    if len(text) > ORIGIN_BYTES_MAX:
        raise CheckpointInvalid(
            f"origin is too long: expected at most {ORIGIN_BYTES_MAX} bytes, got {len(text)}"
        )
    if not _ORIGIN.fullmatch(text) or text.startswith(("DSSEv1", "cosignature")):
        raise CheckpointInvalid(
            f"origin {jcs.quoted(text)}: expected ASCII letters, digits and `._-` between slashes"
        )
    return text


def checkpoint_body(origin: str, size: int, root: bytes, runtime: str) -> bytes:
    """Return the bytes to be signed; `runtime` is the whole extension line without its LF.

    Raises `CheckpointInvalid` for what `read_note` would refuse.
    """
    check_origin(origin)
    if not 0 <= size <= SIZE_MAX or len(root) != HASH_BYTES:
        raise CheckpointInvalid("expected a size from 0 and a root of 32 bytes")
    if not _RUNTIME.fullmatch(runtime):
        raise CheckpointInvalid(
            f"runtime line {jcs.quoted(runtime)}: expected `runtime <name>/<version> sha256:<hex>`"
        )
    return f"{origin}\n{size}\n{jcs.encode_base64(root)}\n{runtime}\n".encode("ascii")


def note_key_id(name: str, public: bytes) -> bytes:
    """Return the 4 bytes that hint at a key: SHA-256(name ‖ LF ‖ 01 ‖ public key), cut."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:KEY_ID_BYTES]


def signed_note(body: bytes, name: str, key_id: bytes, signature: bytes) -> str:
    """Return the note: body, blank line, one signature line."""
    return f"{body.decode()}\n— {name} {jcs.encode_base64(key_id + signature)}\n"


def read_signed_note(text: str) -> SignedNote:
    """Return a note's text and signature lines, whatever the text says.

    At most `NOTE_BYTES_MAX` bytes and `SIGNATURE_LINES_MAX` lines, none twice; control
    characters other than LF are refused. Raises `CheckpointInvalid`.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise CheckpointInvalid("note is not UTF-8") from error
    if size > NOTE_BYTES_MAX:
        raise CheckpointInvalid(f"note is too long: expected at most {NOTE_BYTES_MAX} bytes")
    body, blank, tail = text.rpartition("\n\n")
    if not blank or not body or not tail.endswith("\n"):
        raise CheckpointInvalid("note: expected text, a blank line, then signature lines, each LF")
    if _CONTROL.search(body):
        raise CheckpointInvalid("note holds a control character")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURE_LINES_MAX:
        raise CheckpointInvalid(f"note: expected at most {SIGNATURE_LINES_MAX} signature lines")
    signatures = tuple(_signature(line) for line in lines)
    if len({(line.name, line.key_id) for line in signatures}) != len(signatures):
        raise CheckpointInvalid("note: two signature lines of one key, keep one")
    return SignedNote((body + "\n").encode(), signatures)


def read_note(text: str) -> Note:
    """Return the checkpoint of a note in exactly the form above. Raises `CheckpointInvalid`."""
    note = read_signed_note(text)
    lines = note.text.decode().split("\n")
    if len(lines) != 5:
        raise CheckpointInvalid("checkpoint: expected origin, size, root and one runtime line")
    name, size, root, runtime, _ = lines
    check_origin(name)
    if not _DECIMAL.fullmatch(size) or int(size) > SIZE_MAX:
        raise CheckpointInvalid(f"checkpoint: expected a decimal size, got {jcs.quoted(size)}")
    if not _RUNTIME.fullmatch(runtime):
        raise CheckpointInvalid(
            f"checkpoint: expected `runtime <name>/<version> sha256:<hex>`, "
            f"got {jcs.quoted(runtime)}"
        )
    return Note(note.text, name, int(size), read_hash(root), runtime, note.signatures)


def read_hash(text: str) -> bytes:
    """Return the 32 bytes of a line of canonical base64. Raises `CheckpointInvalid`."""
    data = _base64(text)
    if len(data) != HASH_BYTES:
        raise CheckpointInvalid(f"expected a hash of 32 bytes, got {len(data)}")
    return data


def verifier_key(name: str, public: bytes) -> str:
    """Print a public key under a name: `name+key id in hex+base64(01 ‖ public key)`."""
    encoded = jcs.encode_base64(_ED25519 + public)
    return f"{name}+{note_key_id(name, public).hex()}+{encoded}"


def read_verifier_key(text: str) -> VerifierKey:
    """Return the name and key of a printed verifier key. Raises `CheckpointInvalid`.

    Only Ed25519 (type 01) is accepted, and the key id must be the one that name and key give.
    """
    name, _, rest = text.partition("+")
    _, separator, encoded = rest.partition("+")
    data = _base64(encoded) if separator else b""
    if data[:1] != _ED25519 or len(data) != 1 + PUBLIC_KEY_BYTES or not _KEY_NAME.fullmatch(name):
        raise CheckpointInvalid("verifier key: expected `name+hex+base64` of an Ed25519 key")
    key = VerifierKey(name, data[1:])
    if verifier_key(*key) != text:
        raise CheckpointInvalid("verifier key: its key id does not belong to its name and key")
    return key


def _signature(line: str) -> NoteSignature:
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise CheckpointInvalid(f"note: expected `— name base64`, got {jcs.quoted(line)}")
    data = _base64(match[2])
    if len(data) <= KEY_ID_BYTES:
        raise CheckpointInvalid("note: signature line is too short")
    return NoteSignature(match[1], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _base64(text: str) -> bytes:
    try:
        return jcs.decode_base64(text)
    except jcs.JsonInvalid as error:
        raise CheckpointInvalid(str(error)) from error
