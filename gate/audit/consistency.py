"""A consistency proof over many leaves, from a stream of their hashes.

`merkle.append` gives the proof of one batch and keeps all inclusion paths of it; over a whole
lineage those would not fit. Here memory is one chunk of hashes.
"""

from collections.abc import Iterator
from itertools import islice

from gate.core.proof.merkle import EMPTY, Frontier, append, root

_CHUNK = 1_000


class LeavesMissing(ValueError):
    """The stream ended before the tree was complete."""


def consistency_proof(before: Frontier, leaf_hashes: Iterator[bytes], size: int) -> bytes:
    """Return the proof (RFC 9162 §2.1.4.1) that a tree of `size` leaves continues `before`.

    `leaf_hashes` begins with the leaf at index `before.size`, which is at least 1 and at most
    `size`. Raises `LeavesMissing` if it is too short.
    """
    assert 0 < before.size <= size, "a proof begins with a tree that has leaves"
    if before.size == size:
        return b""
    lefts = list(before.hashes)
    smallest = lefts.pop()
    level = (before.size & -before.size).bit_length() - 1
    index = (before.size >> level) - 1
    proof = [] if before.size == 1 << level else [smallest]
    end = before.size
    # The node of the smallest complete subtree, which ends where the old tree ends, goes up to
    # the root: left siblings are the old tree's, each right one covers the leaves that follow.
    while index or end < size:
        if index & 1:
            proof.append(lefts.pop())
        elif end < size:
            width = min(1 << level, size - end)
            proof.append(_subtree(leaf_hashes, width))
            end += width
        index >>= 1
        level += 1
    return b"".join(proof)


def _subtree(leaf_hashes: Iterator[bytes], count: int) -> bytes:
    frontier = EMPTY
    while frontier.size < count:
        wanted = min(_CHUNK, count - frontier.size)
        chunk = list(islice(leaf_hashes, wanted))
        if len(chunk) < wanted:
            raise LeavesMissing(f"expected {count} leaf hashes, found {frontier.size + len(chunk)}")
        frontier = append(frontier, chunk).frontier
    return root(frontier)
