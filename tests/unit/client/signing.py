"""A signer with a key from a number."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class DrawnSigner:
    """Implements `gate.ports.Signer`."""

    def __init__(self, number: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))

    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)
