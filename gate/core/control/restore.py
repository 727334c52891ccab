"""Restore: the control state from the parts that the changelog or the store holds."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gate.core import dsse, jcs
from gate.core.control.state import ControlState, PolicyHistory, begin, compiled
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.policy.issues import BundleInvalid
from gate.core.trust import read_trust_root
from gate.core.values import ControlStateRecord, Genesis
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError


class ControlStateDamaged(ValueError):
    """The parts of the control state do not fit together."""


def restore(parts: Iterable[tuple[bytes, ControlStateRecord]]) -> ControlState:
    """Rebuild the control state from its changelog parts, in any order.

    The parts were verified when they were accepted, and the store's fingerprint vouches for them;
    a part that does not read is damage. Raises `ControlStateDamaged`, `EngineUnavailable`,
    `AstDiffers`.
    """
    records = dict(parts)
    try:
        genesis = read_entry(records[b"genesis"].body)
        if not isinstance(genesis, Genesis):
            raise ControlStateDamaged("the part `genesis` holds another entry")
        versions = [int(key.removeprefix(b"root/")) for key in records if key.startswith(b"root/")]
        envelope = records[f"root/{max(versions)}".encode()].body
        root = read_trust_root(dsse.read_envelope(envelope).payload)
        state = begin(genesis, root, envelope)
        activations = sorted(
            (record.leaf_index, key)
            for key, record in records.items()
            if key.startswith(b"policy/")
        )
        for _, key in activations:
            state = _activated(key, records[key].body, state)
        return _compile_enforced(state, records)
    except (KeyError, ValueError, WireError, BundleInvalid) as fault:
        raise ControlStateDamaged(f"control state does not read: {fault}") from fault


def _activated(key: bytes, raw: bytes, state: ControlState) -> ControlState:
    policy_id, _, sequence = key.removeprefix(b"policy/").decode().rpartition("/")
    body = jcs.parse(raw, bytes_max=CONTROL_BYTES_MAX)
    if not isinstance(body, dict):
        raise ControlStateDamaged("an activation part is no object")
    history = PolicyHistory(
        activation_sequence=int(sequence),
        policy_sequence=int(body["sequence"]),
        version=body["version"],
        digest=bytes.fromhex(body["digest"]),
        envelope_sha256=bytes.fromhex(body["envelope"]),
        authors=frozenset(body["authors"]),
        is_enforced=body["mode"] == "enforce",
    )
    spaces = {action: space.encode() for action, space in body["key_spaces"].items()}
    return replace(
        state,
        policies={**state.policies, policy_id: history},
        key_spaces={**state.key_spaces, **spaces},
    )


def _compile_enforced(
    state: ControlState, records: Mapping[bytes, ControlStateRecord]
) -> ControlState:
    in_force = {}
    for policy_id, history in state.policies.items():
        if history.is_enforced:
            record = records[b"bundle/" + history.digest.hex().encode()]
            in_force[policy_id] = compiled(dsse.read_envelope(record.body).payload)
    return replace(state, in_force=in_force)
