"""Names that a policy may use, and the bounds of its lists and texts.

All patterns are ASCII and matched whole. Nothing an author writes is ever used as a pattern.
"""

import re
from typing import Final

from gate.core import limits

INPUTS_MAX: Final = 64  # of each kind: parameters, signals
VARIABLES_MAX: Final = 32
RULES_MAX: Final = 128
CONSTRAINTS_MAX: Final = 32
GOVERNS_MAX: Final = 64
KEY_PARTS_MAX: Final = 8
ISSUERS_MAX: Final = 16
ENUM_VALUES_MAX: Final = 64
LIST_ITEMS_MAX: Final = 64
APPROVERS_MAX: Final = 16
EXPRESSION_BYTES_MAX: Final = 4 * 1024
MESSAGE_BYTES_MAX: Final = 1024
TEXT_BYTES_MAX: Final = limits.STRING_BYTES_MAX
IDENTIFIER_BYTES_MAX: Final = limits.IDENTIFIER_BYTES_MAX

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
TIME_MS_MIN: Final = -30_610_224_000_000  # 1000-01-01T00:00:00Z: the engine errs at 0001-01-01
TIME_MS_MAX: Final = 253_402_300_799_999  # the last millisecond of 9999, CEL's last
DURATION_MS_MAX: Final = 100 * 366 * 86_400_000  # the engine is inexact beyond 292 years

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""A parameter, a signal, a variable, a constraint."""
RULE_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""A policy, a rule, a key space."""
ACTION: Final = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*")
VERSION: Final = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2}")
DOMAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
DECIMAL: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
UNIT: Final = re.compile(r"[A-Za-z%][A-Za-z0-9%/_-]{0,15}")
HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")
CEL_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
"""A macro's variable."""

ROOTS: Final = frozenset({"request", "signal", "variables", "actor", "action", "resource", "now"})
"""First words of every name that an expression may use; no macro variable may hide one."""

_CEL_WORDS = (
    "as break const continue else false for function if import in let loop namespace null package "
    "return true var void while"
)
_MEANING_WORDS = (
    "actor action approved approval approvals attestation attestations constraint constraints "
    "decision denied gate key now outcome policy reason reasons request resource rule rules signal "
    "signals valid_for variable variables"
)
RESERVED: Final = frozenset(f"{_CEL_WORDS} {_MEANING_WORDS}".split())
"""Words that no input, variable or constraint may be called: they mean something already."""
