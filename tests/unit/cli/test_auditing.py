"""`gate evidence`, `gate verify`, `gate audit`, `gate replay`."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from zlib import crc32

import pytest

from gate import wiring
from gate.adapters.embedded.file import checksum_start
from gate.cli.main import main
from gate.config import load_config
from gate.core.proof.checkpoint import checkpoint_body, note_key_id, signed_note, verifier_key
from tests.unit.cli.harness import ISSUERS, Shell, write_request

PREFIX = "dev.example/gate/"
ORIGIN = "dev.example/gate/gate.requests.v1/0/1"
RUNTIME = f"runtime x/1 sha256:{'0' * 64}"


@pytest.fixture(scope="session")
def _decided_template(template_in_force, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli-decided") / "gate"
    shutil.copytree(template_in_force, folder)
    with contextlib.chdir(folder):
        name = write_request(folder, request_id="req-1")
        for _ in range(2):
            assert main(["submit", name, "--key", "keys/requester.key", *ISSUERS]) == 0
        assert main(["run", "--until-caught-up"]) == 0
    return folder


@pytest.fixture
def decided(_decided_template, tmp_path, monkeypatch, capsys) -> Shell:
    """Give a gate that approved `req-1` and denied its replay, both under one request id."""
    folder = tmp_path / "decided"
    shutil.copytree(_decided_template, folder)
    monkeypatch.chdir(folder)
    return Shell(folder, capsys)


@pytest.fixture
def proved(decided):
    """Also has the evidence of the approval, in `e.json`."""
    listed = decided("evidence", "req-1", "-o", "e.json", "--output", "json").json()
    assert decided("evidence", listed[0]["decision"], "-o", "e.json").code == 0
    return decided


def _public(name: str = "checkpoint") -> bytes:
    return wiring.signer(Path(f"keys/{name}.key")).public_key()


def test_several_matches_are_listed_and_nothing_is_written(decided):
    ended = decided("evidence", "req-1", "-o", "e.json", "--output", "json")
    assert ended.code == 2
    assert "2 decisions on `req-1`: name one of them" in ended.err
    assert [(item["outcome"], item["reason"]) for item in ended.json()] == [
        ("approved", "approved"),
        ("denied", "replayed"),
    ]
    assert not Path("e.json").exists()


def test_no_match_is_a_no(decided):
    ended = decided("evidence", "req-2", "-o", "e.json")
    assert ended == (1, "", "no decision on `req-2`\n")


def test_evidence_is_never_overwritten(proved):
    reference = proved("evidence", "req-1", "-o", "x.json", "--output", "json").json()[1]
    ended = proved("evidence", reference["decision"], "-o", "e.json")
    assert (ended.code, "exists already" in ended.err) == (3, True)


def test_evidence_verifies_with_the_public_key_alone(proved, tmp_path, monkeypatch):
    public = _public()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "e.json").write_bytes(Path("e.json").read_bytes())
    (moved / "key").write_text(verifier_key(PREFIX.rstrip("/"), public) + "\n")
    monkeypatch.chdir(moved)
    for key in (public.hex(), verifier_key("any", public), "key"):
        ended = proved("verify", "e.json", "--key", key, "--log", PREFIX, "--output", "json")
        (answer,) = ended.json()
        assert (ended.code, answer["verified"], answer["status"]) == (0, True, "signed")
        assert (answer["re_decided"], answer["entry"]["outcome"]) == (True, "approved")


def test_evidence_verifies_under_the_trust_root(proved):
    ended = proved("verify", "e.json", "--trust-root", "trust-root.json")
    assert ended.code == 0
    assert ended.out.startswith("SIGNED APPROVED dev.example/gate/")
    assert "under trust root 1; decided again, same bytes" in ended.out


@pytest.mark.parametrize(
    ("key", "log", "code"),
    [
        ("checkpoint", "dev.example/other/", "unknown_log at step 2"),
        ("author", PREFIX, "no_trusted_signature at step 5"),
    ],
)
def test_evidence_is_refused_under_other_trust(proved, key, log, code):
    ended = proved("verify", "e.json", "--key", _public(key).hex(), "--log", log)
    assert ended.code == 1
    assert ended.out.startswith(f"REFUSED {code}")


def test_one_changed_byte_is_refused(proved):
    data = Path("e.json").read_text()
    proof = json.loads(data)["proof"]
    index = proof.split("index ")[1].split("\n")[0]
    Path("e.json").write_text(data.replace(f"index {index}", f"index {int(index) + 1}"))
    ended = proved("verify", "e.json", "--trust-root", "trust-root.json")
    assert (ended.code, ended.out.startswith("REFUSED")) == (1, True)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("00" * 32, "checkpoint key: "),
        ("a+b+c", "checkpoint key: "),
        ("absent", "checkpoint key `absent` can not be read"),
        ("gate.toml", "`gate keys show` prints both"),
    ],
)
def test_a_key_that_is_none_is_refused(shell, key, expected):
    Path("e.json").write_text("{}")
    ended = shell("verify", "e.json", "--key", key, "--log", PREFIX)
    assert (ended.code, ended.out) == (3, "")
    assert expected in ended.err


def _note(name: str, size: int, root: bytes, key: str = "checkpoint") -> str:
    body = checkpoint_body(ORIGIN, size, root, RUNTIME)
    signer = wiring.signer(Path(f"keys/{key}.key"))
    key_id = note_key_id(ORIGIN, signer.public_key())
    Path(name).write_text(signed_note(body, ORIGIN, key_id, signer.sign(body)))
    return name


def test_a_fork_is_proved_by_two_notes(shell):
    notes = _note("a", 3, b"\1" * 32), _note("b", 3, b"\2" * 32)
    ended = shell("verify", "--fork", *notes, "--trust-root", "trust-root.json", "--output", "json")
    assert (ended.code, ended.json()[0]["fork"], ended.json()[0]["size"]) == (0, True, 3)


def test_notes_of_other_sizes_prove_no_fork(shell):
    notes = _note("a", 3, b"\1" * 32), _note("b", 4, b"\2" * 32)
    ended = shell("verify", "--fork", *notes, "--trust-root", "trust-root.json")
    assert (ended.code, ended.out.startswith("no fork")) == (1, True)


def test_a_note_that_nobody_trusted_signed_proves_nothing(shell):
    notes = _note("a", 3, b"\1" * 32), _note("b", 3, b"\2" * 32, "author")
    ended = shell("verify", "--fork", *notes, "--trust-root", "trust-root.json")
    assert (ended.code, ended.out.startswith("REFUSED")) == (1, True)


def test_an_audit_counts_and_finds_nothing_in_a_sound_gate(decided):
    ended = decided("audit", "--trust-root", "trust-root.json", "--output", "json")
    (result,) = ended.json()
    totals = result["totals"]
    assert (ended.code, result["ok"], result["anchored"]) == (0, True, True)
    assert totals["input_records"] + totals["genesis"] == totals["entries"]
    assert (totals["approved"], totals["denied"], totals["control"]) == (1, 1, 4)
    assert totals["keys_approved_twice"] == 0


def _change_last_request(*, with_checksum: bool) -> tuple[int, int]:
    """Change a byte of the last request in the log's file; return its partition and offset."""
    file = load_config(Path("gate.toml")).config.log.file
    with contextlib.closing(sqlite3.connect(file)) as connection:
        row, partition, time_ms, key, value, headers = connection.execute(
            "SELECT record.id, number, time_ms, key, value, headers FROM record"
            " JOIN partition ON record.id >> 40 = partition.id"
            " JOIN topic ON topic.id = partition.topic"
            " WHERE name = 'gate.requests.v1' AND key IS NOT NULL ORDER BY record.id DESC LIMIT 1"
        ).fetchone()
        assert headers is None
        changed = value[:-1] + bytes([value[-1] ^ 1])
        connection.execute("UPDATE record SET value = ? WHERE id = ?", (changed, row))
        if with_checksum:
            crc = crc32(changed, crc32(key, checksum_start(row, time_ms)))
            connection.execute("UPDATE record SET crc = ? WHERE id = ?", (crc, row))
        connection.commit()
    return partition, row & ((1 << 40) - 1)


