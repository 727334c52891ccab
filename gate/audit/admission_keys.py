"""Which admission keys were approved twice, over all partitions of a gate.

Kept in memory: 16 bytes a key, its state key (SHA-256, cut). Two approvals with one state key are
found here; which ones they are, is found by reading the approved topics a second time, which
happens only when there is something to name.
"""

import hashlib

STATE_KEY_BYTES = 16
_BUCKETS = 256


def state_key(admission_key: bytes) -> bytes:
    """Return the 16 bytes that stand for an admission key (`design/README.md` §4)."""
    return hashlib.sha256(admission_key).digest()[:STATE_KEY_BYTES]


class ApprovedKeys:
    """Every approval's state key, in buckets by first byte."""

    def __init__(self, *, is_recorded: bool = False, kept: bytes = b"") -> None:
        """Begin with keys that were `kept`. `is_recorded`: `take_added` will be asked."""
        self._buckets = [bytearray() for _ in range(_BUCKETS)]
        self._added = bytearray()
        self._is_recorded = False
        for start in range(0, len(kept), STATE_KEY_BYTES):
            self.add(kept[start : start + STATE_KEY_BYTES])
        self._is_recorded = is_recorded

    def add(self, key: bytes) -> None:
        """Count one approval."""
        self._buckets[key[0]] += key
        if self._is_recorded:
            self._added += key

    def take_added(self) -> bytes:
        """Return the keys that were added since the last time."""
        added, self._added = bytes(self._added), bytearray()
        return added

    def __len__(self) -> int:
        """Return the number of approvals counted."""
        return sum(len(bucket) for bucket in self._buckets) // STATE_KEY_BYTES

    def count(self, keys: frozenset[bytes]) -> int:
        """Return how many approvals were of one of these state keys."""
        counted = 0
        for bucket in {key[0] for key in keys}:
            data = self._buckets[bucket]
            counted += sum(
                bytes(data[start : start + STATE_KEY_BYTES]) in keys
                for start in range(0, len(data), STATE_KEY_BYTES)
            )
        return counted

    def repeated(self) -> frozenset[bytes]:
        """Return the state keys that were approved more than once."""
        repeated = set()
        for bucket in self._buckets:
            seen = set()
            for start in range(0, len(bucket), STATE_KEY_BYTES):
                key = bytes(bucket[start : start + STATE_KEY_BYTES])
                if key in seen:
                    repeated.add(key)
                seen.add(key)
        return frozenset(repeated)
