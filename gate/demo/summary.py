"""What the demonstration showed, as values; every claim is counted from what the gate answered.

Leaves to others: the audit's figures, which are the audit's own, and how all this is written
(`report`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gate.core.reasons import Code, Reason
from gate.demo.planted import Case
from gate.demo.sending import Place, Sent
from gate.demo.verdicts import Verdict

APPROVED, NEEDS_PERSON, DENIED = "approved", "needs a person", "denied"
ANSWERS = (APPROVED, NEEDS_PERSON, DENIED)
_NO_PERMIT = "Nothing forbids it, but no rule permits it."

Verdicts = Mapping[Place, Sequence[Verdict]]


class ReasonCount(NamedTuple):
    """How often a reason was given for a real application, and the policy's sentence for it."""

    code: str
    rule: str
    sentence: str
    times: int


class CaseResult(NamedTuple):
    """One planted case: what the gate had to say, and what it said."""

    case: Case
    place: Place
    answer: str

    @property
    def is_as_expected(self) -> bool:
        """Say whether the gate denied it for the expected reason."""
        return self.answer == name_of(self.case.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSending:
    """The answers to the first sending; `answers` is by what the bank decided then (denied?)."""

    policy: str
    answers: Mapping[tuple[bool, str], int]
    reasons: tuple[ReasonCount, ...]
    cases: tuple[CaseResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondSending:
    """The answers to the second sending of the same bytes, and the kill in the middle of it."""

    sent: int
    approved_before: int
    replayed: int
    approved_again: int
    answered_otherwise: int
    cases_as_expected: int
    batch_records_max: int
    committed_at_kill: int
    decided_after_restart: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """How long the gate's transactions took, as the gate itself logged it."""

    records: int
    transactions: int
    elapsed_ms: int

    @property
    def per_second(self) -> int:
        """Return decisions per second inside transactions."""
        return self.records * 1_000 // max(self.elapsed_ms, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence file, and what another process said that had only it and a public key."""

    file: Path
    decision: str
    request_id: str
    public_key: str
    log_prefix: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The audit's figures, counted from the topics alone."""

    input_records: int
    genesis: int
    entries: int
    approved_keys: int
    keys_approved_twice: int
    findings: tuple[str, ...]

    @property
    def closing_line(self) -> str:
        """Return the last line of the demonstration."""
        return (
            f"{self.input_records:,} input records + {self.genesis:,} Genesis = "
            f"{self.entries:,} entries; {self.keys_approved_twice:,} keys approved twice"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that was shown. `command` is how `gate` is called from this shell.

    `kafka`: the brokers that have the topics, `None` for the embedded log.
    """

    folder: Path
    command: str
    gate: str
    kafka: str | None
    applications: int
    first: FirstSending
    second: SecondSending
    speed: Speed
    evidence: Evidence
    audited: Audited
    elapsed_ms: int

    @property
    def failures(self) -> tuple[str, ...]:
        """Return every claim that does not hold; empty when the demonstration succeeded."""
        first, second, audited = self.first, self.second, self.audited
        cases = len(first.cases)
        claims = {
            "every application is answered": sum(first.answers.values()) == self.applications,
            "every planted case is denied for its reason": all(
                result.is_as_expected for result in first.cases
            ),
            "every planted case is denied again": second.cases_as_expected == cases,
            "something is approved": second.approved_before > 0,
            "every key approved before is replayed": second.replayed == second.approved_before,
            "nothing is approved by the second sending": second.approved_again == 0,
            "what was denied is denied again": second.answered_otherwise == 0,
            "input was left when the gate was killed": second.decided_after_restart > 0,
            "something was committed before the kill": second.committed_at_kill > 0,
            "the restart continues to the end": second.committed_at_kill
            + second.decided_after_restart
            == second.sent,
            "each input record has one entry": audited.input_records + audited.genesis
            == audited.entries,
            "no key is approved twice": audited.keys_approved_twice == 0,
            "the audit finds nothing": not audited.findings,
        }
        return tuple(claim for claim, holds in claims.items() if not holds)


def count_first(
    sent: Sequence[Sent], places: Sequence[Place], verdicts: Verdicts, policy: str
) -> FirstSending:
    """Count answers and reasons of the first sending."""
    answers: Counter[tuple[bool, str]] = Counter()
    reasons: Counter[tuple[str, str]] = Counter()
    sentences: dict[tuple[str, str], str] = {}
    cases = []
    for item, place in zip(sent, places, strict=True):
        found = verdicts.get(place, ())
        if item.case is not None:
            cases.append(CaseResult(item.case, place, _said(found)))
        elif len(found) == 1:
            answers[item.application.bank_denied, _answer(found[0])] += 1
            for reason in () if found[0].is_approved else found[0].decision.reasons:
                key = (name_of(reason.code), reason.rule or reason.field)
                reasons[key] += 1
                sentences.setdefault(key, _sentence(reason))
    counted = tuple(
        ReasonCount(*key, sentences[key], times) for key, times in reasons.most_common()
    )
    return FirstSending(policy=policy, answers=answers, reasons=counted, cases=tuple(cases))


class Kill(NamedTuple):
    """How the second sending was interrupted: records committed then, and decided later."""

    batch_records_max: int
    committed_at_kill: int
    decided_after_restart: int


def count_second(
    sent: Sequence[Sent],
    before: Sequence[Place],
    after: Sequence[Place],
    verdicts: Verdicts,
    kill: Kill,
) -> SecondSending:
    """Compare the answers to the second sending with those to the first, record by record."""
    replayed = approved_before = approved_again = otherwise = as_expected = 0
    for item, first_place, second_place in zip(sent, before, after, strict=True):
        first, second = verdicts.get(first_place, ()), verdicts.get(second_place, ())
        approved_again += sum(verdict.is_approved for verdict in second)
        if item.case is not None:
            as_expected += _said(second) == name_of(item.case.expected)
        elif any(verdict.is_approved for verdict in first):
            approved_before += 1
            replayed += _said(second) == name_of(Code.REPLAYED)
        else:
            otherwise += _said(first) != _said(second)
    return SecondSending(
        sent=len(sent),
        approved_before=approved_before,
        replayed=replayed,
        approved_again=approved_again,
        answered_otherwise=otherwise,
        cases_as_expected=as_expected,
        batch_records_max=kill.batch_records_max,
        committed_at_kill=kill.committed_at_kill,
        decided_after_restart=kill.decided_after_restart,
    )


def name_of(code: Code) -> str:
    """Return a reason code as tools write it."""
    return code.name.lower()


def _said(verdicts: Sequence[Verdict]) -> str:
    return " and ".join(name_of(verdict.code) for verdict in verdicts) or "nothing"


def _answer(verdict: Verdict) -> str:
    if verdict.is_approved:
        return APPROVED
    codes = {reason.code for reason in verdict.decision.reasons}
    return NEEDS_PERSON if codes == {Code.APPROVAL_REQUIRED} else DENIED


def _sentence(reason: Reason) -> str:
    return _NO_PERMIT if reason.code is Code.NO_PERMIT else reason.message
