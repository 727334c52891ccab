"""`gate policy`: from a source to what is in force."""

import hashlib
import json
from pathlib import Path

import pytest

from gate.core import dsse
from gate.core.wire.control_record import read_control_record
from tests.unit.cli.harness import ACTIVATORS, POLICY

AUTHOR = ("--author-key", "keys/author.key")
TESTS = "policies/loan-approval.tests.yaml"


def _edit(*changes: tuple[str, str], file: str = POLICY) -> None:
    text = Path(file).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path(file).write_text(text)


def _next_version() -> None:
    _edit(("sequence: 7", "sequence: 8"), ("1.0.3", "1.0.4"), (">= 700", ">= 710"))


def test_check_names_line_column_and_cure(shell):
    _edit(('deny: "!signal.kyc_passed"', "deny: !signal.kyc_passed"))
    ended = shell("policy", "check", POLICY)
    assert (ended.code, ended.out) == (3, "")
    line = 1 + Path(POLICY).read_text().split("deny: !signal")[0].count("\n")
    assert f"{POLICY}:{line}:11: " in ended.err
    assert "hint: quote the text" in ended.err


def test_check_says_what_it_read(shell):
    ended = shell("policy", "check", POLICY)
    assert ended == (0, f"ok: {POLICY}: loan-approval 1.0.3, 6 rules\n", "")


def test_test_counts_cases_and_writes_junit(shell):
    ended = shell("policy", "test", POLICY, "--junit", "report.xml", "--output", "json")
    (values,) = ended.json()
    assert ended.code == 0
    assert (values["passed"], values["failed"], values["not_run"]) == (5, 0, 5)
    assert Path("report.xml").read_text().startswith("<testsuite")


def test_test_fails_with_the_case_and_its_line(shell):
    _edit(("signal.credit_score >= 700", "signal.credit_score >= 800"))
    ended = shell("policy", "test", POLICY)
    assert ended.code == 1
    assert "failed `prime`" in ended.out


def test_a_packed_bundle_is_reproducible_signed_and_verified(shell):
    assert shell("policy", "pack", POLICY, "-o", "a.json").code == 0
    assert shell("policy", "pack", POLICY, "-o", "b.json").code == 0
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    assert shell("policy", "verify", "a.json").code == 1
    assert shell("policy", "sign", "a.json", "--key", "keys/author.key").code == 0
    ended = shell("policy", "verify", "a.json", "--source", POLICY)
    assert (ended.code, ended.out) == (0, "VERIFIED loan-approval 1.0.3\n")


def test_verify_refuses_a_bundle_that_its_source_does_not_give(shell):
    shell("policy", "pack", POLICY, "-o", "a.json")
    shell("policy", "sign", "a.json", "--key", "keys/author.key")
    _next_version()
    ended = shell("policy", "verify", "a.json", "--source", POLICY)
    assert ended.code == 1
    assert f"`{POLICY}` packs to other bytes" in ended.out


def test_verify_refuses_a_signature_by_somebody_else(shell):
    shell("policy", "pack", POLICY, "-o", "a.json")
    shell("policy", "sign", "a.json", "--key", "keys/requester.key")
    ended = shell("policy", "verify", "a.json")
    assert ended.code == 1
    assert "expected signatures of 1 holders, got 0" in ended.out or "not listed" in ended.out


def test_a_key_signs_once(shell):
    shell("policy", "pack", POLICY, "-o", "a.json")
    shell("policy", "sign", "a.json", "--key", "keys/author.key")
    ended = shell("policy", "sign", "a.json", "--key", "keys/author.key")
    assert (ended.code, "has signed already" in ended.err) == (2, True)


def test_a_signed_bundle_is_activated_with_the_tests_that_it_names(shell):
    shell("init-lineage", "--from", "beginning")
    shell("policy", "pack", POLICY, "-o", "a.json")
    shell("policy", "sign", "a.json", "--key", "keys/author.key")
    without = shell("policy", "activate", "a.json", *ACTIVATORS)
    assert (without.code, "name their file with --tests" in without.err) == (2, True)
    other = shell(
        "policy",
        "activate",
        "a.json",
        *ACTIVATORS,
        "--tests",
        "policies/boston-mortgage.tests.yaml",
    )
    assert (other.code, "is not the one that the bundle names" in other.err) == (3, True)
    ended = shell("policy", "activate", "a.json", *ACTIVATORS, "--tests", TESTS)
    assert ended.code == 0
    assert ended.out == "".join(
        f"partition {number}, offset 0: not decided yet\n" for number in range(4)
    )
    assert "no gate is running" in ended.err


