"""`gate init`, `gate init-lineage`, `gate keys`, `gate config`, `gate runtime`."""

import hashlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from gate import wiring
from gate.adapters.manifest import DEPENDENCIES, runtime_line, runtime_manifest
from gate.config import load_config
from gate.core import jcs
from gate.core.proof.checkpoint import checkpoint_body, note_key_id, read_verifier_key
from gate.core.trust import verify_first
from gate.wiring import development
from tests.unit.cli.harness import ACTIVATORS, POLICY

ROOT = Path(__file__).parents[3]


def test_init_makes_a_complete_development_set_and_says_what_it_is(shell, tmp_path):
    ended = shell("init", tmp_path / "made", "--domain", "acme.example")
    made = tmp_path / "made"
    assert ended.code == 0
    assert "for development only" in ended.err
    assert sorted(path.relative_to(made).as_posix() for path in made.rglob("*.*")) == [
        "gate.toml",
        *(
            f"keys/{name}"
            for name in (
                "activator-1.key",
                "activator-2.key",
                "author.key",
                "checkpoint.key",
                "issuer-core-banking.key",
                "issuer-kyc-service.key",
                "issuer.key",
                "lineage.secret",
                "operator-1.key",
                "operator-2.key",
                "requester.key",
                "root-1.key",
                "root-2.key",
                "root-3.key",
            )
        ),
        "policies/boston-mortgage.policy.yaml",
        "policies/boston-mortgage.tests.yaml",
        "policies/loan-approval.policy.yaml",
        "policies/loan-approval.tests.yaml",
        "trust-root.json",
    ]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (made / "keys").iterdir()}
    assert set(modes.values()) == {0o600}


def test_the_development_trust_root_names_holders_and_thresholds(shell):
    root = verify_first((shell.folder / "trust-root.json").read_bytes())
    assert (root.domain, root.version, root.root.threshold) == ("dev.example", 1, 2)
    assert {role: len(keys) for role, keys in root.roles.items()} == {
        "approver": 0,
        "operator": 2,
        "policy_activator": 2,
        "policy_author": 1,
        "requester": 1,
        "signal_issuer": 3,
    }
    assert [
        root.thresholds[role] for role in ("policy_author", "policy_activator", "operator")
    ] == [
        1,
        2,
        2,
    ]


def test_init_touches_no_folder_that_holds_something(shell):
    before = sorted(shell.folder.rglob("*"))
    ended = shell("init", shell.folder)
    assert ended == (3, "", f"error: folder `{shell.folder}` is not empty: name a new one\n")
    assert sorted(shell.folder.rglob("*")) == before


