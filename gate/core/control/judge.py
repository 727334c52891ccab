"""Control records: accepted or refused, by signatures, thresholds, order and position.

`design/decision.md` §4 and §4a, `design/policy.md` §3.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from gate.core import dsse, jcs
from gate.core.control.activation import Activation, ActivationInvalid, read_activation
from gate.core.control.state import ControlState, PolicyHistory, compiled, key_declaration
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.policy.bundle import Bundle
from gate.core.policy.issues import BundleInvalid
from gate.core.proof.checkpoint import origin
from gate.core.signature import PublicKey
from gate.core.trust import Authority, TrustRoot, TrustRootInvalid, verify_next
from gate.core.values import (
    CONTROL_POLICY_ENFORCE,
    CONTROL_POLICY_WITHDRAW,
    CONTROL_TRUST_ROOT,
    KeyId,
)
from gate.core.wire.control_record import read_control_record
from gate.core.wire.reader import WireError

_TRUST_ROOT, _POLICY_ACTIVATION = 1, 2


class Accepted(NamedTuple):
    """A control record that takes effect: fields of its entry, and its parts of the state.

    `parts` is empty for a repetition of what is in force.
    """

    state: ControlState
    kind: int
    id: str
    version: str
    sequence: int
    digest: bytes
    activation_sequence: int
    signers: tuple[str, ...]
    parts: tuple[tuple[bytes, bytes], ...]


class Rejected(NamedTuple):
    """A control record that changes nothing. `field` goes into the entry, `text` to the log."""

    field: str
    text: str


class _Refusal(Exception):
    def __init__(self, field_name: str, text: str) -> None:
        super().__init__(text)
        self.field = field_name


def judge_control(
    key: bytes | None, value: bytes, *, append_time_ms: int, state: ControlState
) -> Accepted | Rejected:
    """Accept or refuse a control record.

    Raises `EngineUnavailable` or `AstDiffers` (`core.policy.compiled`) for a properly signed
    policy that this build would read otherwise: that stops the partition, for a denial would make
    the leaf depend on the build.
    """
    try:
        if key is not None:
            raise _Refusal("key", "expected no record key on a control record, found one")
        if len(value) > CONTROL_BYTES_MAX:
            raise _Refusal(
                "size", f"expected at most {CONTROL_BYTES_MAX} bytes, found {len(value)}"
            )
        record = read_control_record(value)
        if record.kind == _TRUST_ROOT:
            return _judge_trust_root(record.envelope, state)
        if record.kind == _POLICY_ACTIVATION:
            return _judge_activation(record.envelope, append_time_ms, state)
        raise _Refusal("kind", "expected a trust root or a policy activation, found neither")
    except _Refusal as refusal:
        return Rejected(refusal.field, str(refusal))
    except WireError as fault:
        return Rejected(fault.field or "record", f"control record is not readable: {fault}")


def _judge_trust_root(envelope: bytes, state: ControlState) -> Accepted:
    digest = hashlib.sha256(envelope).digest()
    current = state.trust_root
    parts: tuple[tuple[bytes, bytes], ...] = ()
    if digest == state.root_envelope_sha256:
        root = current
    else:
        try:
            root = verify_next(current, envelope)
        except TrustRootInvalid as fault:
            raise _Refusal("trust_root", str(fault)) from fault
        _check_checkpoint_keys(root, state)
        parts = ((f"root/{root.version}".encode(), envelope),)
    return Accepted(
        state=replace(state, trust_root=root, root_envelope_sha256=digest),
        kind=CONTROL_TRUST_ROOT,
        id=root.domain,
        version=str(root.version),
        sequence=0,
        digest=root.sha256,
        activation_sequence=0,
        signers=tuple(sorted({key_id for key_id, _ in dsse.read_envelope(envelope).signatures})),
        parts=parts,
    )


def _check_checkpoint_keys(root: TrustRoot, state: ControlState) -> None:
    """A key must be active in both, or no key could sign the step from one to the other."""
    genesis = state.genesis
    log = origin(genesis.domain, genesis.gate, genesis.topic, genesis.partition, genesis.epoch)
    before, after = (
        {item.key.public for item in trust.checkpoint_keys_of(log) if not item.is_revoked}
        for trust in (state.trust_root, root)
    )
    if not before & after:
        raise _Refusal(
            "checkpoint_keys",
            f"expected a checkpoint key of `{log}` that is active in both trust roots, found none; "
            "add the new key in one version, revoke the old in the next",
        )


def _judge_activation(envelope_bytes: bytes, append_time_ms: int, state: ControlState) -> Accepted:
    try:
        envelope = dsse.read_envelope(envelope_bytes)
        activation = read_activation(envelope.payload)
    except (dsse.EnvelopeInvalid, ActivationInvalid) as fault:
        raise _Refusal("activation", str(fault)) from fault
    envelope_sha256 = hashlib.sha256(envelope_bytes).digest()
    history = state.policies.get(activation.policy)
    if history is not None and history.envelope_sha256 == envelope_sha256:
        return _repeated(activation, envelope, state)
    if append_time_ms >= state.trust_root.expires_ms:
        raise _Refusal("expiry", "the trust root in force has expired; activate its successor")
    _check_binding(activation, append_time_ms, state)
    authors = _authors(activation, history, state)
    root_agreed = _check_activators(activation, envelope, authors, state)
    _check_order(activation, history)
    if activation.mode == "withdraw":
        return _withdrawn(activation, envelope, envelope_sha256, state)
    return _enforced(activation, envelope, envelope_sha256, authors, root_agreed, state)


def _repeated(activation: Activation, envelope: dsse.Envelope, state: ControlState) -> Accepted:
    """Accept the byte-identical activation in force again: a leaf, no change."""
    return _accepted(activation, envelope, state.policies[activation.policy].version, state, ())


def _check_binding(activation: Activation, append_time_ms: int, state: ControlState) -> None:
    genesis = state.genesis
    audience = f"{genesis.domain}/{genesis.gate}"
    if activation.audience != audience:
        raise _Refusal("audience", f"expected `{audience}`, got `{activation.audience}`")
    if activation.topic_id != genesis.topic_id:
        raise _Refusal("topic_id", f"expected `{genesis.topic_id}`, got `{activation.topic_id}`")
    if append_time_ms > activation.not_after_ms:
        raise _Refusal("expiry", "the activation was appended after its `not_after_ms`")


def _authors(
    activation: Activation, history: PolicyHistory | None, state: ControlState
) -> frozenset[str]:
    """Return the holders who signed the bundle: the inline one, or the one to be withdrawn."""
    if activation.bundle is None:
        return frozenset() if history is None else history.authors
    if hashlib.sha256(activation.bundle.payload).digest() != activation.digest:
        raise _Refusal("digest", "the activation's digest is not that of the bundle it carries")
    authors = state.trust_root.author_keys(activation.policy)
    return _holders(activation.bundle, dsse.POLICY, authors, authors.keys)


def _check_activators(
    activation: Activation,
    envelope: dsse.Envelope,
    authors: frozenset[str],
    state: ControlState,
) -> bool:
    """Check the activators' threshold; return whether the root threshold signed too."""
    root = state.trust_root
    activators = root.activator_keys(activation.policy, state.genesis.gate)
    listed = {**root.root.keys, **activators.keys}
    holders = _holders(envelope, dsse.ACTIVATION, activators, listed)
    if authors & holders:
        raise _Refusal("signatures", "an author of the bundle is among its activators")
    root_signers = dsse.valid_signers(envelope, dsse.ACTIVATION, root.root.keys)
    return len({root.root.holders[key_id] for key_id in root_signers}) >= root.root.threshold


