"""Laws of the tree, against the recursive definitions of RFC 9162 written out here."""

from hashlib import sha256
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gate.core.proof import merkle

LEAVES = st.integers(0, 70).map(lambda count: [merkle.leaf_hash(b"%d" % i) for i in range(count)])


def split_of(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def root_of(leaves):
    """RFC 9162 §2.1.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = split_of(len(leaves))
    return sha256(b"\x01" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def path_of(index, leaves):
    """RFC 9162 §2.1.3.1."""
    if len(leaves) == 1:
        return b""
    half = split_of(len(leaves))
    if index < half:
        return path_of(index, leaves[:half]) + root_of(leaves[half:])
    return path_of(index - half, leaves[half:]) + root_of(leaves[:half])


def consistency_of(old_size, leaves, *, is_whole=True):
    """RFC 9162 §2.1.4.1."""
    if old_size == len(leaves):
        return b"" if is_whole else root_of(leaves)
    half = split_of(len(leaves))
    if old_size <= half:
        return consistency_of(old_size, leaves[:half], is_whole=is_whole) + root_of(leaves[half:])
    return consistency_of(old_size - half, leaves[half:], is_whole=False) + root_of(leaves[:half])


def cut(leaves, cuts):
    edges = sorted({0, len(leaves), *(cut % (len(leaves) + 1) for cut in cuts)})
    return [leaves[start:end] for start, end in pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(LEAVES, st.lists(st.integers(0, 1000), max_size=6))
def test_roots_paths_and_proofs_are_those_of_the_rfc_however_batches_are_cut(leaves, cuts):
    frontier, done = merkle.EMPTY, []
    for batch in cut(leaves, cuts):
        before = len(done)
        appended = merkle.append(frontier, batch)
        done += batch
        assert appended.root == root_of(done) == merkle.root(appended.frontier)
        expected = [path_of(index, done) for index in range(before, len(done))]
        assert appended.paths == expected
        if before:
            assert appended.consistency == consistency_of(before, done)
        frontier = appended.frontier
    assert frontier == merkle.append(merkle.EMPTY, leaves).frontier
    assert merkle.read_frontier(len(leaves), merkle.frontier_bytes(frontier)) == frontier


@settings(max_examples=100, deadline=None)
@given(LEAVES.filter(bool), st.data())
def test_a_path_proves_its_leaf_at_its_index_and_nothing_else(leaves, data):
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    path, root = path_of(index, leaves), root_of(leaves)
    proof = (leaves[index], index, size, path, root)
    assert merkle.verify_inclusion(*proof)
    for other in range(size):
        if other != index:
            assert not merkle.verify_inclusion(leaves[index], other, size, path, root)
    for wrong in (path[:-1], path[:-32], path + bytes(32), path + b"\0"):
        if wrong != path:
            assert merkle.root_from_path(leaves[index], index, size, wrong) is None
    for outside in (-1, size):
        assert not merkle.verify_inclusion(leaves[index], outside, size, path, root)


@settings(max_examples=100, deadline=None)
@given(LEAVES.filter(bool), st.data())
def test_a_consistency_proof_leads_from_its_tree_to_its_tree_only(leaves, data):
    size = len(leaves)
    old_size = data.draw(st.integers(1, size))
    old_root, root = root_of(leaves[:old_size]), root_of(leaves)
    proof = consistency_of(old_size, leaves)
    assert merkle.verify_consistency(old_size, old_root, size, root, proof)
    assert not merkle.verify_consistency(0, merkle.EMPTY_ROOT, size, root, proof)
    assert not merkle.verify_consistency(size + 1, old_root, size, root, proof)
    assert not merkle.verify_consistency(old_size, old_root, size, root, proof + bytes(32))
    assert not merkle.verify_consistency(old_size, bytes(32), size, root, proof)
    assert not merkle.verify_consistency(old_size, old_root, size, bytes(32), proof)
    if proof:
        bit = data.draw(st.integers(0, len(proof) * 8 - 1))
        flipped = bytearray(proof)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not merkle.verify_consistency(old_size, old_root, size, root, bytes(flipped))


def test_every_pair_of_sizes_is_consistent_as_the_rfc_says():
    leaves = [merkle.leaf_hash(b"%d" % i) for i in range(80)]
    for old_size in range(1, 80):
        old = merkle.append(merkle.EMPTY, leaves[:old_size])
        for size in range(old_size + 1, 81):
            grown = merkle.append(old.frontier, leaves[old_size:size])
            assert grown.consistency == consistency_of(old_size, leaves[:size])
            assert merkle.verify_consistency(
                old_size, old.root, size, grown.root, grown.consistency
            )
