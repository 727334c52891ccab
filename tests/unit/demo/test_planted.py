"""What is planted is exactly the fault that it says, at the same places every time."""

import pytest

from gate.core.dsse import SIGNAL, pae
from gate.core.placement import partition_of
from gate.core.reasons import Code
from gate.core.signature import load_public_key
from gate.core.wire.request import read_request
from gate.core.wire.statement import read_statement
from gate.demo.applications import real_applications
from gate.demo.planted import CASES, FIRST_NUMBER, is_sound, place_cases
from gate.demo.sending import Sent, assemble
from tests.builders import a_key
from tests.unit.demo.samples import a_setting

APPLICATIONS = real_applications()[:200]


@pytest.fixture(scope="module")
def sent() -> list[Sent]:
    return list(assemble(a_setting(), APPLICATIONS))


def planted(sent: list[Sent], name: str) -> Sent:
    return next(item for item in sent if item.case is not None and item.case.name == name)


def test_the_same_input_is_made_again_byte_by_byte(sent: list[Sent]) -> None:
    assert list(assemble(a_setting(), APPLICATIONS)) == sent


def test_every_application_is_sent_once_in_order(sent: list[Sent]) -> None:
    assert tuple(item.application for item in sent if item.case is None) == APPLICATIONS


def test_every_case_is_planted_once(sent: list[Sent]) -> None:
    assert [item.case for item in sent if item.case is not None] == list(CASES)


def test_the_cases_issue_names_are_all_there() -> None:
    assert {case.expected for case in CASES} >= {
        Code.REPLAYED,
        Code.REPLAY_CONFLICT,
        Code.SIGNAL_INVALID,
        Code.SIGNAL_STALE,
        Code.SIGNAL_WRONG_SUBJECT,
        Code.PARAMETER_UNDECLARED,
        Code.RESOURCE_MISMATCH,
        Code.IDENTITY_UNKNOWN,
        Code.MALFORMED,
    }


def test_a_case_about_a_key_of_its_own_collides_with_nothing(sent: list[Sent]) -> None:
    own = [item.key for item in sent if item.case and not item.case.is_about_real_application]
    real = {item.key for item in sent if item.case is None}
    assert len(set(own)) == len(own)
    assert not real & set(own)
    assert all(int(key[4:]) >= FIRST_NUMBER for key in own)


def test_cases_rest_on_sound_figures_only() -> None:
    assert all(is_sound(figures) for _, figures in place_cases(APPLICATIONS).values())


def test_too_few_sound_applications_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected at least 25 sound applications, found \d+"):
        place_cases(APPLICATIONS[:20])


def test_a_record_goes_where_its_key_belongs_but_for_the_misrouted_one(sent: list[Sent]) -> None:
    astray = [item.case for item in sent if item.partition != partition_of(item.key, 4)]
    assert [case and case.name for case in astray] == ["wrong partition"]


def test_a_replay_is_the_request_itself(sent: list[Sent]) -> None:
    replay = planted(sent, "replay")
    original = next(item for item in sent if item.key == replay.key)
    assert (original.case, replay.value) == (None, original.value)


def test_a_retry_asks_the_same_and_is_another_request(sent: list[Sent]) -> None:
    retry = planted(sent, "retry")
    original = next(item for item in sent if item.key == retry.key)
    assert retry.value != original.value
    assert read_request(retry.value).ask == read_request(original.value).ask


def test_a_conflict_asks_something_else_under_the_same_key(sent: list[Sent]) -> None:
    conflict = planted(sent, "conflict")
    original = next(item for item in sent if item.key == conflict.key)
    assert read_request(conflict.value).ask != read_request(original.value).ask


def is_signature_good(item: Sent, signer: str) -> bool:
    (attestation,) = read_request(item.value).attestations
    key = load_public_key(a_key(signer).public)
    return key.verify(pae(SIGNAL, attestation.statement), attestation.signature)


def test_statements_are_the_bureaus_unless_forged(sent: list[Sent]) -> None:
    assert is_signature_good(sent[0], "bureau")
    assert is_signature_good(planted(sent, "borrowed statement"), "bureau")
    assert is_signature_good(planted(sent, "stale statement"), "bureau")
    assert not is_signature_good(planted(sent, "forged statement"), "bureau")
    assert is_signature_good(planted(sent, "impostor's statement"), "stranger")


def test_a_statement_carries_the_rows_ratios_and_scores_and_nothing_else(sent: list[Sent]) -> None:
    (attestation,) = read_request(sent[0].value).attestations
    statement = read_statement(attestation.statement)
    assert (statement.issuer, statement.subject) == ("credit-bureau", "applicant-0001")
    assert dict(statement.signals) == {
        "consumer_credit_score": 5,
        "debt_to_income_bp": 2210,
        "denied_mortgage_insurance": False,
        "housing_to_income_bp": 2210,
        "loan_to_value_bp": 8000,
        "mortgage_credit_score": 2,
        "public_bad_record": False,
    }