def _holders(
    envelope: dsse.Envelope,
    payload_type: str,
    authority: Authority,
    listed: Mapping[KeyId, PublicKey],
) -> frozenset[str]:
    """Return who of the authority signed; any doubtful signature refuses the whole."""
    try:
        signers = dsse.valid_signers(envelope, payload_type, listed)
    except dsse.EnvelopeInvalid as fault:
        raise _Refusal("signatures", str(fault)) from fault
    if len(signers) != len(envelope.signatures):
        raise _Refusal("signatures", "a signature is not by a key that is listed for this")
    holders = [authority.holders[key_id] for key_id in signers if key_id in authority.keys]
    if len(set(holders)) != len(holders):
        raise _Refusal("signatures", "two signatures of one holder")
    if len(holders) < authority.threshold:
        raise _Refusal(
            "threshold", f"expected signatures of {authority.threshold} holders, got {len(holders)}"
        )
    return frozenset(holders)


def _check_order(activation: Activation, history: PolicyHistory | None) -> None:
    last_activation = 0 if history is None else history.activation_sequence
    if activation.activation_sequence != last_activation + 1:
        raise _Refusal(
            "activation_sequence",
            f"expected {last_activation + 1}, got {activation.activation_sequence}",
        )
    digest = None if history is None else history.digest
    if activation.previous != digest:
        raise _Refusal("previous", "`previous` is not the digest of the bundle last in force")
    if activation.mode == "withdraw":
        if history is None or not history.is_enforced:
            raise _Refusal("mode", "the policy to be withdrawn is not in force")
        if (activation.sequence, activation.digest) != (history.policy_sequence, history.digest):
            raise _Refusal("sequence", "the withdrawal names another bundle than that in force")
    elif history is not None and activation.sequence <= history.policy_sequence:
        raise _Refusal(
            "sequence", f"expected above {history.policy_sequence}, got {activation.sequence}"
        )


