"""Vectors that nobody in this project wrote."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gate.core.proof.checkpoint import (
    CheckpointInvalid,
    checkpoint_body,
    note_key_id,
    read_hash,
    read_signed_note,
    read_verifier_key,
    verifier_key,
)
from gate.core.proof.merkle import verify_consistency, verify_inclusion
from gate.core.signature import PublicKeyInvalid, load_public_key
from tests.unit.core.proof.lineages import ORIGIN, RUNTIME, key_of

SHARED = Path(__file__).parents[2] / "../shared/vectors"


def vectors(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"`{name}` is not beside this checkout, see tests/vectors")
    return json.loads(path.read_text())


def hashes(lines):
    """Read a proof's hashes as an evidence file's reader does: each line 32 bytes, or refused."""
    return b"".join(read_hash(line) for line in lines or [])


def decoded(text):
    return base64.b64decode(text)


def is_included(case):
    try:
        path = hashes(case["proof"])
    except CheckpointInvalid:
        return False
    leaf, root = decoded(case["leafHash"]), decoded(case["root"])
    return verify_inclusion(leaf, case["leafIdx"], case["treeSize"], path, root)


def is_consistent(case):
    try:
        proof = hashes(case["proof"])
    except CheckpointInvalid:
        return False
    old_root, root = decoded(case["root1"]), decoded(case["root2"])
    return verify_consistency(case["size1"], old_root, case["size2"], root, proof)


def test_inclusion_is_judged_as_transparency_dev_does():
    cases = vectors("merkle-inclusion.json")
    assert len(cases) == 98
    assert [case["case"] for case in cases if is_included(case) == case["wantErr"]] == []


def test_consistency_is_judged_as_transparency_dev_does_and_refused_from_an_empty_tree():
    cases = vectors("merkle-consistency.json")
    assert len(cases) == 98
    assert [case["case"] for case in cases if is_consistent(case) == case["wantErr"]] == []
    assert not any(is_consistent(case) for case in cases if case["size1"] == 0)


def test_wycheproof_signatures_are_accepted_exactly_when_valid():
    checked, differing = 0, []
    for group in vectors("wycheproof-ed25519.json")["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for test in group["tests"]:
            try:
                accepted = load_public_key(public).verify(
                    bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
                )
            except PublicKeyInvalid:
                accepted = False
            checked += 1
            if accepted != (test["result"] == "valid"):
                differing.append(test["tcId"])
    assert (checked, differing) == (151, [])


# RFC 8032 §7.1: secret key, public key, message, signature
RFC_8032 = {
    "test 1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    "test 2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    "test 3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    "test sha(abc)": (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
            "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"
        ),
    ),
}


@pytest.mark.parametrize("name", RFC_8032)
def test_rfc_8032_vectors_are_made_and_accepted(name):
    secret, public, message, signature = map(bytes.fromhex, RFC_8032[name])
    private = Ed25519PrivateKey.from_private_bytes(secret)
    assert private.public_key().public_bytes_raw() == public
    assert private.sign(message) == signature
    assert load_public_key(public).verify(message, signature)
    assert not load_public_key(public).verify(message + b"\0", signature)


C2SP_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
C2SP_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""  # noqa: E501


def test_the_example_of_c2sp_signed_note_verifies():
    key, note = read_verifier_key(C2SP_KEY), read_signed_note(C2SP_NOTE)
    (line,) = note.signatures
    assert (line.name, line.key_id) == (key.name, note_key_id(key.name, key.public))
    assert load_public_key(key.public).verify(note.text, line.signature)
    assert not load_public_key(key.public).verify(note.text + b"\n", line.signature)
    assert verifier_key(*key) == C2SP_KEY


def openssl_accepts(folder, body, signature, public):
    (folder / "body").write_bytes(body)
    (folder / "signature").write_bytes(signature)
    (folder / "key").write_bytes(public)
    command = "openssl pkeyutl -verify -rawin -pubin -inkey key -in body -sigfile signature"
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, check=False)
    return done.returncode == 0


def test_openssl_accepts_a_checkpoint_body_and_refuses_an_altered_one(tmp_path):
    try:
        subprocess.run(["openssl", "version"], capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip("the openssl command is not installed")
    key = key_of("checkpoint")
    pem = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = checkpoint_body(ORIGIN, 9, bytes(32), RUNTIME)
    altered = checkpoint_body(ORIGIN, 8, bytes(32), RUNTIME)
    signature = key.private.sign(body)
    assert openssl_accepts(tmp_path, body, signature, pem)
    assert not openssl_accepts(tmp_path, altered, signature, pem)
