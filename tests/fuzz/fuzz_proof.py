"""Coverage-guided fuzzing of what reads proofs: note, evidence, envelope, trust root, record.

Run `python tests/fuzz/fuzz_proof.py -max_total_time=10 [CORPUS]`. It fails on any exception that
a reader does not promise, on anything accepted that does not read back to the same bytes, and on
evidence accepted that nobody signed.
"""

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["gate"]):
    from gate.core import dsse, jcs
    from gate.core.proof.checkpoint import (
        CheckpointInvalid,
        checkpoint_body,
        read_note,
        read_verifier_key,
        verifier_key,
    )
    from gate.core.proof.evidence import (
        EvidenceInvalid,
        encode_evidence,
        encode_proof,
        read_evidence,
        read_proof,
    )
    from gate.core.proof.verdict import Refused
    from gate.core.proof.verify import verify_decision_record, verify_evidence
    from gate.core.trust import TrustRootInvalid, read_trust_root
    from gate.core.wire.reader import WireError
    from gate.core.wire.record import encode_decision_record, read_decision_record

from tests.unit.core.proof.lineages import (
    APPROVED_AT,
    ASK,
    a_lineage,
    good_evidence,
    trust_root,
    trust_root_envelope,
)

LINEAGE = a_lineage()
RECORD = encode_decision_record(LINEAGE.record(APPROVED_AT, 13, ASK))
EVIDENCE = encode_evidence(good_evidence())
ROOT_PAYLOAD = jcs.canonical(trust_root())
ROOT = read_trust_root(ROOT_PAYLOAD)
SIGNED_LEAVES = frozenset(LINEAGE.entries)


def note(data: bytes) -> None:
    try:
        found = read_note(data.decode())
    except (CheckpointInvalid, UnicodeDecodeError):
        return
    assert found.body == checkpoint_body(found.origin, found.size, found.root, found.runtime)


def key(data: bytes) -> None:
    try:
        found = read_verifier_key(data.decode())
    except (CheckpointInvalid, UnicodeDecodeError):
        return
    assert verifier_key(*found).encode() == data


def proof(data: bytes) -> None:
    try:
        found = read_proof(data.decode())
    except (EvidenceInvalid, UnicodeDecodeError):
        return
    assert encode_proof(found).encode() == data


def evidence(data: bytes) -> None:
    result = verify_evidence(data, ROOT)
    try:
        found = read_evidence(data)
    except EvidenceInvalid:
        assert isinstance(result, Refused)
        return
    assert encode_evidence(found) == data
    assert isinstance(result, Refused) or found.proof.entry in SIGNED_LEAVES


def envelope(data: bytes) -> None:
    try:
        found = dsse.read_envelope(data)
    except dsse.EnvelopeInvalid:
        return
    assert dsse.read_envelope(dsse.encode_envelope(found)) == found


def root(data: bytes) -> None:
    try:
        read_trust_root(data)
    except TrustRootInvalid:
        return
    assert jcs.is_canonical(data)


def record(data: bytes) -> None:
    try:
        found = read_decision_record(data)
    except WireError:
        return
    result = verify_decision_record(found, ROOT)
    assert isinstance(result, Refused) or found.entry in SIGNED_LEAVES


TARGETS = (note, key, proof, evidence, envelope, root, record)
SEEDS = (
    LINEAGE.note(13).encode(),
    b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    encode_proof(good_evidence().proof).encode(),
    EVIDENCE,
    dsse.encode_envelope(trust_root_envelope()),
    ROOT_PAYLOAD,
    RECORD,
)


def one_input(data: bytes) -> None:
    """Take the first byte as the target, the rest as its input, alone and inside a good one."""
    if not data:
        return
    number = data[0] % len(TARGETS)
    TARGETS[number](data[1:])
    if len(data) > 4:
        seed = SEEDS[number]
        start = int.from_bytes(data[1:3], "big") % len(seed)
        TARGETS[number](seed[:start] + data[4:] + seed[start + data[3] % 16 :])


if __name__ == "__main__":
    for number, seed in enumerate(SEEDS):
        TARGETS[number](seed)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
