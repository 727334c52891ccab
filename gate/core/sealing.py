"""Sealing: judged leaves enter the tree, and become the records that are produced.

`seal()` says what has to be signed; the records are built once the signature is there. The root
never depends on how batches were cut, so a batch that is decided again after an abort gives the
same leaves and the same tree. `design/decision.md` §2 and §3.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gate.core.admission import Admission
from gate.core.limits import HEADER_BYTES_MAX, HEADERS_MAX, QUARANTINE_HEAD_BYTES
from gate.core.lineage import Headers, Judged, Leaf, Place, Standing
from gate.core.placement import input_sha256
from gate.core.proof.checkpoint import checkpoint_body
from gate.core.proof.merkle import Appended, append, frontier_bytes, leaf_hash
from gate.core.reasons import Code
from gate.core.values import LineageEntry, LineageRecord
from gate.core.wire.record import encode_in_block, encode_lineage_record, record_block


class Sealed(NamedTuple):
    """Judged leaves in the tree; `body` is what the checkpoint key signs."""

    judged: Judged
    first_index: int
    leaf_hashes: Sequence[bytes]
    appended: Appended
    body: bytes
    runtime: str
    standing: Standing


def seal(judged: Judged, *, place: Place, standing: Standing, runtime: str) -> Sealed:
    """Append the leaves; the returned standing is provisional."""
    hashes = [leaf_hash(leaf.entry) for leaf in judged.leaves]
    appended = append(standing.frontier, hashes)
    last_approved, last_denied = standing.last_approved, standing.last_denied
    last_quarantine = standing.last_quarantine
    for index, leaf in enumerate(judged.leaves, standing.frontier.size):
        admission = leaf.admission
        if admission is None:
            continue
        if admission.approved:
            last_approved = index
            continue
        last_denied = index
        if admission.is_quarantined:
            last_quarantine = index
    return Sealed(
        judged=judged,
        first_index=standing.frontier.size,
        leaf_hashes=hashes,
        appended=appended,
        body=checkpoint_body(place.origin, appended.frontier.size, appended.root, runtime),
        runtime=runtime,
        standing=Standing(
            control=judged.control,
            frontier=appended.frontier,
            sequence=judged.sequence,
            prev_input_offset=judged.leaves[-1].input.offset,
            last_approved=last_approved,
            last_denied=last_denied,
            last_quarantine=last_quarantine,
        ),
    )


class Produced(NamedTuple):
    """One record for the approved, denied or quarantine topic; `topic` is its short name."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


def decision_records(sealed: Sealed, *, place: Place, note_signature: bytes) -> list[Produced]:
    """Build decision and quarantine records; `note_signature` is key id and signature."""
    produced = []
    block = record_block(
        place.origin, sealed.appended.frontier.size, sealed.runtime, (note_signature,)
    )
    for index, (leaf, path) in enumerate(
        zip(sealed.judged.leaves, sealed.appended.paths, strict=True), sealed.first_index
    ):
        admission = leaf.admission
        if admission is None:
            continue
        approved = admission.approved
        ask = admission.request.ask if approved and admission.request is not None else b""
        produced.append(
            Produced(
                "approved" if approved else "denied",
                leaf.input.key,
                encode_in_block(block, leaf.entry, index, path, ask),
                _copied(leaf.input.headers),
            )
        )
        if not approved and admission.is_quarantined:
            produced.append(_quarantined(leaf, admission, index, place))
    return produced


def lineage_value(
    sealed: Sealed, *, place: Place, note: str, target: str, first_offset: int, next_offset: int
) -> bytes:
    """Build the lineage record of one partition and transaction."""
    entries = tuple(
        LineageEntry(index, leaf.entry)
        for index, leaf in enumerate(sealed.judged.leaves, sealed.first_index)
        if leaf.admission is None
    )
    return encode_lineage_record(
        LineageRecord(
            log=place.origin,
            prev_size=sealed.first_index,
            tree_size=sealed.appended.frontier.size,
            root=sealed.appended.root,
            consistency=sealed.appended.consistency,
            frontier=frontier_bytes(sealed.appended.frontier),
            leaf_hashes=b"".join(sealed.leaf_hashes),
            entries=entries,
            first_offset=first_offset,
            next_offset=next_offset,
            checkpoint=note,
            target=target,
        )
    )


def _copied(headers: Headers) -> Headers:
    """Pass headers on where they are few and small; nothing in them is decisive."""
    if not headers or len(headers) > HEADERS_MAX:
        return ()
    size = sum(len(name) + len(value) for name, value in headers)
    return headers if size <= HEADER_BYTES_MAX else ()


def _quarantined(leaf: Leaf, admission: Admission, index: int, place: Place) -> Produced:
    """Copy the untouched input; of an oversized value only the head."""
    value = leaf.input.value or b""
    headers = [
        ("leaf-index", str(index).encode()),
        ("reason", admission.reasons[0].code.name.lower().encode()),
        ("input-position", f"{place.origin}@{leaf.input.offset}".encode()),
    ]
    if admission.reasons[0].code is Code.TOO_LARGE and len(value) > QUARANTINE_HEAD_BYTES:
        headers.append(("input-bytes", str(len(value)).encode()))
        headers.append(("input-sha256", input_sha256(leaf.input.key, value).hex().encode()))
        value = value[:QUARANTINE_HEAD_BYTES]
    return Produced("quarantine", leaf.input.key, value, tuple(headers))
