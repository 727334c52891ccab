"""Evidence files: one entry, its proof, and what lets anyone decide it again.

The file is canonical JSON (RFC 8785):

    {"format": "gate-evidence/1", "proof": PROOF, "receipts": [], "timestamps": [],
     "control": ENVELOPE, "input": {"key": BASE64 or null, "value": BASE64 or null},
     "later": [{"checkpoint": NOTE, "consistency": [BASE64, …]}, …], "policy": ENVELOPE}

`control` (the trust root), `input`, `later` and `policy` may be left out; `receipts` and
`timestamps` are empty in this format. PROOF is C2SP `tlog-proof@v1`, verbatim, so that it can be
cut out and given to other people's tools:

    c2sp.org/tlog-proof@v1
    extra <base64 of the entry>        optional there, required here
    index <decimal, without leading zeros>
    <base64 of a 32-byte hash>         none or more, from the leaf's sibling to the root's child

    <checkpoint note, verbatim>

Promises: reads only what it would write, byte by byte, within stated limits.

Leaves to others: everything about truth (`verify`); nothing that a file brings along is trusted.
"""

import re
from typing import NamedTuple

from gate.core import dsse, jcs
from gate.core.limits import CONTROL_BYTES_MAX, ENTRY_BYTES_MAX
from gate.core.proof.checkpoint import CheckpointInvalid, read_hash
from gate.core.proof.merkle import HASH_BYTES, PATH_HASHES_MAX, SIZE_MAX

FORMAT = "gate-evidence/1"
HEADER = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX = 128 * 1024
EVIDENCE_BYTES_MAX = 16 * 1024 * 1024
LATER_MAX = 16

_REQUIRED = frozenset({"format", "proof", "receipts", "timestamps"})
_OPTIONAL = frozenset({"control", "input", "later", "policy"})
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


class EvidenceInvalid(ValueError):
    """A proof or evidence file in another form than the one described; `str()` says why."""


class Proof(NamedTuple):
    """An entry, its place, its inclusion path (leaf to root) and a checkpoint's note as text."""

    entry: bytes
    leaf_index: int
    path: bytes
    checkpoint: str


class Later(NamedTuple):
    """A newer checkpoint's note, and the consistency proof that leads to it from the one before."""

    consistency: bytes
    checkpoint: str


class InputRecord(NamedTuple):
    """The input record's key and value as they were consumed."""

    key: bytes | None
    value: bytes | None


class Evidence(NamedTuple):
    """An evidence file as read, unverified."""

    proof: Proof
    later: tuple[Later, ...] = ()
    policy: dsse.Envelope | None = None
    control: dsse.Envelope | None = None
    input: InputRecord | None = None


def encode_proof(proof: Proof) -> str:
    """Return the proof as C2SP `tlog-proof@v1` text."""
    return "\n".join(
        [
            HEADER,
            f"extra {jcs.encode_base64(proof.entry)}",
            f"index {proof.leaf_index}",
            *_hash_lines(proof.path),
            "",
            proof.checkpoint,
        ]
    )


def read_proof(text: str) -> Proof:
    """Return the proof of C2SP `tlog-proof@v1` text, its checkpoint still as text.

    At most `PROOF_BYTES_MAX` bytes and `PATH_HASHES_MAX` hashes. Raises `EvidenceInvalid`.
    """
    if len(text) > PROOF_BYTES_MAX:
        raise EvidenceInvalid(f"proof is too long: expected at most {PROOF_BYTES_MAX} bytes")
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] != HEADER or not lines[1].startswith("extra "):
        raise EvidenceInvalid(f"proof: expected `{HEADER}`, `extra` and `index` lines, a blank one")
    index = _INDEX.fullmatch(lines[2])
    if index is None or int(index[1]) > SIZE_MAX:
        raise EvidenceInvalid(f"proof: expected `index <decimal>`, got {jcs.quoted(lines[2])}")
    try:
        entry = jcs.decode_base64(lines[1].removeprefix("extra "))
    except jcs.JsonInvalid as error:
        raise EvidenceInvalid(f"proof: extra line: {error}") from error
    if not 0 < len(entry) <= ENTRY_BYTES_MAX:
        raise EvidenceInvalid(f"proof: expected an entry of at most {ENTRY_BYTES_MAX} bytes")
    return Proof(entry, int(index[1]), _hashes(lines[3:], "proof"), note)


