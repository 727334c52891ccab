"""The Merkle tree of RFC 6962 / RFC 9162 over SHA-256: append, inclusion, consistency.

Promises: roots, frontiers and proofs depend on the sequence of leaves only, never on how it was
cut into batches; a batch is appended with all its inclusion paths and the consistency proof in
one pass over the frontier, about one hash and two concatenations a leaf.
Proofs are hashes of 32 bytes, concatenated in the order of the RFC (leaf to root).

Leaves to others: what a leaf is, who signs a root.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
PATH_HASHES_MAX = 63
SIZE_MAX = (1 << 63) - 1
EMPTY_ROOT = sha256(b"").digest()


class Frontier(NamedTuple):
    """What must be kept of a tree to append: one hash per set bit of its size, largest first."""

    size: int
    hashes: tuple[bytes, ...]


class Appended(NamedTuple):
    """A batch appended: the tree after it, and what proves it.

    `paths` has one inclusion path per leaf of the batch, `consistency` leads from the tree before
    to `root` (empty when the tree before was empty or nothing was appended).
    """

    frontier: Frontier
    root: bytes
    paths: list[bytes]
    consistency: bytes


EMPTY = Frontier(0, ())


def leaf_hash(entry: bytes) -> bytes:
    """Return SHA-256(00 ‖ entry) (RFC 9162 §2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def frontier_bytes(frontier: Frontier) -> bytes:
    """Return the frontier's hashes concatenated; `read_frontier` with the size is the inverse."""
    return b"".join(frontier.hashes)


def read_frontier(size: int, data: bytes) -> Frontier | None:
    """Return the frontier of a tree of `size` leaves, `None` unless `data` has just its hashes."""
    if not 0 <= size <= SIZE_MAX or len(data) != size.bit_count() * HASH_BYTES:
        return None
    return Frontier(size, tuple(_split(data)))


def root(frontier: Frontier) -> bytes:
    """Return the root hash (RFC 9162 §2.1.1); `EMPTY_ROOT` for no leaves."""
    if not frontier.hashes:
        return EMPTY_ROOT
    result = frontier.hashes[-1]
    for left in frontier.hashes[-2::-1]:
        result = sha256(b"\x01" + left + result).digest()
    return result


def append(frontier: Frontier, leaf_hashes: Sequence[bytes]) -> Appended:
    """Append leaves, given by their hashes, and prove each of them in the tree after the last.

    The tree before is left as it was; adopting the tree after is the caller's act.
    """
    if not leaf_hashes:
        return Appended(frontier, root(frontier), [], b"")
    old_size, size = frontier.size, frontier.size + len(leaf_hashes)
    levels = _levels(frontier, leaf_hashes)
    hashes = tuple(
        levels[level][(size >> level) - 1 - (old_size >> level) + (old_size >> level & 1)]
        for level in range(size.bit_length() - 1, -1, -1)
        if size >> level & 1
    )
    # The old tree's smallest complete subtree stands first on its level (`_levels` put it there);
    # its path, after itself unless it is the whole old tree, is the proof of RFC 9162 §2.1.4.1.
    proven_level = (old_size & -old_size).bit_length() - 1
    consistency = b""
    paths = [b""]
    for level in range(len(levels) - 2, -1, -1):
        paths = _paths_below(levels[level], paths)
        if level == proven_level:
            first = b"" if old_size & (old_size - 1) == 0 else levels[level][0]
            consistency = first + paths[0]
    if old_size & 1:
        del paths[0]
    return Appended(Frontier(size, hashes), levels[-1][0], paths, consistency)


def root_from_path(leaf: bytes, index: int, size: int, path: bytes) -> bytes | None:
    """Return the root that `path` leads to from the leaf hash at `index` in a tree of `size`.

    `None` unless 0 ≤ index < size, the leaf hash has 32 bytes, and the path has exactly the
    length that these imply (RFC 9162 §2.1.3.2, in the two-part form without a loop over the size).
    """
    if not 0 <= index < size <= SIZE_MAX or len(leaf) != HASH_BYTES:
        return None
    inner = (index ^ (size - 1)).bit_length()
    if len(path) != (inner + (index >> inner).bit_count()) * HASH_BYTES:
        return None
    result = leaf
    position = 0
    for _ in range(inner):
        sibling = path[position : position + 32]
        if index & 1:
            result = sha256(b"\x01" + sibling + result).digest()
        else:
            result = sha256(b"\x01" + result + sibling).digest()
        index >>= 1
        position += 32
    for start in range(position, len(path), 32):
        result = sha256(b"\x01" + path[start : start + 32] + result).digest()
    return result


def verify_inclusion(leaf: bytes, index: int, size: int, path: bytes, root_hash: bytes) -> bool:
    """Tell whether `path` proves the leaf hash at `index` in the tree of `size` and root."""
    return root_from_path(leaf, index, size, path) == root_hash


def verify_consistency(
    old_size: int, old_root: bytes, size: int, root_hash: bytes, proof: bytes
) -> bool:
    """Tell whether `proof` shows the old tree to be the beginning of the other one.

    RFC 9162 §2.1.4.2. An old size of 0 is refused: it would prove nothing. Equal sizes need equal
    roots and an empty proof.
    """
    if not 0 < old_size <= size <= SIZE_MAX:
        return False
    if old_size == size:
        return proof == b"" and old_root == root_hash
    shift = (old_size & -old_size).bit_length() - 1
    mask = (old_size - 1) >> shift
    inner = ((old_size - 1) ^ (size - 1)).bit_length() - shift
    is_whole = old_size == 1 << shift
    count = (0 if is_whole else 1) + inner + (mask >> inner).bit_count()
    if len(proof) != count * HASH_BYTES:
        return False
    hashes = _split(proof)
    if is_whole:
        hashes.insert(0, old_root)
    old = new = hashes[0]
    for level, sibling in enumerate(hashes[1:]):
        if level >= inner or mask >> level & 1:
            old = sha256(b"\x01" + sibling + old).digest()
            new = sha256(b"\x01" + sibling + new).digest()
        else:
            new = sha256(b"\x01" + new + sibling).digest()
    return old == old_root and new == root_hash


def _levels(frontier: Frontier, leaf_hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Return the nodes that the batch touches, from the leaves to the root.

    Each level begins at an even index: where the first touched index is odd, the frontier's hash
    of that level stands before it. A last node without a partner is promoted unchanged.
    """
    remaining = list(frontier.hashes)
    start = frontier.size
    nodes = list(leaf_hashes)
    levels = []
    while True:
        if start & 1:
            nodes.insert(0, remaining.pop())
        levels.append(nodes)
        start >>= 1
        if start == 0 and len(nodes) == 1:
            return levels
        parents = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(nodes[0::2], nodes[1::2], strict=False)
        ]
        if len(nodes) & 1:
            parents.append(nodes[-1])
        nodes = parents


def _paths_below(nodes: list[bytes], parent_paths: list[bytes]) -> list[bytes]:
    """Return each node's path, given its parents' paths.

    The parents may have the frontier's hash before them, which is the parent of none of `nodes`.
    """
    count = len(nodes)
    parents = parent_paths[-((count + 1) >> 1) :]
    paths = [b""] * count
    paths[0::2] = [
        right + path for right, path in zip(nodes[1::2], parents, strict=False)
    ] + parents[count >> 1 :]
    paths[1::2] = [
        left + path for left, path in zip(nodes[0 : count - 1 : 2], parents, strict=False)
    ]
    return paths


def _split(data: bytes) -> list[bytes]:
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]
