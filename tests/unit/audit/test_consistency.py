"""The streamed consistency proof is the tree's own, at every pair of sizes."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.audit.consistency import LeavesMissing, consistency_proof
from gate.core.proof.merkle import EMPTY, append, verify_consistency

HASHES = [sha256(number.to_bytes(4, "big")).digest() for number in range(3_000)]


def test_all_pairs_of_small_sizes() -> None:
    for old in range(1, 34):
        before = append(EMPTY, HASHES[:old])
        for size in range(old, 67):
            after = append(before.frontier, HASHES[old:size])
            proof = consistency_proof(before.frontier, iter(HASHES[old:]), size)
            assert proof == after.consistency
            assert verify_consistency(old, before.root, size, after.root, proof)


@given(sizes=st.tuples(st.integers(1, 3_000), st.integers(1, 3_000)).map(sorted))
def test_pairs_of_any_sizes(sizes: list[int]) -> None:
    old, size = sizes
    before = append(EMPTY, HASHES[:old]).frontier
    proof = consistency_proof(before, iter(HASHES[old:]), size)
    assert proof == append(before, HASHES[old:size]).consistency


def test_too_few_leaves_are_said() -> None:
    before = append(EMPTY, HASHES[:5]).frontier
    with pytest.raises(LeavesMissing, match="found"):
        consistency_proof(before, iter(HASHES[5:9]), 10)
