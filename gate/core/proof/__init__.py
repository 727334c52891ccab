"""Proof: the Merkle tree, checkpoints, evidence and their verification; stands alone."""
