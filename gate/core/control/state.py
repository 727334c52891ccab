"""Control state: what the input itself has put in force in one partition.

Genesis, the trust root, the policy in force for each action, and the key space of each action,
which outlives every policy. It changes only by control records in the input, so its position is
part of history (P7). `design/decision.md` §4, `design/policy.md` §3.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gate.core import jcs
from gate.core.policy.bundle import Bundle, parse_bundle
from gate.core.policy.compiled import Policy, compile_policy
from gate.core.policy.declaration import (
    BoolType,
    BytesType,
    DateType,
    EnumType,
    IntType,
    ListType,
    StringType,
    TimestampType,
)
from gate.core.trust import TrustRoot
from gate.core.values import Genesis, Value
from gate.core.wire.entry import encode_genesis


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyHistory:
    """What is remembered of one policy id, for ever."""

    activation_sequence: int
    policy_sequence: int
    version: str
    digest: bytes
    envelope_sha256: bytes
    authors: frozenset[str]
    """Holders who signed the bundle; none of them may activate or withdraw it."""
    is_enforced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlState:
    """What is in force in one partition. Made by `begin`, `restore` and `judge_control` only."""

    genesis: Genesis
    genesis_sha256: bytes
    trust_root: TrustRoot
    root_envelope_sha256: bytes
    policies: Mapping[str, PolicyHistory] = field(default_factory=dict)
    in_force: Mapping[str, Policy] = field(default_factory=dict)
    """Compiled policy by policy id."""
    key_spaces: Mapping[str, bytes] = field(default_factory=dict)
    """Canonical key declaration by action."""

    def by_action(self) -> dict[str, Policy]:
        """Return the policy in force for each governed action."""
        return {
            action: policy for policy in self.in_force.values() for action in policy.bundle.governs
        }

    def sha256(self) -> bytes:
        """Return the digest that the recovery target carries."""
        summary = {
            "genesis": self.genesis_sha256.hex(),
            "root": self.root_envelope_sha256.hex(),
            "policies": {
                policy_id: [
                    str(history.activation_sequence),
                    str(history.policy_sequence),
                    history.version,
                    sorted(history.authors),
                    history.digest.hex(),
                    history.envelope_sha256.hex(),
                    history.is_enforced,
                ]
                for policy_id, history in self.policies.items()
            },
            "key_spaces": {action: key.decode() for action, key in self.key_spaces.items()},
        }
        return hashlib.sha256(jcs.canonical(summary)).digest()


def begin(genesis: Genesis, root: TrustRoot, root_envelope: bytes) -> ControlState:
    """Return the control state of a lineage that has only its Genesis."""
    return ControlState(
        genesis=genesis,
        genesis_sha256=hashlib.sha256(encode_genesis(genesis)).digest(),
        trust_root=root,
        root_envelope_sha256=hashlib.sha256(root_envelope).digest(),
    )


def initial_parts(
    genesis: Genesis, root: TrustRoot, root_envelope: bytes
) -> tuple[tuple[bytes, bytes], ...]:
    """Return the changelog parts that `init-lineage` writes for `begin`."""
    return (
        (b"genesis", encode_genesis(genesis)),
        (f"root/{root.version}".encode(), root_envelope),
    )


@lru_cache(maxsize=64)
def compiled(payload: bytes) -> Policy:
    """Compile a bundle once per process: every partition activates the same bytes."""
    return compile_policy(parse_bundle(payload), hashlib.sha256(payload).digest())


_KINDS = {
    IntType: "int",
    BoolType: "bool",
    StringType: "string",
    EnumType: "enum",
    BytesType: "bytes",
    TimestampType: "timestamp",
    DateType: "date",
    ListType: "list",
}


def key_declaration(bundle: Bundle) -> bytes:
    """Return the canonical key declaration of a bundle: what the root threshold guards.

    Space, generation, and each part's name, type and default: a change of any of them could let
    a key through that was approved before. Bounds are no part of it.
    """
    declared = {parameter.name: parameter for parameter in bundle.parameters}
    parts = [
        [name, _KINDS[type(declared[name].type)], _default_text(declared[name].default)]
        for name in bundle.key_parts
    ]
    return jcs.canonical(
        {"space": bundle.key_space, "generation": str(bundle.key_generation), "parts": parts}
    )


def _default_text(default: Value | None) -> str | None:
    if default is None:
        return None
    return default.hex() if isinstance(default, bytes) else str(default)
