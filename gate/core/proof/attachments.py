"""Step 10 of `verify`: what an evidence file brings along, against the digests in the entry.

The policy's authors are judged by the trust root that the entry names, if it is attached; else by
the caller's. An attached trust root counts only if the caller's root keys signed it; under a bare
key, which has none, the digest in the signed entry vouches for it.
"""

import hashlib

from gate.core import dsse
from gate.core.placement import input_sha256
from gate.core.proof.evidence import Evidence
from gate.core.proof.verdict import RefusalCode, Refused, Trust
from gate.core.trust import (
    TrustRoot,
    TrustRootInvalid,
    read_trust_root,
    signed_by,
    vouched_by,
)
from gate.core.values import CONTROL_TRUST_ROOT, Control, Decision, Entry, Gap, Genesis


def check_attachments(entry: Entry, evidence: Evidence, trust: Trust) -> Refused | None:
    """Return what is wrong with the attached trust root, policy or input, or `None`."""
    root = trust if isinstance(trust, TrustRoot) else None
    if evidence.control is not None:
        attached = _trust_root(entry, evidence.control, root)
        if isinstance(attached, Refused):
            return attached
        root = attached
    if evidence.policy is not None:
        refused = _policy(entry, evidence.policy, root)
        if refused is not None:
            return refused
    if evidence.input is not None:
        digest = entry.input_sha256 if isinstance(entry, Decision | Control) else None
        if digest != input_sha256(*evidence.input):
            return Refused(RefusalCode.INPUT_MISMATCH, 10, "the input is not the one decided on")
    return None


def _trust_root(
    entry: Entry, envelope: dsse.Envelope, trusted: TrustRoot | None
) -> TrustRoot | Refused:
    if hashlib.sha256(envelope.payload).digest() != _trust_root_sha256(entry):
        return _mismatch("the trust root is not the one that the entry names")
    try:
        root = read_trust_root(envelope.payload)
        vouched_by((trusted or root).root, envelope, dsse.TRUST_ROOT)
    except (TrustRootInvalid, dsse.EnvelopeInvalid) as error:
        return _mismatch(f"trust root: {error}")
    return root


def _policy(entry: Entry, envelope: dsse.Envelope, root: TrustRoot | None) -> Refused | None:
    if isinstance(entry, Decision):
        policy_id, digest = entry.policy_id, entry.policy_sha256
    elif isinstance(entry, Control) and entry.kind != CONTROL_TRUST_ROOT:
        policy_id, digest = entry.id, entry.digest
    else:
        return _mismatch("the entry names no policy")
    if hashlib.sha256(envelope.payload).digest() != digest:
        return _mismatch("the policy is not the one that the entry names")
    if root is None:
        return _mismatch("nobody says who may write the policy: attach or give the trust root")
    try:
        signed_by(root.author_keys(policy_id), envelope, dsse.POLICY)
    except dsse.EnvelopeInvalid as error:
        return _mismatch(f"policy: {error}")
    return None


def _trust_root_sha256(entry: Entry) -> bytes | None:
    if isinstance(entry, Decision | Genesis):
        return entry.trust_root_sha256
    if isinstance(entry, Gap) or entry.kind != CONTROL_TRUST_ROOT:
        return None
    return entry.digest


def _mismatch(text: str) -> Refused:
    return Refused(RefusalCode.POLICY_MISMATCH, 10, text)
