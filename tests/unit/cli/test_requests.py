"""`gate submit` and `gate decide`."""

import json
import threading
from pathlib import Path

import pytest

from gate import wiring
from gate.config import load_config
from gate.core.placement import partition_of
from gate.core.wire.request import read_request
from gate.core.wire.statement import read_statement
from gate.ports import TopicPartition
from tests.unit.cli.harness import ISSUERS, POLICY

EXAMPLES = Path(__file__).parents[3] / "gate/authoring/examples"
REQUESTER = ("--key", "keys/requester.key")


def _requests(partition: int):
    settings = load_config(Path("gate.toml")).config
    with wiring.open_reader(settings) as reader:
        where = TopicPartition(wiring.topics(settings).requests, partition)
        return reader.read(where, offset=0, records_max=10).records


@pytest.fixture
def running(gate):
    """Run the gate beside the test, as another process would."""
    settings = load_config(Path("gate.toml")).config
    stop = threading.Event()

    def run() -> None:
        with wiring.open_gate(settings, wiring.watching(settings).telemetry) as built:
            built.run(should_stop=stop.is_set)

    thread = threading.Thread(target=run)
    thread.start()
    yield gate
    stop.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_request_is_signed_attested_and_put_where_the_gate_expects_it(gate):
    ended = gate("submit", gate.request(), *REQUESTER, *ISSUERS, "--output", "json")
    (placed,) = ended.json()
    assert ended.code == 0
    assert placed["partition"] == partition_of(b"L-1", 4)
    record = _requests(placed["partition"])[-1]
    request = read_request(record.value)
    assert (record.offset, record.key) == (placed["offset"], b"L-1")
    assert (request.audience, request.request_id) == ("dev.example/gate", placed["request_id"])
    statements = [read_statement(item.statement) for item in request.attestations]
    assert [(s.issuer, s.subject_type, s.subject, s.signals) for s in statements] == [
        ("credit-bureau", "applicant", "ann", (("credit_score", 720),)),
        ("core-banking", "applicant", "ann", (("existing_debt", 2000),)),
        ("kyc-service", "applicant", "ann", (("kyc_passed", True),)),
    ]


def test_waiting_gives_the_verified_decision(running):
    command = ("submit", running.request(), *REQUESTER, *ISSUERS, "--wait", "10")
    ended = running(*command, "--output", "json")
    placed, answer = ended.json()
    assert ended.code == 0
    assert answer["request_id"] == placed["request_id"]
    assert (answer["outcome"], answer["verified"]) == ("approved", "signed")
    assert answer["constraints"] == {"max_amount": "15000"}
    assert answer["decision"].startswith("dev.example/gate/gate.requests.v1/")
    again = running(*command)
    assert again.code == 1
    assert "DENIED\n  replayed: look at the first decision" in again.out


def test_several_files_are_published_together_or_not_at_all(gate):
    good = gate.request("good.json")
    bad = gate.request("bad.json", parameters={"loan_id": "L-2", "loan_amount": -1})
    ended = gate("submit", good, bad, *REQUESTER, *ISSUERS)
    assert (ended.code, ended.out) == (3, "")
    assert (
        "bad.json: parameter_invalid:loan_amount: expected int from 1 to 100000 EUR, "
        "got the number `-1`: give the named parameter" in ended.err
    )
    assert "nothing was published" in ended.err
    assert sum(len(_requests(number)) for number in range(4)) == 4  # the activations alone


def test_a_dry_run_publishes_nothing(gate):
    ended = gate("submit", gate.request(), *REQUESTER, *ISSUERS, "--dry-run")
    assert (ended.code, "not published" in ended.out) == (0, True)
    assert sum(len(_requests(number)) for number in range(4)) == 4


def test_yaml_is_typed_by_the_policy_in_force(gate):
    Path("loan.yaml").write_text(
        "actor: ann\naction: loan.approve\nresource: loan/L-1\nparameters: {loan_id: L-1, "
        "applicant: ann, loan_amount: 15000, term_months: 48, country: DE}\n"
    )
    (placed,) = gate("submit", "loan.yaml", *REQUESTER, "--output", "json").json()
    request = read_request(_requests(placed["partition"])[-1].value)
    assert dict(request.parameters)["loan_amount"] == 15000


