"""`gate trust`: from a description to what is in force."""

from pathlib import Path

import pytest

from gate.core.trust import verify_first, verify_next

DESCRIPTION = """\
domain = "dev.example"
expires = "2099-01-01T00:00:00Z"
[root]
threshold = 2
keys = [
  {holder = "root-1", key = "keys/root-1.key"},
  {holder = "root-2", key = "keys/root-2.key"},
  {holder = "root-3", key = "keys/root-3.key"},
]
[[checkpoint_keys]]
key = "keys/checkpoint.key"
origins = ["dev.example/gate/"]
[[roles.requester]]
holder = "web"
key = "keys/requester.key"
actors = ["web", "app-*"]
[roles.policy_author]
threshold = 1
keys = [{holder = "author", key = "keys/author.key", policies = ["*"], status = "revoked"}]
"""
ROOTS = ("--key", "keys/root-1.key", "--key", "keys/root-3.key")


@pytest.fixture
def described(gate):
    text = DESCRIPTION.replace(', status = "revoked"', "")
    (gate.folder / "trust.toml").write_text(text)
    return gate


def _build(shell):
    return shell("trust", "build", "trust.toml", "--previous", "trust-root.json", "-o", "next.json")


def test_a_trust_root_is_built_signed_and_activated(described):
    assert _build(described).code == 0
    assert described("trust", "sign", "next.json", *ROOTS).code == 0
    first = verify_first(Path("trust-root.json").read_bytes())
    found = verify_next(first, Path("next.json").read_bytes())
    assert (found.version, found.previous_sha256) == (2, first.sha256)
    assert described("trust", "activate", "next.json").code == 2
    assert described("trust", "activate", "next.json", "--yes").code == 0
    assert described("run", "--until-caught-up").code == 0
    shown = described("trust", "show", "next.json").out
    assert "  requester: web, key" in shown
    refused = described("trust", "activate", "trust-root.json", "--yes")
    assert (refused.code, refused.out) == (1, "")
    assert "refused: trust_root: `version`: expected above 2, got 1" in refused.err


def test_too_few_root_keys_are_told_before_anything_is_published(described):
    _build(described)
    described("trust", "sign", "next.json", *ROOTS[:2])
    ended = described("trust", "activate", "next.json", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "expected signatures of 2 holders, got 1" in ended.err


def test_a_dry_run_publishes_nothing(described):
    _build(described)
    described("trust", "sign", "next.json", *ROOTS)
    ended = described("trust", "activate", "next.json", "--dry-run")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "trust root 2 takes the place of 1\nnothing was published\n"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('expires = "2099-01-01T00:00:00Z"', "", "`expires`: expected a time such as"),
        ("threshold = 2", "threshold = 4", "`root.threshold`: expected at most 3"),
        ('domain = "dev.example"', 'domain = "dev.example"\nversion = 7', "`version` is made by"),
        ("actors", "actor", "unknown member `actor`"),
        (', status = "revoked"', ', status = "revoked"', "expected at most 0, its active holders"),
        ("threshold = 2", "threshold = ", "not TOML"),
    ],
)
def test_a_wrong_description_names_file_and_member(shell, old, new, expected):
    assert old in DESCRIPTION
    text = DESCRIPTION if "revoked" in old else DESCRIPTION.replace(', status = "revoked"', "")
    (shell.folder / "trust.toml").write_text(text.replace(old, new))
    ended = shell("trust", "build", "trust.toml", "-o", "next.json")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("error: trust.toml: ")
    assert expected in ended.err
    assert not Path("next.json").exists()


def test_no_file_is_overwritten_by_a_build(described):
    assert _build(described).code == 0
    ended = _build(described)
    assert (ended.code, "exists already" in ended.err) == (3, True)
