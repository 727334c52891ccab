from hashlib import sha256

import pytest

from gate.core.proof import merkle

LEAVES = [merkle.leaf_hash(b"%d" % index) for index in range(7)]


def test_the_empty_tree_has_the_digest_of_nothing():
    assert merkle.root(merkle.EMPTY) == merkle.EMPTY_ROOT == sha256(b"").digest()


def test_leaves_and_nodes_are_hashed_under_different_prefixes():
    assert merkle.leaf_hash(b"x") == sha256(b"\x00x").digest()
    pair = merkle.append(merkle.EMPTY, LEAVES[:2])
    assert pair.root == sha256(b"\x01" + LEAVES[0] + LEAVES[1]).digest()
    assert pair.paths == [LEAVES[1], LEAVES[0]]


def test_appending_nothing_changes_nothing():
    before = merkle.append(merkle.EMPTY, LEAVES[:5])
    assert merkle.append(before.frontier, []) == (before.frontier, before.root, [], b"")
    assert merkle.append(merkle.EMPTY, []) == (merkle.EMPTY, merkle.EMPTY_ROOT, [], b"")


def test_appending_leaves_the_tree_before_as_it_was():
    before = merkle.append(merkle.EMPTY, LEAVES[:5]).frontier
    copy = merkle.Frontier(before.size, tuple(before.hashes))
    merkle.append(before, LEAVES[5:])
    assert before == copy


@pytest.mark.parametrize(
    ("size", "data"),
    [(-1, b""), (0, bytes(32)), (3, bytes(32)), (3, bytes(65)), (1 << 63, bytes(32))],
)
def test_a_frontier_has_one_hash_for_each_bit_of_its_size(size, data):
    assert merkle.read_frontier(size, data) is None


def test_a_leaf_hash_of_another_length_proves_nothing():
    assert merkle.root_from_path(b"", 0, 1, b"") is None
    assert merkle.root_from_path(LEAVES[0], 0, 1, b"") == LEAVES[0]


def test_the_largest_tree_has_paths_of_63_hashes():
    path = bytes(32 * merkle.PATH_HASHES_MAX)
    assert merkle.root_from_path(LEAVES[0], 0, merkle.SIZE_MAX, path) is not None
    assert merkle.root_from_path(LEAVES[0], 0, merkle.SIZE_MAX + 1, path) is None