def test_an_audit_names_an_input_that_was_changed(decided):
    partition, offset = _change_last_request(with_checksum=True)
    ended = decided("audit", "--output", "json")
    (result,) = ended.json()
    assert (ended.code, result["ok"]) == (1, False)
    assert ("gate.requests.v1", partition, offset) in [
        (item["topic"], item["partition"], item["offset"]) for item in result["findings"]
    ]


def test_a_replay_names_the_leaf_of_an_input_that_was_changed(decided):
    partition, offset = _change_last_request(with_checksum=True)
    ended = decided("replay", "--partition", partition)
    assert ended.code == 1
    assert f"input offset {offset}\n" in ended.out
    assert "input_sha256: recorded" in ended.out


def test_a_log_file_with_bit_rot_needs_an_operator(decided):
    _change_last_request(with_checksum=False)
    ended = decided("audit")
    assert (ended.code, ended.out) == (5, "")


def test_a_replay_gives_the_same_bytes_with_and_without_the_secret(decided):
    plain = decided("replay", "--output", "json")
    assert (plain.code, [item["ok"] for item in plain.json()]) == (0, [True] * 4)
    assert not any(item["has_computed_salts"] for item in plain.json())
    computed = decided("replay", "--lineage-secret", "--output", "json")
    assert (computed.code, sum(item["leaves"] for item in computed.json())) == (0, 6)
    assert all(item["has_computed_salts"] for item in computed.json())


def test_a_replay_of_one_partition_up_to_an_offset(decided):
    ended = decided("replay", "--partition", "1", "--until", "0", "--output", "json")
    (result,) = ended.json()
    assert (ended.code, result["partition"], result["leaves"]) == (0, 1, 0)


def test_a_partition_that_is_not_there_is_a_usage_error(decided):
    ended = decided("replay", "--partition", "4")
    assert (ended.code, "there are partitions 0 to 3 only" in ended.err) == (2, True)


def test_a_private_key_is_not_what_verifies(proved):
    file = "keys/checkpoint.key"
    ended = proved("verify", "e.json", "--key", file, "--log", PREFIX)
    assert (ended.code, ended.out) == (3, "")
    assert f"this is a private key; `gate keys show {file}` prints the public key" in ended.err


def test_a_prefix_without_its_slash_has_a_hint(proved):
    key = _public().hex()
    ended = proved("verify", "e.json", "--key", key, "--log", PREFIX.rstrip("/"))
    assert ended.code == 1
    assert ended.err == (
        "`--log dev.example/gate` names one lineage: a prefix of several ends in `/`\n"
    )


def test_the_first_line_of_a_verification_has_the_outcome(proved):
    ended = proved("verify", "e.json", "--trust-root", "trust-root.json")
    assert ended.out.split()[:2] == ["SIGNED", "APPROVED"]
    command = ("verify", "e.json", "--trust-root", "trust-root.json", "--output", "json")
    assert proved(*command).json()[0]["entry"]["actor_verified"] is True
