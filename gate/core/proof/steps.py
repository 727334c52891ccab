"""Steps that evidence files and decision records share; numbers as in `verify`."""

from gate.core.proof.checkpoint import Note
from gate.core.proof.meaning import contradiction
from gate.core.proof.verdict import LogKeys, RefusalCode, Refused, Status
from gate.core.reasons import Code
from gate.core.trust import Pin
from gate.core.values import Entry
from gate.core.wire.entry import encode_entry, read_entry
from gate.core.wire.reader import WireError

_UNKNOWN = frozenset({Code.FRAMING_UNKNOWN, Code.SCHEMA_UNKNOWN})


def unknown_log(origin: str) -> Refused:
    """Refuse at step 2."""
    return Refused(
        RefusalCode.UNKNOWN_LOG, 2, f"log `{origin}` is not one that this key or trust root lists"
    )


def bad_shape(index: int, size: int, path: bytes) -> Refused:
    """Refuse at step 3."""
    return Refused(
        RefusalCode.BAD_PROOF_SHAPE,
        3,
        f"a path of {len(path)} bytes can not prove leaf {index} of {size}",
    )


def accept(note: Note, keys: LogKeys) -> Status | Refused:
    """Step 5: say what vouches for the checkpoint.

    A pin replaces signatures. A line under the name and key id of an active key that this key did
    not sign refuses the whole note; lines of revoked and of unlisted keys count for nothing.
    """
    if Pin(note.origin, note.size, note.root) in keys.pins:
        return Status.PINNED
    is_signed = is_revoked = False
    for line in note.signatures:
        if line.name != note.origin:
            continue
        candidates = [key for key_id, key in keys.active if key_id == line.key_id]
        if not candidates:
            is_revoked = is_revoked or line.key_id in keys.revoked
        elif any(key.verify(note.body, line.signature) for key in candidates):
            is_signed = True
        else:
            return Refused(
                RefusalCode.BAD_SIGNATURE, 5, f"signature of key `{line.key_id.hex()}` is wrong"
            )
    if is_signed:
        return Status.SIGNED
    if is_revoked:
        return Refused(
            RefusalCode.KEY_REVOKED,
            5,
            "only a revoked key signed: prove it against a newer checkpoint or a pin",
        )
    return Refused(RefusalCode.NO_TRUSTED_SIGNATURE, 5, "no trusted key signed the checkpoint")


def read_leaf(data: bytes, origin: str, index: int) -> Entry | Refused:
    """Steps 8 and 9: return the entry if its bytes are the only ones for it, and it makes sense."""
    try:
        entry = read_entry(data)
    except WireError as error:
        if error.code in _UNKNOWN:
            return Refused(RefusalCode.UNKNOWN_SCHEMA, 8, str(error))
        return Refused(RefusalCode.NOT_CANONICAL, 8, str(error))
    # The reader admits one spelling already; this holds without relying on it.
    if encode_entry(entry) != data:
        return Refused(RefusalCode.NOT_CANONICAL, 8, "the entry encodes to other bytes")
    text = contradiction(entry, origin, index)
    if text is not None:
        return Refused(RefusalCode.CONTRADICTION, 9, text)
    return entry
