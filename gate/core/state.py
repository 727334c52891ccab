"""State: state keys, salts, the fingerprint of a store, and the recovery target.

All three secrets (salt, fingerprint, target) derive from one 32-byte lineage secret; Genesis
commits to its digest. The recovery target travels as metadata of the committed offset, so it is
atomic with it. `design/transaction.md` §2.
"""

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable
from typing import NamedTuple

STATE_KEY_BYTES = 16
STORE_FORMAT = 1
_MODULUS = 1 << 128
_TARGET_MAGIC = b"GT\x01"
_TARGET_HEAD = struct.Struct(">qqqqqq")
_MAC_BYTES = 32
_TARGET_CHARS_MAX = 4095


class LineageKeys(NamedTuple):
    """Keys derived from the lineage secret; `secret_sha256` is what Genesis commits to."""

    salt: bytes
    fingerprint: bytes
    target: bytes
    secret_sha256: bytes


def derive_keys(secret: bytes) -> LineageKeys:
    """Derive the three keys from a 32-byte secret with keyed BLAKE2b, told apart by `person`."""
    assert len(secret) == 32, "a lineage secret has 32 bytes"

    def derived(person: bytes) -> bytes:
        return hashlib.blake2b(key=secret, digest_size=32, person=person).digest()

    return LineageKeys(
        salt=derived(b"gate-salt/1"),
        fingerprint=derived(b"gate-print/1"),
        target=derived(b"gate-target/1"),
        secret_sha256=hashlib.sha256(secret).digest(),
    )


def state_key(admission_key: bytes) -> bytes:
    """Return the 16 bytes under which an admission key is remembered.

    A collision can only deny: it makes a fresh key look taken.
    """
    return hashlib.sha256(admission_key).digest()[:STATE_KEY_BYTES]


class Salts:
    """Salts of one lineage: keyed BLAKE2b-128 over origin and the 8-byte input offset."""

    __slots__ = ("_base",)

    def __init__(self, keys: LineageKeys, origin: str) -> None:
        """Feed what all salts of the lineage share."""
        self._base = hashlib.blake2b(key=keys.salt, digest_size=16)
        self._base.update(origin.encode())

    def __call__(self, input_offset: int) -> bytes:
        """Return the salt of the record at this offset."""
        salted = self._base.copy()
        salted.update(input_offset.to_bytes(8, "big"))
        return salted.digest()


def add_to_fingerprint(
    fingerprint: int, keys: LineageKeys, items: Iterable[tuple[bytes, bytes]]
) -> int:
    """Return the fingerprint after adding (key, value) pairs; order does not matter.

    Sum modulo 2^128 of keyed BLAKE2b-128 over the 4-byte key length, key and value.
    """
    total = fingerprint
    for key, value in items:
        digest = hashlib.blake2b(
            len(key).to_bytes(4, "big") + key + value, key=keys.fingerprint, digest_size=16
        ).digest()
        total += int.from_bytes(digest, "big")
    return total % _MODULUS


class RecoveryTarget(NamedTuple):
    """What a partition's state must be when its offset is the committed one.

    `last_*` are leaf indexes of the last record written to that topic, -1 for none.
    """

    requests_topic_id: str
    changelog_topic_id: str
    sequence: int
    fingerprint: int
    tree_size: int
    root: bytes
    prev_input_offset: int
    control_sha256: bytes
    last_approved: int
    last_denied: int
    last_quarantine: int


class TargetInvalid(ValueError):
    """The text is not a recovery target of this lineage and secret."""


def encode_target(target: RecoveryTarget, keys: LineageKeys, origin: str) -> str:
    """Return the target as base64 text with its MAC; about 400 characters, at most 4,095."""
    body = b"".join(
        (
            _TARGET_MAGIC,
            _short(target.requests_topic_id),
            _short(target.changelog_topic_id),
            _TARGET_HEAD.pack(
                target.sequence,
                target.tree_size,
                target.prev_input_offset,
                target.last_approved,
                target.last_denied,
                target.last_quarantine,
            ),
            target.fingerprint.to_bytes(16, "big"),
            target.root,
            target.control_sha256,
        )
    )
    text = base64.b64encode(body + _mac(keys, origin, body)).decode("ascii")
    assert len(text) <= _TARGET_CHARS_MAX, "a recovery target fits into offset metadata"
    return text


def decode_target(text: str, keys: LineageKeys, origin: str) -> RecoveryTarget:
    """Return the target behind `text`.

    Raises `TargetInvalid` when it is no target, of another format, or its MAC is of another
    lineage or secret.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise TargetInvalid("recovery target is not base64") from error
    body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if not body.startswith(_TARGET_MAGIC):
        raise TargetInvalid("expected a recovery target of format 1, found another")
    if not hmac.compare_digest(mac, _mac(keys, origin, body)):
        raise TargetInvalid("recovery target was made with another lineage secret or origin")
    requests_topic_id, at = _read_short(body, len(_TARGET_MAGIC))
    changelog_topic_id, at = _read_short(body, at)
    sequence, size, previous, approved, denied, quarantine = _TARGET_HEAD.unpack_from(body, at)
    at += _TARGET_HEAD.size
    return RecoveryTarget(
        requests_topic_id=requests_topic_id,
        changelog_topic_id=changelog_topic_id,
        sequence=sequence,
        fingerprint=int.from_bytes(body[at : at + 16], "big"),
        tree_size=size,
        root=body[at + 16 : at + 48],
        prev_input_offset=previous,
        control_sha256=body[at + 48 : at + 80],
        last_approved=approved,
        last_denied=denied,
        last_quarantine=quarantine,
    )


def _mac(keys: LineageKeys, origin: str, body: bytes) -> bytes:
    bound = len(origin).to_bytes(4, "big") + origin.encode() + body
    return hashlib.blake2b(bound, key=keys.target, digest_size=_MAC_BYTES).digest()


def _short(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _read_short(body: bytes, at: int) -> tuple[str, int]:
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end].decode(), end