def encode_evidence(evidence: Evidence) -> bytes:
    """Return the evidence file."""
    value: dict[str, object] = {
        "format": FORMAT,
        "proof": encode_proof(evidence.proof),
        "receipts": [],
        "timestamps": [],
    }
    if evidence.later:
        value["later"] = [
            {"checkpoint": item.checkpoint, "consistency": _hash_lines(item.consistency)}
            for item in evidence.later
        ]
    for name, envelope in (("control", evidence.control), ("policy", evidence.policy)):
        if envelope is not None:
            value[name] = dsse.json_of(envelope)
    if evidence.input is not None:
        value["input"] = {
            name: None if data is None else jcs.encode_base64(data)
            for name, data in evidence.input._asdict().items()
        }
    return jcs.canonical(value)


def read_evidence(data: bytes) -> Evidence:
    """Return the evidence of a file of at most `EVIDENCE_BYTES_MAX` bytes.

    Raises `EvidenceInvalid` for anything that `encode_evidence` would not have written.
    """
    try:
        value = jcs.parse(data, bytes_max=EVIDENCE_BYTES_MAX)
        found = jcs.members(value, "evidence", _REQUIRED, _OPTIONAL)
        evidence = _evidence(found)
        is_canonical = jcs.canonical(value) == data
    except (jcs.JsonInvalid, dsse.EnvelopeInvalid) as error:
        raise EvidenceInvalid(str(error)) from error
    if not is_canonical:
        raise EvidenceInvalid("evidence is not canonical JSON: take the file as it was written")
    return evidence


def _evidence(found: dict[str, object]) -> Evidence:
    if found["format"] != FORMAT:
        raise EvidenceInvalid(f"`format`: expected `{FORMAT}`")
    if found["receipts"] != [] or found["timestamps"] != []:
        raise EvidenceInvalid("`receipts`, `timestamps`: expected empty arrays")
    return Evidence(
        read_proof(_text(found["proof"], "proof")),
        _later(found["later"]) if "later" in found else (),
        dsse.envelope_of(found["policy"]) if "policy" in found else None,
        dsse.envelope_of(found["control"]) if "control" in found else None,
        _input(found["input"]) if "input" in found else None,
    )


def _later(value: object) -> tuple[Later, ...]:
    if type(value) is not list or not 0 < len(value) <= LATER_MAX:
        raise EvidenceInvalid(f"`later`: expected an array of 1 to {LATER_MAX} links")
    links = []
    for index, item in enumerate(value):
        path = f"later[{index}]"
        found = jcs.members(item, path, frozenset({"checkpoint", "consistency"}))
        lines = found["consistency"]
        if type(lines) is not list:
            raise EvidenceInvalid(f"`{path}.consistency`: expected an array")
        texts = [_text(line, f"{path}.consistency") for line in lines]
        links.append(Later(_hashes(texts, path), _text(found["checkpoint"], f"{path}.checkpoint")))
    return tuple(links)


def _input(value: object) -> InputRecord:
    found = jcs.members(value, "input", frozenset({"key", "value"}))
    return InputRecord(
        _bytes(found["key"], "input.key"),
        _bytes(found["value"], "input.value"),
    )


def _bytes(value: object, path: str) -> bytes | None:
    if value is None:
        return None
    data = jcs.decode_base64(_text(value, path))
    if len(data) > CONTROL_BYTES_MAX:
        raise EvidenceInvalid(f"`{path}`: expected at most {CONTROL_BYTES_MAX} bytes")
    return data


def _text(value: object, path: str) -> str:
    if type(value) is not str:
        raise EvidenceInvalid(f"`{path}`: expected a string, got {jcs.kind_of(value)}")
    return value


def _hash_lines(data: bytes) -> list[str]:
    return [
        jcs.encode_base64(data[start : start + HASH_BYTES])
        for start in range(0, len(data), HASH_BYTES)
    ]


def _hashes(lines: list[str], path: str) -> bytes:
    if len(lines) > PATH_HASHES_MAX:
        raise EvidenceInvalid(f"`{path}`: expected at most {PATH_HASHES_MAX} hashes")
    try:
        return b"".join([read_hash(line) for line in lines])
    except CheckpointInvalid as error:
        raise EvidenceInvalid(f"`{path}`: {error}") from error
