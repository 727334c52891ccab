"""The summary counts what was answered, and names every claim that does not hold."""

import pytest

from gate.core.reasons import Code, Phase, Reason
from gate.demo.applications import real_applications
from gate.demo.planted import CASES
from gate.demo.sending import Place, Sent
from gate.demo.summary import (
    CaseResult,
    FirstSending,
    Kill,
    ReasonCount,
    SecondSending,
    count_first,
    count_second,
)
from tests.unit.demo.samples import a_summary, a_verdict

ROWS = real_applications()
REPLAY = CASES[0]
APPROVED = a_verdict(Code.APPROVED)
REPLAYED = a_verdict(Code.REPLAYED)
FORBIDDEN = a_verdict(
    Code.FORBIDDEN,
    rule="too-dear",
    message="Too dear.",
    more=(Reason(Code.FORBIDDEN, Phase.EVALUATE, "late", "", "Payments were late."),),
)
NEEDS_OFFICER = a_verdict(Code.APPROVAL_REQUIRED, rule="uneven", message="Ask somebody.")
NO_PERMIT = a_verdict(Code.NO_PERMIT)


def sent_of(*cases: object) -> list[Sent]:
    return [Sent(ROWS[n], case, 0, b"k", b"v") for n, case in enumerate(cases)]


def places(start: int, count: int) -> list[Place]:
    return [Place(0, offset) for offset in range(start, start + count)]


def test_answers_are_counted_against_the_banks_and_reasons_by_rule() -> None:
    sent = sent_of(None, None, None, None, REPLAY)
    answers = (APPROVED, FORBIDDEN, NEEDS_OFFICER, NO_PERMIT, REPLAYED)
    verdicts = {place: [answer] for place, answer in zip(places(0, 5), answers, strict=True)}
    assert count_first(sent, places(0, 5), verdicts, "p 1") == FirstSending(
        policy="p 1",
        answers={(False, "approved"): 1, (False, "denied"): 2, (False, "needs a person"): 1},
        reasons=(
            ReasonCount("forbidden", "too-dear", "Too dear.", 1),
            ReasonCount("forbidden", "late", "Payments were late.", 1),
            ReasonCount("approval_required", "uneven", "Ask somebody.", 1),
            ReasonCount("no_permit", "", "Nothing forbids it, but no rule permits it.", 1),
        ),
        cases=(CaseResult(REPLAY, Place(0, 4), "replayed"),),
    )


def test_a_planted_case_without_an_answer_or_with_two_is_not_as_expected() -> None:
    sent, where = sent_of(REPLAY, REPLAY), places(0, 2)
    found = count_first(sent, where, {where[1]: [REPLAYED, REPLAYED]}, "p 1")
    assert [result.answer for result in found.cases] == ["nothing", "replayed and replayed"]
    assert not any(result.is_as_expected for result in found.cases)


KILL = Kill(10, 1, 3)


def second_of(*answers: object) -> SecondSending:
    """The first sending is answered: approved, forbidden, replay refused."""
    sent = sent_of(None, None, REPLAY)
    first = (APPROVED, FORBIDDEN, REPLAYED)
    verdicts = {place: [found] for place, found in zip(places(0, 3), first, strict=True)}
    verdicts |= {place: [found] for place, found in zip(places(3, 3), answers, strict=True)}
    return count_second(sent, places(0, 3), places(3, 3), verdicts, KILL)


def test_the_second_sending_is_compared_record_by_record() -> None:
    assert second_of(REPLAYED, FORBIDDEN, REPLAYED) == SecondSending(
        sent=3,
        approved_before=1,
        replayed=1,
        approved_again=0,
        answered_otherwise=0,
        cases_as_expected=1,
        batch_records_max=10,
        committed_at_kill=1,
        decided_after_restart=3,
    )


def test_a_second_approval_is_seen_wherever_it_is() -> None:
    assert second_of(APPROVED, FORBIDDEN, REPLAYED).approved_again == 1
    assert second_of(REPLAYED, APPROVED, REPLAYED).approved_again == 1
    assert second_of(REPLAYED, FORBIDDEN, APPROVED).approved_again == 1


def test_another_answer_to_what_was_denied_is_seen() -> None:
    assert second_of(REPLAYED, NO_PERMIT, REPLAYED).answered_otherwise == 1


def test_a_demonstration_that_holds_has_no_failures() -> None:
    assert a_summary().failures == ()


def case_answered(answer: str) -> tuple[CaseResult, ...]:
    results = [CaseResult(case, Place(0, 0), case.expected.name.lower()) for case in CASES]
    return (results[0]._replace(answer=answer), *results[1:])


@pytest.mark.parametrize(
    ("part", "changes", "failure"),
    [
        ("first", {"answers": {(False, "approved"): 2}}, "every application is answered"),
        (
            "first",
            {"cases": case_answered("approved")},
            "every planted case is denied for its reason",
        ),
        ("second", {"cases_as_expected": 24}, "every planted case is denied again"),
        ("second", {"approved_before": 0, "replayed": 0}, "something is approved"),
        ("second", {"replayed": 1}, "every key approved before is replayed"),
        ("second", {"approved_again": 1}, "nothing is approved by the second sending"),
        ("second", {"answered_otherwise": 1}, "what was denied is denied again"),
        (
            "second",
            {"committed_at_kill": 28, "decided_after_restart": 0},
            "input was left when the gate was killed",
        ),
        (
            "second",
            {"committed_at_kill": 0, "decided_after_restart": 28},
            "something was committed before the kill",
        ),
        ("second", {"decided_after_restart": 1}, "the restart continues to the end"),
        ("audited", {"entries": 63}, "each input record has one entry"),
        ("audited", {"keys_approved_twice": 1}, "no key is approved twice"),
        ("audited", {"findings": ("leaf_twice",)}, "the audit finds nothing"),
    ],
)
def test_each_claim_that_does_not_hold_is_named(
    part: str, changes: dict[str, object], failure: str
) -> None:
    assert a_summary(**{part: changes}).failures == (failure,)
