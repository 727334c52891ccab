"""Who signed: thresholds, the first trust root, and from each to the next.

Promises: a signature by a key that is not listed, a wrong one, or too few distinct holders make
the whole envelope count for nothing; the next trust root counts only with the thresholds of both.

Leaves to others: expiry (time is the caller's), and what a role's signature is over.
"""

from collections.abc import Container

from gate.core import dsse
from gate.core.trust.payload import TrustRootInvalid, read_trust_root
from gate.core.trust.root import Authority, TrustRoot
from gate.core.values import KeyId


def signed_by(
    authority: Authority, envelope: dsse.Envelope, expected_type: str
) -> tuple[KeyId, ...]:
    """Return the ids of the keys that signed, ascending, if they meet the authority's threshold.

    Raises `dsse.EnvelopeInvalid` for another payload type, a wrong signature, a signature by a
    key outside the authority, or too few distinct holders.
    """
    signers = vouched_by(authority, envelope, expected_type)
    _check_listed(envelope, authority.keys)
    return signers


def vouched_by(
    authority: Authority, envelope: dsse.Envelope, expected_type: str
) -> tuple[KeyId, ...]:
    """Return the same, whoever else signed. Raises `dsse.EnvelopeInvalid` as `signed_by` does."""
    signers = dsse.valid_signers(envelope, expected_type, authority.keys)
    _check_threshold(authority, signers)
    return signers


def verify_first(envelope_bytes: bytes) -> TrustRoot:
    """Return the trust root of an envelope that its own root keys signed.

    It says nothing about whose root keys these are: compare `sha256` with one received by a way
    that is trusted. Raises `TrustRootInvalid`.
    """
    envelope = _read_envelope(envelope_bytes)
    found = read_trust_root(envelope.payload)
    _check_signed(envelope, (found.root,))
    return found


def verify_next(current: TrustRoot, envelope_bytes: bytes) -> TrustRoot:
    """Return the successor of `current`, signed by the root thresholds of both.

    Needs the same domain, the version after, and `previous` equal to `current.sha256`. Expiry of
    `current` is never looked at: it must not refuse its successor. Raises `TrustRootInvalid`.
    """
    found = verify_after_gap(current, envelope_bytes)
    if found.version != current.version + 1:
        raise TrustRootInvalid(f"`version`: expected {current.version + 1}, got {found.version}")
    if found.previous_sha256 != current.sha256:
        raise TrustRootInvalid(f"`previous`: expected `{current.sha256.hex()}`, the one in force")
    return found


def verify_after_gap(current: TrustRoot, envelope_bytes: bytes) -> TrustRoot:
    """Return a trust root of the same domain, strictly newer, signed by the thresholds of both.

    For the first one after a Gap, in which the versions between may have been lost
    (`design/bad-input.md` §3): `previous` is not compared. Raises `TrustRootInvalid`.
    """
    envelope = _read_envelope(envelope_bytes)
    # The cheap check first: whoever may write to the input could send a costly payload.
    _check_vouched(envelope, current.root)
    found = read_trust_root(envelope.payload)
    if found.version <= current.version:
        raise TrustRootInvalid(f"`version`: expected above {current.version}, got {found.version}")
    if found.domain != current.domain:
        raise TrustRootInvalid(f"`domain`: expected `{current.domain}`, got `{found.domain}`")
    _check_signed(envelope, (current.root, found.root))
    return found


def _read_envelope(envelope_bytes: bytes) -> dsse.Envelope:
    try:
        return dsse.read_envelope(envelope_bytes)
    except dsse.EnvelopeInvalid as error:
        raise TrustRootInvalid(str(error)) from error


def _check_vouched(envelope: dsse.Envelope, authority: Authority) -> None:
    try:
        vouched_by(authority, envelope, dsse.TRUST_ROOT)
    except dsse.EnvelopeInvalid as error:
        raise TrustRootInvalid(str(error)) from error


def _check_signed(envelope: dsse.Envelope, authorities: tuple[Authority, ...]) -> None:
    listed = {key_id for authority in authorities for key_id in authority.keys}
    try:
        for authority in authorities:
            vouched_by(authority, envelope, dsse.TRUST_ROOT)
        _check_listed(envelope, listed)
    except dsse.EnvelopeInvalid as error:
        raise TrustRootInvalid(str(error)) from error


def _check_threshold(authority: Authority, signers: tuple[KeyId, ...]) -> None:
    holders = {authority.holders[key_id] for key_id in signers}
    if len(holders) < authority.threshold:
        raise dsse.EnvelopeInvalid(
            f"expected signatures of {authority.threshold} holders, got {len(holders)}: "
            "have more of them sign"
        )


def _check_listed(envelope: dsse.Envelope, listed: Container[KeyId]) -> None:
    for key_id, _ in envelope.signatures:
        if key_id not in listed:
            raise dsse.EnvelopeInvalid(f"key `{key_id}` is not listed for this: leave it out")