def test_a_policy_file_takes_the_place_of_the_one_in_force(shell):
    shell("init-lineage", "--from", "end")
    name = shell.request()
    without = shell("submit", name, *REQUESTER, *ISSUERS)
    assert (without.code, "no policy in force governs action `loan.approve`" in without.err) == (
        3,
        True,
    )
    named = shell("submit", name, *REQUESTER, *ISSUERS, "--policy", POLICY)
    assert (named.code, named.err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (ISSUERS, 2, "wants signed requests: name a --key"),
        ((*REQUESTER, *ISSUERS[:2]), 3, "signal `existing_debt` is stated by core-banking"),
        ((*REQUESTER, "--issuer-key", "keys/author.key"), 3, "is not listed as an issuer's"),
        (REQUESTER, 3, "signals can not be assumed here"),
        (("--key", "keys/none.key", *ISSUERS), 3, "does not exist"),
    ],
)
def test_what_is_missing_is_named(gate, arguments, code, expected):
    ended = gate("submit", gate.request(), *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert expected in ended.err


def test_a_broken_file_names_its_line(gate):
    Path("loan.json").write_text('{"actor": "ann",\n "action" "x"}')
    ended = gate("submit", "loan.json", *REQUESTER)
    assert ended.code == 3
    assert "loan.json:2:11: not JSON" in ended.err


def test_decide_answers_like_the_gate_with_messages_and_hints(shell):
    name = shell.request(
        parameters={"country": "KP"}, signals={"kyc_passed": False, "existing_debt": 0}
    )
    ended = shell("decide", name, "--policy", POLICY, "--output", "json")
    (answer,) = ended.json()
    assert (ended.code, answer["outcome"], answer["expires_ms"]) == (1, "denied", None)
    assert [(r["code"], r["rule"], r["message"]) for r in answer["reasons"]] == [
        ("forbidden", "sanctioned-country", "Loans to KP are not permitted."),
        ("forbidden", "kyc-missing", "The applicant has not passed identity checks."),
    ]


def test_decide_approves_the_example_of_the_requirements(shell):
    ended = shell("decide", shell.request(), "--policy", POLICY, "--output", "json")
    (answer,) = ended.json()
    assert (ended.code, answer["outcome"]) == (0, "approved")
    assert answer["reasons"][0]["rule"] == "prime"
    assert answer["constraints"] == {"max_amount": "15000"}


def test_decide_takes_a_signed_bundle_too(shell):
    shell("policy", "pack", POLICY, "-o", "a.json")
    assert shell("decide", shell.request(), "--policy", "a.json").code == 0


def test_decide_names_an_absent_signal(shell):
    written = json.loads(Path(shell.request()).read_text())
    del written["signals"]["credit_score"]
    Path("loan.json").write_text(json.dumps(written))
    ended = shell("decide", "loan.json", "--policy", POLICY)
    assert ended == (
        1,
        (
            "DENIED\n  signal_missing by `credit_score`: expected int from 300 to 850\n"
            "    hint: attach a statement of the named signal\n"
        ),
        "",
    )


def test_decide_shows_remedy_hint_and_message(shell):
    name = shell.request(signals={"kyc_passed": False})
    ended = shell("decide", name, "--policy", POLICY)
    assert ended.out == (
        "DENIED\n"
        "  forbidden by `kyc-missing`: The applicant has not passed identity checks.\n"
        "    remedy: Complete the identity check, then resubmit.\n"
        "    hint: a rule forbids this: change what it names, or ask the policy's owner\n"
    )
    (answer,) = shell("decide", name, "--policy", POLICY, "--output", "json").json()
    assert answer["reasons"][0]["remedy"] == "Complete the identity check, then resubmit."


def test_an_approval_that_is_wanted_is_not_built_yet(shell):
    name = shell.request(parameters={"loan_amount": 30000})
    ended = shell("decide", name, "--policy", POLICY)
    assert ended.code == 1
    assert "hint: a person must agree first; accepting approvals is not built yet" in ended.out


@pytest.mark.parametrize("file", ["boston-mortgage", "agent-tools"])
def test_no_remedy_of_an_example_names_a_command_that_is_not_there(file):
    text = (EXAMPLES / f"{file}.policy.yaml").read_text()
    assert "gate approve" not in text
    assert "the gate cannot accept approvals yet" in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"loan_amount": -1}, "expected int from 1 to 100000 EUR, got the number `-1`"),
        ({"loan_amount": "15"}, "expected int from 1 to 100000 EUR, got the text `15`"),
        ({"loan_amount": True}, "expected int from 1 to 100000 EUR, got the flag `true`"),
        ({"country": "XX"}, "expected one of `DE`, `FR`, `IR`, `KP`, `NL`, got the text `XX`"),
        (
            {"applicant": "é" * 50},
            f"expected string of 1 to 64 bytes of printable ASCII, got the text `{'é' * 40}…`",
        ),
    ],
)
def test_an_invalid_parameter_is_shown_beside_its_declaration(gate, changes, expected):
    name = gate.request(parameters=changes)
    decided = gate("decide", name, "--policy", POLICY)
    assert (decided.code, expected in decided.out) == (1, True)
    submitted = gate("submit", name, *REQUESTER, *ISSUERS)
    assert (submitted.code, submitted.out, expected in submitted.err) == (3, "", True)


