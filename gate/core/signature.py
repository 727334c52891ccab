"""Ed25519 verification (RFC 8032, PureEdDSA) with keys that leave no room for dispute.

Promises: a key loads only if its 32 bytes are the canonical encoding of a point of prime order,
so low-order and mixed-order points, under which other libraries accept planted signatures or
disagree, never become a `PublicKey`; a signature is accepted only with S < L. Which points are
refused is computed, not looked up.

Leaves to others: whose key it is, and what the signed bytes mean.
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gate.core.values import KeyId

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]  # extended coordinates of RFC 8032 §5.1.4
_IDENTITY: _Point = (0, 1, 1, 0)


class PublicKeyInvalid(ValueError):
    """32 bytes that are not an acceptable Ed25519 public key; `str()` says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of prime order. Made by `load_public_key` only."""

    public: bytes
    key_id: KeyId = field(compare=False)
    _verifier: Ed25519PublicKey = field(repr=False, compare=False)

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` (64 bytes, S < L) is this key's over exactly `message`."""
        if len(signature) != SIGNATURE_BYTES:
            return False
        if int.from_bytes(signature[32:], "little") >= _L:
            return False
        try:
            self._verifier.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def key_id(public: bytes) -> KeyId:
    """Name a public key: the first 32 hexadecimal digits of the SHA-256 of its bytes."""
    return KeyId(hashlib.sha256(public).hexdigest()[:32])


@lru_cache(maxsize=4096)
def load_public_key(public: bytes) -> PublicKey:
    """Return the key of 32 bytes; about 1 ms at first, then remembered.

    Raises `PublicKeyInvalid` unless they decode (RFC 8032 §5.1.3) canonically to a point P that
    is not the identity and for which [L]P is the identity.
    """
    if len(public) != PUBLIC_KEY_BYTES:
        raise PublicKeyInvalid(f"expected 32 bytes of public key, got {len(public)}")
    point = _decode(public)
    if point[0] == 0 and point[1] == point[2]:
        raise PublicKeyInvalid("public key is the identity: make another key pair")
    if not _is_identity(_times_order(point)):
        raise PublicKeyInvalid("public key is of low or mixed order: make another key pair")
    return PublicKey(public, key_id(public), Ed25519PublicKey.from_public_bytes(public))


def _decode(public: bytes) -> _Point:
    number = int.from_bytes(public, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        raise PublicKeyInvalid("public key is not canonically encoded: make another key pair")
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == -u % _P:
        x = x * _SQRT_MINUS_ONE % _P
    if v * x * x % _P != u:
        raise PublicKeyInvalid("public key is not a point of the curve")
    if x == 0 and sign:
        raise PublicKeyInvalid("public key is not canonically encoded: make another key pair")
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _times_order(point: _Point) -> _Point:
    result = _IDENTITY
    for bit in f"{_L:b}":
        result = _add(result, result)
        if bit == "1":
            result = _add(result, point)
    return result


def _add(a: _Point, b: _Point) -> _Point:
    """Add two points by the complete formula of RFC 8032 §5.1.4."""
    e_minus = (a[1] - a[0]) * (b[1] - b[0]) % _P
    e_plus = (a[1] + a[0]) * (b[1] + b[0]) % _P
    c = 2 * a[3] * b[3] * _D % _P
    d = 2 * a[2] * b[2] % _P
    e, f, g, h = e_plus - e_minus, d - c, d + c, e_plus + e_minus
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _is_identity(point: _Point) -> bool:
    return point[0] == 0 and point[1] == point[2]
