"""Pack: from a policy source to the bytes that are signed, and from an envelope to an activation.

Packing is reproducible: the same source, domain, previous digest and tests give the same bytes.
Signing is the caller's: an author's key over `dsse.pae(dsse.POLICY, payload)`, activators' keys
over `dsse.pae(dsse.ACTIVATION, payload)`.
"""

import hashlib
from typing import Literal

from gate.authoring.check import check_bundle
from gate.authoring.source import read_source
from gate.core import dsse, jcs
from gate.core.control.activation import Activation, encode_activation
from gate.core.policy.bundle import parse_bundle
from gate.core.policy.issues import BundleInvalid
from gate.errors import ConfigInvalid


def pack(
    data: bytes, file: str, *, domain: str, previous: str | None, tests_sha256: str | None
) -> bytes:
    """Return the canonical payload of a policy source's bundle.

    `previous` is the SHA-256 in hex of the bundle it replaces, `None` for the first;
    `tests_sha256` that of the test file's bytes. Raises `SourceInvalid`.
    """
    source = read_source(data, file, domain=domain)
    checked = check_bundle(source, previous=previous, tests_sha256=tests_sha256)
    return jcs.canonical(checked.document)


def build_activation(
    envelope: bytes,
    *,
    mode: Literal["enforce", "withdraw"],
    audience: str,
    topic_id: str,
    previous: str | None,
    activation_sequence: int,
    not_after_ms: int,
) -> bytes:
    """Return the canonical payload of an activation (`gate-activation/1`, `design/policy.md` §3).

    `envelope` is the signed bundle: the one to be enforced, which is carried inline so that a
    partition replays with nothing else, or the one in force that is withdrawn, which is only
    named. `previous` is the SHA-256 in hex of the bundle last in force, `None` before the first.
    `activation_sequence` is the last of this policy plus 1. Raises `ConfigInvalid` if the envelope
    is none, or its payload no bundle.
    """
    try:
        bundle_envelope = dsse.read_envelope(envelope)
        bundle = parse_bundle(bundle_envelope.payload)
    except (dsse.EnvelopeInvalid, BundleInvalid) as error:
        raise ConfigInvalid(f"signed bundle can not be read: {error}") from error
    return encode_activation(
        Activation(
            audience=audience,
            topic_id=topic_id,
            policy=bundle.policy,
            sequence=bundle.sequence,
            digest=hashlib.sha256(bundle_envelope.payload).digest(),
            previous=None if previous is None else bytes.fromhex(previous),
            mode=mode,
            activation_sequence=activation_sequence,
            not_after_ms=not_after_ms,
            bundle=bundle_envelope if mode == "enforce" else None,
        )
    )