def test_init_fills_the_empty_folder_that_one_stands_in(shell, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert shell("init", ".").code == 0
    assert sorted(path.name for path in Path().iterdir()) == [
        "gate.toml",
        "keys",
        "policies",
        "trust-root.json",
    ]


@pytest.mark.parametrize("domain", ["Bad Domain!", "", "-x", "a/b", "a" * 81])
def test_init_refuses_a_bad_domain_and_leaves_nothing_behind(shell, tmp_path, domain):
    place = tmp_path / "place"
    place.mkdir()
    ended = shell("init", place / "made", "--domain", domain)
    assert (ended.code, ended.out) == (3, "")
    assert "domain: expected 1 to 80 ASCII letters, digits and `._-`" in ended.err
    assert list(place.iterdir()) == []


def test_init_names_the_gate_in_configuration_and_trust_root(shell, tmp_path):
    made = tmp_path / "made"
    options = ("--gate", "payments.eu", "--kafka", "broker-1:9092,broker-2:9092")
    assert shell("init", made, *options).code == 0
    config = load_config(made / "gate.toml").config
    assert (config.audience, config.log.kind) == ("dev.example/payments.eu", "kafka")
    (key,) = verify_first((made / "trust-root.json").read_bytes()).checkpoint_keys
    assert key.origins == ("dev.example/payments.eu/",)


@pytest.mark.parametrize("name", ["", "a b", "a/b", 'a"', "a\n", "a" * 49])
def test_init_refuses_a_bad_gate_name_and_leaves_nothing_behind(shell, tmp_path, name):
    place = tmp_path / "place"
    place.mkdir()
    ended = shell("init", place / "made", "--gate", name)
    assert (ended.code, ended.out) == (3, "")
    assert "gate: expected 1 to 48 ASCII letters, digits and `._-`" in ended.err
    assert list(place.iterdir()) == []


def test_an_interrupted_init_leaves_nothing_behind_and_can_be_tried_again(
    shell, tmp_path, monkeypatch
):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    place = tmp_path / "place"
    place.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(development, "create_secret", interrupted)
        assert shell("init", place / "made") == (130, "", "interrupted\n")
    assert list(place.iterdir()) == []
    assert shell("init", place / "made").code == 0


def test_what_init_says_next_can_be_pasted_into_a_shell(shell, tmp_path):
    lines = shell("init", tmp_path / "a b; c").out.splitlines()
    assert [shlex.split(line) for line in lines[2:]] == [
        ["cd", str(tmp_path / "a b; c")],
        ["gate", "init-lineage", "--from", "beginning"],
        [
            *("gate", "policy", "activate", "policies/boston-mortgage.policy.yaml"),
            *("--author-key", "keys/author.key", *ACTIVATORS),
        ],
        ["gate", "run"],
    ]


def test_the_version_is_told(shell):
    assert shell("--version") == (0, f"gate {wiring.package_version()}\n", "")


def test_a_lineage_is_begun_once(shell):
    first = shell("init-lineage", "--from", "end", "--output", "json")
    (values,) = first.json()
    assert (first.code, values["partitions"], values["audience"]) == (0, 4, "dev.example/gate")
    second = shell("init-lineage", "--from", "end")
    assert second.code == 3
    assert "this gate has a lineage already" in second.err


def test_init_lineage_refuses_a_trust_root_of_another_domain(shell):
    file = shell.folder / "gate.toml"
    file.write_text(file.read_text().replace("dev.example", "other.example"))
    ended = shell("init-lineage", "--from", "end")
    assert ended.code == 3
    assert "`domain`: expected `dev.example` as trust root" in ended.err


@pytest.mark.parametrize(
    "line",
    [
        ("submit", "loan.json", "--policy", POLICY),
        ("submit", "loan.json"),
        ("tail", "--from-beginning", "--count", "1"),
        ("config", "check"),
        ("run", "--until-caught-up"),
    ],
)
def test_a_domain_that_is_not_the_gates_is_refused_by_whoever_uses_it(shell, monkeypatch, line):
    """A request for it could only be denied, and what is shown would be another gate's."""
    monkeypatch.chdir(shell.folder)
    assert shell("init-lineage", "--from", "end").code == 0
    shell.request()
    file = shell.folder / "gate.toml"
    file.write_text(file.read_text().replace("dev.example", "other.example"))
    ended = shell(*line)
    assert (ended.code, ended.out) == (3, "")
    assert "`domain`: expected `dev.example` as" in ended.err


def test_run_before_the_first_start_says_what_is_missing(shell):
    ended = shell("run")
    assert ended.code == 3
    assert "does not exist" in ended.err


def test_keys_shows_public_sides_only(shell):
    key = shell.folder / "keys/checkpoint.key"
    ended = shell("keys", "show", key, "--log", "dev.example/gate/r/0/1", "--output", "json")
    (values,) = ended.json()
    public = bytes.fromhex(values["public_key"])
    assert values["key_id"] == hashlib.sha256(public).hexdigest()[:32]
    assert read_verifier_key(values["verifier_key"]) == ("dev.example/gate/r/0/1", public)
    assert key.read_text().splitlines()[1] not in ended.out + ended.err


def test_keys_create_makes_a_private_file_and_never_overwrites(shell):
    first = shell("keys", "create", "mine.key")
    assert first.code == 0
    assert (shell.folder / "mine.key").stat().st_mode & 0o777 == 0o600
    second = shell("keys", "create", "mine.key")
    assert (second.code, "exists already" in second.err) == (3, True)


def test_config_show_names_every_value_with_its_origin(shell, monkeypatch):
    monkeypatch.setenv("GATE_SLOT", "gate-7")
    shown = {item["name"]: item for item in shell("config", "show", "--output", "json").json()}
    assert shown["slot"] == {
        "name": "slot",
        "value": "gate-7",
        "origin": "environment GATE_SLOT",
    }
    text = shell("config", "show", "--origin").out
    assert "slot = gate-7  # environment GATE_SLOT\n" in text
    assert "log.partitions = 4  # gate.toml:9\n" in text


def test_config_show_holds_no_secret(shell):
    ended = shell("config", "show", "--origin")
    for name in ("keys/lineage.secret", "keys/checkpoint.key"):
        secret = max((shell.folder / name).read_text().splitlines(), key=len)
        assert secret not in ended.out + ended.err


def test_config_check_compares_the_checkpoint_key_with_the_trust_root(shell):
    key = shell.folder / "keys/checkpoint.key"
    key.write_bytes((shell.folder / "keys/author.key").read_bytes())
    ended = shell("config", "check")
    assert ended.code == 3
    assert "is not listed as active for `dev.example/gate/gate.requests.v1/3/1`" in ended.err


def test_the_runtime_manifest_names_the_declared_dependencies():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert tuple(re.split(r"[<>=~! ]", item)[0] for item in declared) == DEPENDENCIES


def test_the_runtime_manifest_lists_every_file_and_its_digest_stands_in_the_line(shell):
    (values,) = shell("runtime", "manifest", "--output", "json").json()
    assert values["sha256"] == hashlib.sha256(runtime_manifest()).hexdigest()
    assert runtime_line().endswith(f"sha256:{values['sha256']}")
    files = values["manifest"]["files"]
    own = ROOT / "gate/config/model.py"
    assert files["config/model.py"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]


def test_the_runtime_line_is_one_that_checkpoints_take():
    body = checkpoint_body("dev.example/gate/r/0/1", 1, bytes(32), runtime_line())
    assert body.endswith(runtime_line().encode() + b"\n")
    assert jcs.is_canonical(runtime_manifest())
    assert len(note_key_id("x", bytes(32))) == 4


@pytest.mark.parametrize("name", ["keys", "policies"])
def test_what_init_says_next_names_files_that_are_there(shell, tmp_path, name):
    ended = shell("init", tmp_path / "again")
    named = [word for word in ended.out.split() if word.startswith(f"{name}/")]
    assert named
    assert [word for word in named if not (tmp_path / "again" / word).exists()] == []