def test_activation_refuses_when_a_test_fails(shell):
    shell("init-lineage", "--from", "beginning")
    _edit(("signal.credit_score >= 700", "signal.credit_score >= 800"))
    ended = shell("policy", "activate", POLICY, *AUTHOR, *ACTIVATORS)
    assert (ended.code, ended.out) == (1, "")
    assert "failed `prime`" in ended.err


def test_activation_shows_the_change_and_asks_before_it_replaces(gate):
    _next_version()
    command = ("policy", "activate", POLICY, *AUTHOR, *ACTIVATORS)
    asked = gate(*command)
    assert (asked.code, asked.out) == (2, "")
    assert "~ version: `1.0.3` -> `1.0.4`" in asked.err
    looked = gate(*command, "--dry-run")
    assert (looked.code, looked.out) == (0, "")
    assert "nothing was published" in looked.err
    assert gate(*command, "--yes").code == 0
    assert gate("run", "--until-caught-up").code == 0
    again = gate(*command, "--yes")
    assert (again.code, again.out) == (1, "")
    assert "refused: sequence: expected above 8, got 8" in again.err


def test_too_few_activators_are_told_before_anything_is_published(gate):
    _next_version()
    ended = gate("policy", "activate", POLICY, *AUTHOR, *ACTIVATORS[:2], "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "refused: threshold: expected signatures of 2 holders, got 1" in ended.err


def test_an_author_can_not_activate(gate):
    _next_version()
    keys = ("--key", "keys/author.key", *ACTIVATORS)
    ended = gate("policy", "activate", POLICY, *AUTHOR, *keys, "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "refused: signatures" in ended.err


def test_a_withdrawn_policy_governs_nothing(gate):
    command = ("policy", "activate", "loan-approval", "--mode", "withdraw", *ACTIVATORS)
    assert gate(*command).code == 2
    assert gate(*command, "--yes").code == 0
    assert gate("run", "--until-caught-up").code == 0
    assert gate("policy", "activate", "loan-approval", "--mode", "withdraw", *ACTIVATORS).err == (
        "error: policy `loan-approval` is not in force: in force is none\n"
    )


def test_a_source_needs_its_author(gate):
    ended = gate("policy", "activate", POLICY, *ACTIVATORS)
    assert (ended.code, "--author-key" in ended.err) == (2, True)


def test_an_activation_carries_the_bundle_of_the_source(gate):
    from gate import wiring
    from gate.config import load_config
    from gate.ports import TopicPartition

    settings = load_config(Path("gate.toml")).config
    with wiring.open_reader(settings) as reader:
        where = TopicPartition(wiring.topics(settings).requests, 3)
        (record,) = reader.read(where, offset=0, records_max=10).records
    envelope = dsse.read_envelope(read_control_record(record.value).envelope)
    activation = json.loads(envelope.payload)
    bundle = dsse.envelope_of(activation["bundle"])
    assert activation["digest"] == hashlib.sha256(bundle.payload).hexdigest()
    assert json.loads(bundle.payload)["tests_sha256"] == (
        hashlib.sha256(Path(TESTS).read_bytes()).hexdigest()
    )
    assert (activation["audience"], activation["activation_sequence"]) == ("dev.example/gate", "1")


BOSTON = "policies/boston-mortgage.policy.yaml"


def test_a_second_activation_sees_the_one_that_waits(shell):
    shell("init-lineage", "--from", "beginning")
    command = ("policy", "activate", POLICY, *AUTHOR, *ACTIVATORS)
    first = shell(*command)
    assert (first.code, "`loan-approval` 1.0.3 comes into force" in first.err) == (0, True)
    _next_version()
    second = shell(*command)
    assert (second.code, second.out) == (1, "")
    assert (
        "refused: an activation of `loan-approval` with sequence 7 is already waiting in the log"
        in second.err
    )
    assert shell("run", "--until-caught-up").code == 0
    assert shell(*command, "--yes").code == 0


def test_a_policy_in_the_way_is_named_with_the_cure_and_nothing_comes_into_force(gate):
    ended = gate("policy", "activate", BOSTON, *AUTHOR, *ACTIVATORS)
    assert (ended.code, ended.out) == (1, "")
    assert "refused: overlap: action `loan.approve` is governed by policy `loan-appr" in ended.err
    assert "gate policy activate loan-approval --mode withdraw" in ended.err
    assert "comes into force" not in ended.err


def test_a_policy_that_waits_is_in_the_way_too(shell):
    shell("init-lineage", "--from", "beginning")
    assert shell("policy", "activate", POLICY, *AUTHOR, *ACTIVATORS).code == 0
    ended = shell("policy", "activate", BOSTON, *AUTHOR, *ACTIVATORS)
    assert (ended.code, "refused: overlap" in ended.err) == (1, True)


def test_keys_that_may_not_are_named_with_their_role(gate):
    _next_version()
    (shown,) = gate("keys", "show", "keys/requester.key", "--output", "json").json()
    author = ("--author-key", "keys/requester.key")
    ended = gate("policy", "activate", POLICY, *author, *ACTIVATORS, "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert "role policy_author of `loan-approval`: 1 of the holders author\n" in ended.err
    assert f"key {shown['key_id']} is not listed as policy_author in trust root 1" in ended.err
    keys = (*ACTIVATORS[:2], "--key", "keys/requester.key")
    ended = gate("policy", "activate", POLICY, *AUTHOR, *keys, "--yes")
    assert f"key {shown['key_id']} is not listed as policy_activator in trust" in ended.err


@pytest.mark.parametrize(("version", "is_warned"), [("1.0.3", True), ("1.0.10", False)])
def test_a_version_that_does_not_rise_is_a_warning_only(gate, version, is_warned):
    _edit(("sequence: 7", "sequence: 8"), ("version: 1.0.3", f"version: {version}"))
    ended = gate("policy", "activate", POLICY, *AUTHOR, *ACTIVATORS, "--dry-run")
    assert (ended.code, ended.out) == (0, "")
    assert (f"warning: version {version} is not above 1.0.3" in ended.err) == is_warned


def test_status_of_a_gate_without_policies_says_so(shell):
    assert shell("policy", "status").code == 3
    shell("init-lineage", "--from", "beginning")
    ended = shell("policy", "status")
    assert (ended.code, ended.out) == (0, "")
    assert "no policy was ever activated" in ended.err


def test_status_shows_what_is_in_force_where_and_what_waits(gate):
    (values,) = gate("policy", "status", "--output", "json").json()
    standing = {
        "state": "enforced",
        "version": "1.0.3",
        "sequence": 7,
        "activation_sequence": 1,
    }
    assert values == {
        "policy": "loan-approval",
        **standing,
        "sha256": values["sha256"],
        "actions": ["loan.approve"],
        "partitions": [{"partition": number, **standing} for number in range(4)],
        "waiting": [],
    }
    _next_version()
    assert gate("policy", "activate", POLICY, *AUTHOR, *ACTIVATORS, "--yes").code == 0
    assert gate("policy", "status").out.splitlines() == [
        "loan-approval 1.0.3 enforced: sequence 7, activation 1",
        f"  sha256 {values['sha256']}",
        "  actions loan.approve",
        "  partitions 0 to 3: all the same",
        *(
            f"  waiting in partition {number}, offset 2: enforce 1.0.4, sequence 8, activation 2"
            for number in range(4)
        ),
    ]
    assert gate("run", "--until-caught-up").code == 0
    assert gate("policy", "status").out.startswith(
        "loan-approval 1.0.4 enforced: sequence 8, activation 2\n"
    )


def test_status_remembers_what_was_withdrawn(gate):
    command = ("policy", "activate", "loan-approval", "--mode", "withdraw", *ACTIVATORS, "--yes")
    assert gate(*command).code == 0
    (waiting,) = gate("policy", "status", "--output", "json").json()
    assert [item["mode"] for item in waiting["waiting"]] == ["withdraw"] * 4
    assert gate("run", "--until-caught-up").code == 0
    (values,) = gate("policy", "status", "--output", "json").json()
    assert (values["state"], values["activation_sequence"], values["actions"]) == (
        "withdrawn",
        2,
        ["loan.approve"],
    )


def test_check_warns_of_a_validity_that_is_over(shell):
    text = Path(POLICY).read_text()
    until = text.split('until: "')[1].split('"')[0]
    _edit((until, "2026-01-02T00:00:00Z"))
    ended = shell("policy", "check", POLICY)
    assert ended.code == 0
    assert ended.err == (
        f"warning: {POLICY}: `valid.until` has passed (2026-01-02T00:00:00Z): everything is "
        "denied\n"
    )


def test_what_was_not_run_is_listed_with_the_reason(shell):
    (values,) = shell("policy", "test", POLICY, "--output", "json").json()
    assert len(values["not_run_because"]) == values["not_run"] == 5
    assert {item["reason"] for item in values["not_run_because"]} == {
        "approvals are not judged yet",
        "properties need the solver",
    }
    assert "not run, properties need the solver: `" in shell("policy", "test", POLICY).out


def test_a_test_file_is_no_policy(shell):
    ended = shell("policy", "check", TESTS)
    assert (ended.code, ended.err.count("\n")) == (3, 1)
    assert "this is a test file (`gate-policy-tests/1`), expected a policy" in ended.err


def test_an_operator_of_another_language_has_a_hint(shell):
    _edit((">= 700", ">= 700 and true"))
    assert "hint: write `&&` instead of `and`" in shell("policy", "check", POLICY).err