def test_another_resource_is_shown_beside_the_derived_one(gate):
    ended = gate("submit", gate.request(resource="loan/L-2"), *REQUESTER, *ISSUERS)
    assert ended.code == 3
    assert "expected `loan/L-1`, got `loan/L-2`" in ended.err


def test_an_unknown_action_names_the_nearest(gate):
    ended = gate("submit", gate.request(action="loan.aprove"), *REQUESTER, *ISSUERS)
    assert (ended.code, "did you mean `loan.approve`?" in ended.err) == (3, True)


def test_the_faults_of_a_file_come_before_those_of_the_gate(shell):
    Path("loan.json").write_text('{"actor": "ann",\n "action" "x"}')
    ended = shell("submit", "loan.json", *REQUESTER)  # there is no lineage either
    assert (ended.code, "loan.json:2:11: not JSON" in ended.err) == (3, True)


@pytest.mark.parametrize(
    ("changes", "key", "expected"),
    [
        ({"signals": {"credit_score": 900}}, "requester", "signal_out_of_bounds:credit_score: exp"),
        ({"signals": {"credit_score": 500}}, "requester", "no_permit"),
        ({}, "author", "identity_unknown"),
    ],
)
def test_what_can_only_be_denied_is_told_and_published(gate, changes, key, expected):
    name = gate.request(**changes)
    ended = gate("submit", name, "--key", f"keys/{key}.key", *ISSUERS)
    assert (ended.code, ended.out.count("\n")) == (0, 1)
    assert ended.err.startswith(f"warning: {name}: as things stand it is denied: {expected}")


def test_a_missing_signal_is_told_before_it_is_denied(gate):
    written = json.loads(Path(gate.request()).read_text())
    del written["signals"]["credit_score"]
    Path("loan.json").write_text(json.dumps(written))
    ended = gate("submit", "loan.json", *REQUESTER, *ISSUERS)
    assert (ended.code, "signal_missing:credit_score: expected int from" in ended.err) == (0, True)


def test_waiting_shows_the_remedy_of_the_policy_in_force(running):
    name = running.request(signals={"kyc_passed": False})
    ended = running("submit", name, *REQUESTER, *ISSUERS, "--wait", "10", "--output", "json")
    answer = ended.json()[1]
    assert (ended.code, answer["reasons"][0]["remedy"]) == (
        1,
        "Complete the identity check, then resubmit.",
    )
