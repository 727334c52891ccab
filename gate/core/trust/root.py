"""A trust root as a value: roles, keys, scopes, and the lookups on them.

Promises: lookups cost O(1) in the number of keys, except those of threshold roles and checkpoint
keys, which are asked once a control record or note and walk their few keys; a revoked key never
counts; two keys of one holder count once.

Leaves to others: where the value comes from (`payload`), who signed it (`chain`), and expiry
(time is the caller's).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from gate.core.signature import PublicKey
from gate.core.values import KeyId


class KeyRefusal(Enum):
    """Why a key does not count."""

    UNKNOWN = "unknown"
    REVOKED = "revoked"


class Authority(NamedTuple):
    """Keys of which `threshold` distinct holders must sign together."""

    keys: Mapping[KeyId, PublicKey]
    holders: Mapping[KeyId, str]
    threshold: int


class Scope(NamedTuple):
    """Names that a key is good for: exact ones, and all that begin in a stated way."""

    names: frozenset[str]
    prefixes: tuple[str, ...]

    def covers(self, name: str) -> bool:
        """Tell whether the key is good for `name`."""
        return name in self.names or name.startswith(self.prefixes)


class RoleKey(NamedTuple):
    """One key of a role; `name` is the issuer's or approvers' role name, else empty.

    `scopes` are in the order of `payload.SCOPES`.
    """

    key: PublicKey
    holder: str
    is_revoked: bool
    name: str
    scopes: tuple[Scope, ...]


class CheckpointKey(NamedTuple):
    """A key that signs checkpoints of the origins that begin with one of `origins`."""

    key: PublicKey
    origins: tuple[str, ...]
    is_revoked: bool


class Pin(NamedTuple):
    """A tree that the root keys vouch for."""

    origin: str
    size: int
    root: bytes


Keys = Mapping[KeyId, RoleKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRoot:
    """A sound trust root; whether it is signed, current or expired is not said by its type.

    `previous_sha256` is `None` exactly in version 1. `sha256` is over the payload.
    """

    domain: str
    version: int
    previous_sha256: bytes | None
    issued_ms: int
    expires_ms: int
    root: Authority
    checkpoint_keys: tuple[CheckpointKey, ...]
    pins: frozenset[Pin]
    roles: Mapping[str, Keys]
    thresholds: Mapping[str, int]
    sha256: bytes

    def requester_key(self, key_id: str, actor: str) -> PublicKey | KeyRefusal:
        """Return the key that may sign requests as `actor`, or why there is none."""
        return _single(self.roles["requester"].get(KeyId(key_id)), "", actor)

    def issuer_key(self, key_id: str, issuer: str, signal: str) -> PublicKey | KeyRefusal:
        """Return the issuer's key that may state `signal`, or why there is none."""
        return _single(self.roles["signal_issuer"].get(KeyId(key_id)), issuer, signal)

    def author_keys(self, policy_id: str) -> Authority:
        """Return who signs bundles of the policy."""
        return self._authority("policy_author", (policy_id,))

    def activator_keys(self, policy_id: str, gate: str) -> Authority:
        """Return who signs activations of the policy at the gate."""
        return self._authority("policy_activator", (policy_id, gate))

    def operator_keys(self, gate: str) -> Authority:
        """Return who signs orders to the gate."""
        return self._authority("operator", (gate,))

    def checkpoint_keys_of(self, origin: str) -> tuple[CheckpointKey, ...]:
        """Return the checkpoint keys listed for the origin, revoked ones too."""
        return tuple(item for item in self.checkpoint_keys if origin.startswith(item.origins))

    def checkpoint_key(self, public: bytes, origin: str) -> PublicKey | KeyRefusal:
        """Return the key of these 32 bytes if it may sign the origin's checkpoints."""
        for item in self.checkpoint_keys_of(origin):
            if item.key.public == public:
                return KeyRefusal.REVOKED if item.is_revoked else item.key
        return KeyRefusal.UNKNOWN

    def _authority(self, role: str, names: tuple[str, ...]) -> Authority:
        chosen = {
            key_id: item
            for key_id, item in self.roles[role].items()
            if not item.is_revoked
            and all(scope.covers(name) for scope, name in zip(item.scopes, names, strict=True))
        }
        return Authority(
            {key_id: item.key for key_id, item in chosen.items()},
            {key_id: item.holder for key_id, item in chosen.items()},
            self.thresholds[role],
        )


def _single(item: RoleKey | None, name: str, scoped: str) -> PublicKey | KeyRefusal:
    if item is None or item.name != name or not item.scopes[0].covers(scoped):
        return KeyRefusal.UNKNOWN
    return KeyRefusal.REVOKED if item.is_revoked else item.key
