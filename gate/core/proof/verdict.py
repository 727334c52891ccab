"""What a verification returns, and what it takes on trust.

There is no "warning, but valid": an answer is `Verified`, or `Refused` with one code.
"""

from enum import Enum
from typing import NamedTuple

from gate.core.proof.checkpoint import note_key_id
from gate.core.signature import PublicKey
from gate.core.trust import Pin, TrustRoot
from gate.core.values import Entry


class RefusalCode(Enum):
    """Why evidence does not count; one for each way of failing."""

    MALFORMED = "malformed"
    UNKNOWN_LOG = "unknown_log"
    BAD_PROOF_SHAPE = "bad_proof_shape"
    ROOT_MISMATCH = "root_mismatch"
    BAD_SIGNATURE = "bad_signature"
    NO_TRUSTED_SIGNATURE = "no_trusted_signature"
    KEY_REVOKED = "key_revoked"
    INCONSISTENT = "inconsistent"
    NOT_WITNESSED = "not_witnessed"
    UNKNOWN_SCHEMA = "unknown_schema"
    NOT_CANONICAL = "not_canonical"
    CONTRADICTION = "contradiction"
    POLICY_MISMATCH = "policy_mismatch"
    INPUT_MISMATCH = "input_mismatch"
    REPLAY_DIFFERS = "replay_differs"


class Status(Enum):
    """What vouches for the tree: a checkpoint key's signature, or a pin of the trust root."""

    SIGNED = "signed"
    PINNED = "pinned"


class Refused(NamedTuple):
    """The step (1 to 10, `verify`) that failed, its code, and what to tell people."""

    code: RefusalCode
    step: int
    text: str


class Verified(NamedTuple):
    """An entry that its lineage holds at `leaf_index`; act on `entry` alone.

    `tree_size` and `root` are those that are vouched for, `runtime` is what the gate said of itself
    under its signature (empty under a pin, which covers no such line). `trust_root_version` is
    `None` under a bare key. `re_decided`: deciding again gave the same bytes. `time` says how the
    entry's time is known; `claimed` is by the gate alone.
    """

    status: Status
    entry: Entry
    origin: str
    leaf_index: int
    tree_size: int
    root: bytes
    runtime: str
    trust_root_version: int | None
    re_decided: bool
    time: str = "claimed"


class Fork(NamedTuple):
    """Two trusted checkpoints of one lineage and size with different roots."""

    origin: str
    size: int
    roots: tuple[bytes, bytes]


class KeyTrust(NamedTuple):
    """Trust in one checkpoint key for one origin, or for those beginning with `log`.

    `log` is an exact origin, or a beginning that ends with `/`.
    """

    key: PublicKey
    log: str


Trust = KeyTrust | TrustRoot


class LogKeys(NamedTuple):
    """Who may vouch for one origin: keys under their note key ids, and pins."""

    active: tuple[tuple[bytes, PublicKey], ...]
    revoked: frozenset[bytes]
    pins: frozenset[Pin]


def log_keys(trust: Trust, origin: str) -> LogKeys | None:
    """Return who may vouch for the origin, `None` for a log that the trust does not know."""
    if isinstance(trust, KeyTrust):
        is_known = origin == trust.log or (trust.log.endswith("/") and origin.startswith(trust.log))
        if not is_known:
            return None
        named = (note_key_id(origin, trust.key.public), trust.key)
        return LogKeys((named,), frozenset(), frozenset())
    listed = [
        (note_key_id(origin, item.key.public), item) for item in trust.checkpoint_keys_of(origin)
    ]
    pins = frozenset(pin for pin in trust.pins if pin.origin == origin)
    if not listed and not pins:
        return None
    active = tuple((key_id, item.key) for key_id, item in listed if not item.is_revoked)
    revoked = frozenset(key_id for key_id, item in listed if item.is_revoked)
    return LogKeys(active, revoked, pins)
