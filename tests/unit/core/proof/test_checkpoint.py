import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.core import jcs
from gate.core.proof.checkpoint import (
    CheckpointInvalid,
    Note,
    NoteSignature,
    check_origin,
    checkpoint_body,
    note_key_id,
    origin,
    read_note,
    read_signed_note,
    read_verifier_key,
    signed_note,
    verifier_key,
)
from tests.unit.core.proof.lineages import ORIGIN, RUNTIME, key_of

ROOT = bytes(range(32))
BODY = checkpoint_body(ORIGIN, 9, ROOT, RUNTIME)
KEY_ID, SIGNATURE = b"\x01\x02\x03\x04", bytes(64)
NOTE = signed_note(BODY, ORIGIN, KEY_ID, SIGNATURE)


def test_a_checkpoint_is_four_lines():
    assert BODY.decode() == (
        "acme.example/payments/payments.requests.v1/3/1\n"
        "9\n"
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        f"{RUNTIME}\n"
    )


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 1 << 31))
def test_a_note_reads_back(size, root, partition):
    name = origin("acme.example", "payments", "requests", partition, 7)
    body = checkpoint_body(name, size, root, RUNTIME)
    line = NoteSignature(name, KEY_ID, SIGNATURE)
    read = read_note(signed_note(body, name, KEY_ID, SIGNATURE))
    assert read == Note(body, name, size, root, RUNTIME, (line,))


def test_lines_of_other_names_and_algorithms_stand_beside_the_gates():
    witness = jcs.encode_base64(bytes(4) + b"any length")
    note = read_note(NOTE + f"— witness.example/ü {witness}\n")
    assert note.body == BODY
    assert note.signatures[1] == NoteSignature("witness.example/ü", bytes(4), b"any length")


LINE = NOTE.split("\n\n")[1]
HEAD = NOTE.split("\n\n")[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected text, a blank line"),
        (HEAD + "\n", "expected text, a blank line"),
        (NOTE[:-1], "expected text, a blank line"),
        (NOTE + "\n", "expected text, a blank line"),
        (NOTE.replace("\n\n", "\n\n\n"), "one runtime line"),
        (NOTE.replace("—", "-"), "expected `— name base64`"),
        (NOTE.replace("\n", "\r\n"), "expected text, a blank line"),
        (NOTE.replace("\n9\n", "\n9\r\n"), "control character"),
        (NOTE.replace("\n9\n", "\n09\n"), "expected a decimal size"),
        (NOTE.replace("\n9\n", "\n+9\n"), "expected a decimal size"),
        (NOTE.replace("\n9\n", "\n9 \n"), "expected a decimal size"),
        (NOTE.replace("\n9\n", "\n٩\n"), "expected a decimal size"),
        (NOTE.replace("\n9\n", f"\n{2**63}\n"), "expected a decimal size"),
        (NOTE.replace("Hh8=", "Hh9="), "not canonical base64"),
        (NOTE.replace("AAECAwQF", "AAEC"), "not base64|not canonical|32 bytes"),
        (NOTE.replace("AAECAwQFBgcI", "BgcICQoL")[:-4], "expected text, a blank line"),
        (NOTE.replace(RUNTIME + "\n", ""), "one runtime line"),
        (NOTE.replace(RUNTIME, RUNTIME + "\nmore"), "one runtime line"),
        (NOTE.replace(RUNTIME, "runtime x sha256:00"), "expected `runtime <name>/<version>"),
        (NOTE.replace("acme.example", "acme example"), "between slashes|name base64"),
        (NOTE.replace(ORIGIN, "DSSEv1/x"), "between slashes"),
        (NOTE + LINE, "two signature lines of one key"),
        (HEAD + "\n\n" + "".join(f"— n{i} AAAAAAA=\n" for i in range(17)), "at most 16"),
        (HEAD + "\n\n— n AAAAAA==\n", "too short"),
        (HEAD + "\n\n— n+m AAAAAAA=\n", "expected `— name base64`"),
        (NOTE + f"— w {'A' * 140_000}\n", "too long"),
        (NOTE.replace("acme", "\ud800"), "not UTF-8"),
    ],
)
def test_a_note_in_another_form_is_refused(text, message):
    with pytest.raises(CheckpointInvalid, match=message):
        read_note(text)


def test_any_text_may_be_a_signed_note_but_only_a_checkpoint_is_a_checkpoint():
    text = f"hello\n\nworld\n\n{LINE}"
    assert read_signed_note(text).text == b"hello\n\nworld\n"
    with pytest.raises(CheckpointInvalid, match="checkpoint: expected origin"):
        read_note(text)


@pytest.mark.parametrize(
    "parts",
    [
        ("a/b", "gate", "topic", 0, 1),
        ("", "gate", "topic", 0, 1),
        ("a", "gate\n", "topic", 0, 1),
        ("a", "gate", "töpic", 0, 1),
        ("a", "gate", "topic", -1, 1),
        ("a", "gate", "topic", 0, 0),
        ("DSSEv1.example", "gate", "topic", 0, 1),
        ("a", "gate", "t" * 200, 0, 1),
    ],
)
def test_an_origin_that_could_be_read_in_two_ways_is_refused(parts):
    with pytest.raises(CheckpointInvalid):
        origin(*parts)


@pytest.mark.parametrize("text", ["a", "/a/b", "a//b", "a/b/", "a/b\n", "cosignature/v1"])
def test_an_origin_is_names_between_slashes(text):
    with pytest.raises(CheckpointInvalid):
        check_origin(text)


@pytest.mark.parametrize(
    ("size", "root", "runtime"),
    [(-1, ROOT, RUNTIME), (2**63, ROOT, RUNTIME), (1, b"", RUNTIME), (1, ROOT, RUNTIME + "\n")],
)
def test_nothing_is_signed_that_could_not_be_read(size, root, runtime):
    with pytest.raises(CheckpointInvalid):
        checkpoint_body(ORIGIN, size, root, runtime)


def test_a_verifier_key_reads_back():
    key = key_of("checkpoint")
    text = verifier_key(ORIGIN, key.public)
    assert text.startswith(f"{ORIGIN}+{note_key_id(ORIGIN, key.public).hex()}+")
    assert read_verifier_key(text) == (ORIGIN, key.public)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(ORIGIN, "x"),
        lambda text: text[:-1],
        lambda text: text.replace("+", ""),
        lambda text: text.replace("+", "+0", 1),
        lambda text: text.upper(),
        lambda text: "",
        lambda text: "\ud800" + text,
    ],
)
def test_an_altered_verifier_key_is_refused(change):
    with pytest.raises(CheckpointInvalid):
        read_verifier_key(change(verifier_key(ORIGIN, key_of("checkpoint").public)))