def _withdrawn(
    activation: Activation, envelope: dsse.Envelope, envelope_sha256: bytes, state: ControlState
) -> Accepted:
    history = replace(
        state.policies[activation.policy],
        activation_sequence=activation.activation_sequence,
        envelope_sha256=envelope_sha256,
        is_enforced=False,
    )
    in_force = {k: v for k, v in state.in_force.items() if k != activation.policy}
    state = replace(
        state,
        in_force=in_force,
        policies={**state.policies, activation.policy: history},
    )
    part = _activation_part(activation.policy, history, {})
    return _accepted(activation, envelope, history.version, state, (part,))


def _enforced(
    activation: Activation,
    envelope: dsse.Envelope,
    envelope_sha256: bytes,
    authors: frozenset[str],
    root_agreed: bool,
    state: ControlState,
) -> Accepted:
    assert activation.bundle is not None
    try:
        policy = compiled(activation.bundle.payload)
    except BundleInvalid as fault:
        raise _Refusal("bundle", str(fault)) from fault
    bundle = policy.bundle
    _check_bundle(bundle, activation, state)
    key_space = key_declaration(bundle)
    for action in bundle.governs:
        if state.key_spaces.get(action, key_space) != key_space and not root_agreed:
            raise _Refusal(
                "key", f"the key of action `{action}` changes: expected the root threshold to sign"
            )
    spaces = dict.fromkeys(bundle.governs, key_space)
    history = PolicyHistory(
        activation_sequence=activation.activation_sequence,
        policy_sequence=activation.sequence,
        version=bundle.version,
        digest=activation.digest,
        envelope_sha256=envelope_sha256,
        authors=authors,
        is_enforced=True,
    )
    # A sequence only rises and is inside the bundle, so no digest is ever written twice.
    parts = (
        _activation_part(bundle.policy, history, spaces),
        (b"bundle/" + activation.digest.hex().encode(), dsse.encode_envelope(activation.bundle)),
    )
    state = replace(
        state,
        in_force={**state.in_force, bundle.policy: policy},
        policies={**state.policies, bundle.policy: history},
        key_spaces={**state.key_spaces, **spaces},
    )
    return _accepted(activation, envelope, bundle.version, state, parts)


def _check_bundle(bundle: Bundle, activation: Activation, state: ControlState) -> None:
    """Check what the bundle itself says against its activation and what is in force."""
    history = state.policies.get(activation.policy)
    previous = None if history is None else history.digest.hex()
    if bundle.domain != state.genesis.domain:
        raise _Refusal("domain", f"expected `{state.genesis.domain}`, got `{bundle.domain}`")
    if (bundle.policy, bundle.sequence) != (activation.policy, activation.sequence):
        raise _Refusal(
            "sequence", "the activation names another policy or sequence than its bundle"
        )
    if bundle.previous != previous:
        raise _Refusal("previous", "the bundle's `previous` is not the bundle last in force")
    for other in state.in_force.values():
        overlap = sorted(set(other.bundle.governs) & set(bundle.governs))
        if other.bundle.policy != bundle.policy and overlap:
            raise _Refusal(
                "overlap", f"action `{overlap[0]}` is governed by policy `{other.bundle.policy}`"
            )


def _accepted(
    activation: Activation,
    envelope: dsse.Envelope,
    version: str,
    state: ControlState,
    parts: tuple[tuple[bytes, bytes], ...],
) -> Accepted:
    return Accepted(
        state=state,
        kind=CONTROL_POLICY_WITHDRAW if activation.mode == "withdraw" else CONTROL_POLICY_ENFORCE,
        id=activation.policy,
        version=version,
        sequence=activation.sequence,
        digest=activation.digest,
        activation_sequence=activation.activation_sequence,
        signers=tuple(sorted({key_id for key_id, _ in envelope.signatures})),
        parts=parts,
    )


def _activation_part(
    policy_id: str, history: PolicyHistory, spaces: Mapping[str, bytes]
) -> tuple[bytes, bytes]:
    """Return the part from which `restore` rebuilds the history and the key spaces it brought."""
    key = f"policy/{policy_id}/{history.activation_sequence}".encode()
    body = {
        "authors": sorted(history.authors),
        "digest": history.digest.hex(),
        "envelope": history.envelope_sha256.hex(),
        "key_spaces": {action: space.decode() for action, space in spaces.items()},
        "mode": "enforce" if history.is_enforced else "withdraw",
        "sequence": str(history.policy_sequence),
        "version": history.version,
    }
    return key, jcs.canonical(body)
