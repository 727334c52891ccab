"""What a gate publishes, taken apart with fastavro and `schemas/*.avsc`, and put to the judges.

Imports nothing of the gate: fingerprints are computed from the schemas, notes are put together by
C2SP signed-note and tlog-checkpoint.
"""

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

from tests.independent.others import Case, to_base64, verifier_key

SCHEMAS = Path(__file__).parents[2] / "schemas"
MARKER = b"\xc3\x01"  # Avro specification, single-object encoding


@cache
def _schemas() -> dict[bytes, Any]:
    """Return the schemas by the 8 bytes that stand for them, little-endian."""
    found = {}
    for path in SCHEMAS.glob("*.avsc"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        number = fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")
        found[bytes.fromhex(number)] = parse_schema(schema)
    return found


def read_object(data: bytes, name: str) -> dict[str, Any]:
    """Read a single-object encoding of the schema `name`, to its last byte."""
    schema = _schemas()[data[2:10]]
    assert (data[:2], schema["name"]) == (MARKER, f"gate.v1.{name}")
    body = io.BytesIO(data[10:])
    value = schemaless_reader(body, schema, None)
    assert body.read() == b"", "bytes after the last field"
    return value


class Published(NamedTuple):
    """One partition: its lineage records and decision records, as dictionaries, in log order."""

    lineage: list[dict[str, Any]]
    decisions: list[dict[str, Any]]

    @property
    def origin(self) -> str:
        return self.lineage[0]["log"]


def take_apart(lineage: Sequence[bytes], decisions: Sequence[bytes]) -> Published:
    """Read the record values of one partition."""
    read = [read_object(value, "DecisionRecord") for value in decisions]
    return Published(
        [read_object(value, "LineageRecord") for value in lineage],
        sorted(read, key=lambda record: record["leaf_index"]),
    )


def note_of(decision: dict[str, Any], root: bytes) -> str:
    """Put a decision record's own signatures under the checkpoint that its fields describe."""
    log, size, runtime = decision["log"], decision["tree_size"], decision["runtime"]
    signatures = "".join(f"— {log} {to_base64(line)}\n" for line in decision["signatures"])
    return f"{log}\n{size}\n{to_base64(root)}\n{runtime}\n\n{signatures}"


def inclusion_cases(published: Published, public: bytes) -> list[Case]:
    """Claim each decision in the tree of its size, under the note that its record describes.

    Twice: by its own bytes, and by the hash that the lineage record has at its index.
    """
    key = verifier_key(published.origin, public)
    roots = {record["tree_size"]: record["root"] for record in published.lineage}
    hashes = b"".join(record["leaf_hashes"] for record in published.lineage)
    cases = []
    for decision in published.decisions:
        index = decision["leaf_index"]
        note = note_of(decision, roots[decision["tree_size"]])
        by_bytes = Case(
            key,
            note.encode(),
            leaf=decision["entry"],
            index=index,
            path=decision["inclusion_path"],
        )
        recorded = hashes[32 * index : 32 * index + 32]
        cases += [by_bytes, by_bytes._replace(leaf=None, leaf_hash=recorded)]
    return cases


def consistency_cases(published: Published, public: bytes) -> list[Case]:
    """Claim each checkpoint, verbatim, to continue the one before."""
    key = verifier_key(published.origin, public)
    notes = [record["checkpoint"].encode() for record in published.lineage]
    first = Case(key, notes[0])
    later = [
        Case(key, record["checkpoint"].encode(), older=older, proof=record["consistency"])
        for older, record in zip(notes, published.lineage[1:], strict=False)
    ]
    return [first, *later]


def split_note(note: str) -> tuple[bytes, bytes]:
    """Return what is signed, and the 64 bytes of the only signature, without the key id."""
    body, _, line = note.rpartition("\n\n")
    return (body + "\n").encode(), base64.b64decode(line.split()[-1])[4:]


def input_digest(key: bytes | None, value: bytes | None) -> bytes:
    """Return what a decision says of its input record: SHA-256 over key length, key, value."""
    length = b"\xff" * 4 if key is None else len(key).to_bytes(4, "big")
    return hashlib.sha256(length + (key or b"") + (value or b"")).digest()
