"""Mistakes of configuration that `gate run` and `gate config check` see before anything starts."""

import shutil

import pytest

COMMANDS = [("run", "--until-caught-up"), ("config", "check")]


def _set(monkeypatch, name: str, value: object) -> None:
    monkeypatch.setenv(f"GATE_{name}", str(value))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("LOG__PARTITIONS", 8, "expected 4 as topic `gate.requests.v1` has, got 8"),
        ("DOMAIN", "other.example", "`domain`: expected `dev.example` as t"),
        ("GATE", "other", "log has no topic `other.requests.v1`: run `gate init-lineage` first"),
        ("STATE__FOLDER", "gate.toml", "`state.folder`: expected a folder, got the file"),
        ("KEYS__CHECKPOINT", "keys/author.key", "copy the key from another node"),
        ("KEYS__CHECKPOINT", "keys/none.key", "copy it from another node of this gate or from"),
        ("KEYS__LINEAGE_SECRET", "keys/none", "copy it from another node of this gate or from"),
        ("LOG__FILE", "", "`log.file`: expected the embedded log's file, got ``"),
    ],
)
def test_a_configuration_of_another_gate_is_refused(
    gate, monkeypatch, command, name, value, expected
):
    _set(monkeypatch, name, value)
    ended = gate(*command)
    assert (ended.code, ended.out) == (3, "")
    assert expected in ended.err
    assert "gate_started" not in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_another_lineage_secret_is_refused_and_the_file_named(gate, monkeypatch, command):
    other = gate.folder / "keys/other.secret"
    other.touch(mode=0o600)
    other.write_text("0" * 64 + "\n")
    _set(monkeypatch, "KEYS__LINEAGE_SECRET", "keys/other.secret")
    ended = gate(*command)
    assert (ended.code, ended.out) == (3, "")
    assert f"lineage secret `{other}` is not the one with which this gate began" in ended.err


def test_the_right_configuration_starts(gate):
    assert gate("config", "check").code == 0
    assert gate("run", "--until-caught-up").code == 0


def test_a_copy_of_the_key_in_another_place_is_as_good(gate, monkeypatch):
    shutil.copy(gate.folder / "keys/checkpoint.key", gate.folder / "copied.key")
    _set(monkeypatch, "KEYS__CHECKPOINT", "copied.key")
    assert gate("run", "--until-caught-up").code == 0


def test_a_configuration_without_a_log_is_checked_alone(shell):
    assert shell("config", "check") == (0, "ok: `dev.example/gate`\n", "")
