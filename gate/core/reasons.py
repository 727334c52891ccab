"""Reason codes and phases: the closed lists of `design/bad-input.md` §1.

A code is an index into the enum of the entry schema and is never reused.
"""

from enum import IntEnum
from typing import NamedTuple


class Phase(IntEnum):
    """The stage of the evaluation at which something was found; schema order."""

    __hash__ = int.__hash__  # the enum's own is a Python function that hashes the name

    CONTROL = 0
    DECODE = 1
    POLICY = 2
    ADMIT = 3
    VERIFY = 4
    REPLAY = 5
    EVALUATE = 6
    ENCODE = 7
    NONE = 8


class Code(IntEnum):
    """What was found; schema order. The first symbol denies."""

    __hash__ = int.__hash__  # the enum's own is a Python function that hashes the name

    CONTROL_REJECTED = 0
    EMPTY = 1
    TOO_LARGE = 2
    FRAMING_UNKNOWN = 3
    SCHEMA_UNKNOWN = 4
    MALFORMED = 5
    LIMIT_EXCEEDED = 6
    INVALID_FIELD = 7
    WRONG_AUDIENCE = 8
    NO_POLICY = 9
    POLICY_NOT_YET_VALID = 10
    POLICY_EXPIRED = 11
    TRUST_ROOT_EXPIRED = 12
    PARAMETER_MISSING = 13
    PARAMETER_INVALID = 14
    PARAMETER_UNDECLARED = 15
    RESOURCE_MISMATCH = 16
    MISROUTED = 17
    STALE = 18
    FROM_FUTURE = 19
    EXPIRED = 20
    SIGNATURE_MISSING = 21
    SIGNATURE_INVALID = 22
    IDENTITY_UNKNOWN = 23
    IDENTITY_REVOKED = 24
    REPLAYED = 25
    REPLAY_CONFLICT = 26
    SIGNAL_MISSING = 27
    SIGNAL_INVALID = 28
    SIGNAL_UNTRUSTED = 29
    SIGNAL_STALE = 30
    SIGNAL_OUT_OF_BOUNDS = 31
    SIGNAL_WRONG_SUBJECT = 32
    SIGNAL_AMBIGUOUS = 33
    POLICY_ERROR = 34
    FORBIDDEN = 35
    APPROVAL_REQUIRED = 36
    APPROVAL_INVALID = 37
    NO_PERMIT = 38
    MORE_REASONS = 39
    APPROVED = 40


class Reason(NamedTuple):
    """One reason of a decision.

    `rule` and `field` name the culprit, `message` is the rule's own sentence; each may be empty.
    """

    code: Code
    phase: Phase
    rule: str = ""
    field: str = ""
    message: str = ""
