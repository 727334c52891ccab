"""Which partition a record key belongs to, and the digest that stands for an input record.

Partition placement must be the one of the Java client's default partitioner, else a key could be
taken once in each of two partitions.
"""

from functools import lru_cache
from hashlib import sha256
from struct import Struct

_MULTIPLIER = 0x5BD1E995
_SEED = 0x9747B28C
_WORD = 0xFFFF_FFFF
_NO_KEY = b"\xff\xff\xff\xff"


def murmur2(key: bytes) -> int:
    """Return the 32-bit hash, unsigned; bits as `org.apache.kafka.common.utils.Utils.murmur2`."""
    length = len(key)
    hashed = _SEED ^ length
    aligned = length & ~3
    for part in _words(length >> 2).unpack_from(key):
        word = part * _MULTIPLIER & _WORD
        hashed = (hashed * _MULTIPLIER & _WORD) ^ ((word ^ word >> 24) * _MULTIPLIER & _WORD)
    if aligned < length:
        hashed ^= int.from_bytes(key[aligned:], "little")
        hashed = hashed * _MULTIPLIER & _WORD
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _WORD
    return hashed ^ hashed >> 15


@lru_cache(maxsize=256)
def _words(count: int) -> Struct:
    return Struct(f"<{count}I")


def partition_of(key: bytes, count: int) -> int:
    """Return the partition of a record key among `count`, as the Java client places it."""
    return (murmur2(key) & 0x7FFF_FFFF) % count


def input_sha256(key: bytes | None, value: bytes | None) -> bytes:
    """Digest an input record: 4-byte big-endian key length (`FFFFFFFF` for none), key, value.

    An absent value counts as an empty one.
    """
    head = _NO_KEY if key is None else len(key).to_bytes(4, "big") + key
    return sha256(head + (value or b"")).digest()
