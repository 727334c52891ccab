"""Why an activation is refused, with what its author can do: keys and roles by name, the cure."""

from collections.abc import Container

from gate.core import dsse
from gate.core.control.judge import Rejected
from gate.core.control.state import ControlState
from gate.core.wire.text import escaped


def refusal_text(
    refusal: Rejected,
    *,
    policy: str,
    governs: tuple[str, ...],
    activation: dsse.Envelope,
    bundle: dsse.Envelope | None,
    state: ControlState,
) -> str:
    """Return the refusal as lines: what the gate would say first, then what helps."""
    lines = [f"refused: {escaped(refusal.field)}: {escaped(refusal.text)}"]
    if refusal.field == "overlap":
        lines += _overlap(policy, governs, state)
    if refusal.field == "sequence":
        lines.append("raise `sequence`, and `version` for people, in the policy's source")
    if refusal.field in {"signatures", "threshold"}:
        lines += _signers(policy, activation, bundle, state)
    return "\n  ".join(lines)


def _overlap(policy: str, governs: tuple[str, ...], state: ControlState) -> list[str]:
    return [
        f"withdraw that policy first: `gate policy activate {other} --mode withdraw --key …`"
        for other, known in sorted(state.in_force.items())
        if other != policy and set(known.bundle.governs) & set(governs)
    ]


def _signers(
    policy: str, activation: dsse.Envelope, bundle: dsse.Envelope | None, state: ControlState
) -> list[str]:
    """Name, for both roles, who is wanted and which of the keys are not listed."""
    root = state.trust_root
    authors = root.author_keys(policy)
    activators = root.activator_keys(policy, state.genesis.gate)
    lines = []
    for role, authority, envelope, listed in (
        ("policy_author", authors, bundle, authors.keys),
        ("policy_activator", activators, activation, {**root.root.keys, **activators.keys}),
    ):
        if envelope is None:
            continue
        holders = ", ".join(sorted({escaped(name) for name in authority.holders.values()}))
        lines.append(
            f"role {role} of `{policy}`: {authority.threshold} of the holders {holders or 'none'}"
        )
        lines += _unlisted(role, envelope, listed, root.version)
    return lines


def _unlisted(
    role: str, envelope: dsse.Envelope, listed: Container[str], version: int
) -> list[str]:
    return [
        f"key {key_id} is not listed as {role} in trust root {version}"
        for key_id, _ in envelope.signatures
        if key_id not in listed
    ]
