"""Decide: pure functions of values; the policy decision point.

May touch its arguments only: no I/O, clock, randomness, environment, logging, floats, and no loop
over an unsorted set. `cryptography` only in `signature`, the CEL engine only in `policy.engine`.
"""
