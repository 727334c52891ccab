import json

import pytest

from gate.core import jcs
from gate.core.proof.evidence import (
    EvidenceInvalid,
    Proof,
    encode_evidence,
    encode_proof,
    read_evidence,
    read_proof,
)
from tests.unit.core.proof.lineages import APPROVED_AT, a_lineage, good_evidence

EVIDENCE = good_evidence()
DATA = encode_evidence(EVIDENCE)
TEXT = encode_proof(EVIDENCE.proof)
HASH = jcs.encode_base64(bytes(32))


def test_evidence_reads_back_with_and_without_attachments():
    assert read_evidence(DATA) == EVIDENCE
    bare = EVIDENCE._replace(later=(), policy=None, control=None, input=None)
    assert read_evidence(encode_evidence(bare)) == bare


def test_an_absent_key_or_value_of_the_input_reads_back_as_absent():
    for record in ((None, b""), (b"", None)):
        made = EVIDENCE._replace(input=type(EVIDENCE.input)(*record))
        assert read_evidence(encode_evidence(made)).input == record


def test_the_proof_is_a_tlog_proof_as_c2sp_writes_it():
    proof = a_lineage().proof(APPROVED_AT, 9)
    lines = encode_proof(proof).split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == f"extra {jcs.encode_base64(proof.entry)}"
    assert lines[2] == "index 5"
    assert lines[3:7] == [
        jcs.encode_base64(proof.path[start : start + 32]) for start in range(0, 128, 32)
    ]
    assert "\n".join(lines[8:]) == proof.checkpoint
    assert lines[7] == ""


def test_a_proof_without_hashes_reads_back():
    proof = Proof(b"entry", 0, b"", "note\n")
    assert read_proof(encode_proof(proof)) == proof


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected `c2sp.org/tlog-proof@v1`"),
        (TEXT.replace("@v1", "@v2", 1), "expected `c2sp.org/tlog-proof@v1`"),
        (TEXT.replace("extra ", "extras ", 1), "`extra` and `index` lines"),
        (TEXT.replace("extra ", "extra  ", 1), "extra line: not base64"),
        (TEXT.replace("index 5", "index 05", 1), "expected `index <decimal>`"),
        (TEXT.replace("index 5", "index -5", 1), "expected `index <decimal>`"),
        (TEXT.replace("index 5", f"index {2**63}", 1), "expected `index <decimal>`"),
        (TEXT.replace("index 5\n", "index 5\n" + HASH[:-4] + "\n", 1), "not base64|of 32 bytes"),
        (TEXT.replace("index 5\n", "index 5\nAAAA\n", 1), "expected a hash of 32 bytes, got 3"),
        (TEXT.replace("index 5\n", f"index 5\n{HASH}\r\n", 1), "not base64"),
        (TEXT.replace("index 5\n", "index 5\n" + f"{HASH}\n" * 60, 1), "at most 63 hashes"),
        ("c2sp.org/tlog-proof@v1\nextra \nindex 0\n\nx", "an entry of at most"),
        (encode_proof(Proof(bytes(32 * 1024 + 1), 0, b"", "x")), "an entry of at most"),
        (TEXT + "x" * 140_000, "too long"),
    ],
)
def test_a_proof_in_another_form_is_refused(text, message):
    with pytest.raises(EvidenceInvalid, match=message):
        read_proof(text)


def with_members(**changes):
    return jcs.canonical({**json.loads(DATA), **changes})


LINK = json.loads(DATA)["later"][0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "expected an object"),
        (with_members(note=""), "unknown member `note`"),
        (with_members(format="gate-evidence/2"), "`format`: expected `gate-evidence/1`"),
        (with_members(receipts=[1]), "expected empty arrays"),
        (with_members(timestamps={}), "expected empty arrays"),
        (with_members(proof=1), "`proof`: expected a string, got an integer"),
        (with_members(later=[]), "an array of 1 to 16 links"),
        (with_members(later=[LINK] * 17), "an array of 1 to 16 links"),
        (with_members(later=[{**LINK, "x": 1}]), r"`later\[0\]`: unknown member `x`"),
        (with_members(later=[{**LINK, "consistency": "x"}]), "expected an array"),
        (with_members(later=[{**LINK, "consistency": [1]}]), "expected a string"),
        (with_members(later=[{**LINK, "consistency": [HASH] * 64}]), "at most 63 hashes"),
        (with_members(policy=None), "`envelope`: expected an object, got null"),
        (with_members(control={}), "is missing"),
        (with_members(input={"key": None}), "member `value` is missing"),
        (with_members(input={"key": "AA=", "value": None}), "not base64"),
        (
            with_members(input={"key": None, "value": jcs.encode_base64(bytes(262_145))}),
            "at most 262144 bytes",
        ),
        (DATA + b"\n", "not canonical JSON"),
        (DATA.replace(b'"receipts":[]', b'"receipts": []'), "not canonical JSON"),
        (DATA.replace(b'"format":', b'"format":"gate-evidence/1","format":'), "stands twice"),
        (b'"' + b"x" * (16 * 1024 * 1024), "too long"),
    ],
    ids=range(22),
)
def test_evidence_in_another_form_is_refused(data, message):
    with pytest.raises(EvidenceInvalid, match=message):
        read_evidence(data)
