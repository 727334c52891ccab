"""Trust roots: which keys may do what, threshold-signed by offline root keys.

Format and rules: `payload` and `design/decision.md` §4. Values and lookups: `root`. Signatures
and succession: `chain`.
"""

from gate.core.trust.chain import (
    signed_by,
    verify_after_gap,
    verify_first,
    verify_next,
    vouched_by,
)
from gate.core.trust.payload import FORMAT, TrustRootInvalid, read_trust_root
from gate.core.trust.root import (
    Authority,
    CheckpointKey,
    KeyRefusal,
    Pin,
    RoleKey,
    Scope,
    TrustRoot,
)

__all__ = [
    "FORMAT",
    "Authority",
    "CheckpointKey",
    "KeyRefusal",
    "Pin",
    "RoleKey",
    "Scope",
    "TrustRoot",
    "TrustRootInvalid",
    "read_trust_root",
    "signed_by",
    "verify_after_gap",
    "verify_first",
    "verify_next",
    "vouched_by",
]
