"""Planted cases: what goes wrong, by accident or on purpose, among real requests.

Each case names the reason that the gate must give; a demonstration in which the gate says anything
else has failed. Cases about a key already taken use an application of the real input; every other
case is an application of its own, number 9001 on, with the figures of a sound one, so that nothing
but the planted fault can deny it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from gate.core.limits import VALUE_BYTES_MAX
from gate.core.placement import partition_of
from gate.core.reasons import Code
from gate.core.values import Attestation
from gate.demo.applications import Application
from gate.demo.senders import HOUR_MS, Desk, Draft, signals_of, signed
from gate.ports import Signer

FIRST_NUMBER = 9001
_MINUTE_MS = 60_000


class Setting(NamedTuple):
    """What a case may use: the desk, a key that nobody listed, and the input's partitions."""

    desk: Desk
    stranger: Signer
    partition_count: int


class Planted(NamedTuple):
    """A record as it is sent; `partition` only when it goes where its key does not belong."""

    key: bytes
    value: bytes
    partition: int | None = None


class Case(NamedTuple):
    """One planted fault: what it is, and the first reason the gate must deny it with."""

    name: str
    what: str
    expected: Code
    is_about_real_application: bool
    make: Callable[[Setting, Application], Planted]


def place_cases(applications: Sequence[Application]) -> dict[int, tuple[Case, Application]]:
    """Say after which position of the input each case is sent, and on what figures it rests.

    Sound applications are chosen at equal distances, so the choice is always the same. Raises
    `ValueError` when there are fewer sound applications than cases.
    """
    sound = [position for position, found in enumerate(applications) if is_sound(found)]
    if len(sound) < len(CASES):
        raise ValueError(
            f"expected at least {len(CASES)} sound applications, found {len(sound)} among "
            f"{len(applications)}"
        )
    placed = {}
    for number, case in enumerate(CASES):
        position = sound[number * len(sound) // len(CASES)]
        figures = applications[position]
        if not case.is_about_real_application:
            figures = figures._replace(number=FIRST_NUMBER + number)
        placed[position] = (case, figures)
    return placed


def is_sound(application: Application) -> bool:
    """Say whether no sensible policy would deny these figures."""
    return (
        application.debt_to_income_bp <= 3600
        and application.housing_to_income_bp <= 2800
        and application.loan_to_value_bp <= 8000
        and application.consumer_credit_score <= 2
        and application.mortgage_credit_score <= 2
        and not application.public_bad_record
        and not application.denied_mortgage_insurance
    )


def _draft(setting: Setting, application: Application) -> Draft:
    return setting.desk.draft(application, f"planted-{application.id}")


def _sent(setting: Setting, application: Application, draft: Draft) -> Planted:
    return Planted(application.id.encode(), setting.desk.sign(draft))


def _replay(setting: Setting, application: Application) -> Planted:
    return _sent(setting, application, setting.desk.draft(application, f"req-{application.id}"))


def _retry(setting: Setting, application: Application) -> Planted:
    return _sent(setting, application, setting.desk.draft(application, f"retry-{application.id}"))


def _conflict(setting: Setting, application: Application) -> Planted:
    other = application._replace(condominium=not application.condominium)
    return _sent(setting, application, setting.desk.draft(other, f"conflict-{application.id}"))


def _forged_statement(setting: Setting, application: Application) -> Planted:
    """Better figures under the signature over the true ones."""
    poor = application._replace(loan_to_value_bp=9900, consumer_credit_score=6)
    bureau, now_ms = setting.desk.bureau, setting.desk.now_ms
    true = bureau.statement(poor, issued_ms=now_ms)
    better = bureau.statement(application, issued_ms=now_ms)
    return _with_statements(setting, application, better._replace(signature=true.signature))


def _impostor_statement(setting: Setting, application: Application) -> Planted:
    statement = setting.desk.bureau.statement(
        application, issued_ms=setting.desk.now_ms, signed_by=setting.stranger
    )
    return _with_statements(setting, application, statement)


def _stale_statement(setting: Setting, application: Application) -> Planted:
    issued_ms = setting.desk.now_ms - 25 * HOUR_MS
    statement = setting.desk.bureau.statement(application, issued_ms=issued_ms)
    return _with_statements(setting, application, statement)


def _borrowed_statement(setting: Setting, application: Application) -> Planted:
    other = application._replace(number=1)
    statement = setting.desk.bureau.statement(other, issued_ms=setting.desk.now_ms)
    return _with_statements(setting, application, statement)


def _two_statements(setting: Setting, application: Application) -> Planted:
    bureau, now_ms = setting.desk.bureau, setting.desk.now_ms
    poor = application._replace(consumer_credit_score=6)
    return _with_statements(
        setting,
        application,
        bureau.statement(application, issued_ms=now_ms),
        bureau.statement(poor, issued_ms=now_ms),
    )


def _no_statement(setting: Setting, application: Application) -> Planted:
    return _with_statements(setting, application)


def _impossible_ratio(setting: Setting, application: Application) -> Planted:
    wrong = application._replace(loan_to_value_bp=-1)
    statement = setting.desk.bureau.statement(wrong, issued_ms=setting.desk.now_ms)
    return _with_statements(setting, application, statement)


def _with_statements(
    setting: Setting, application: Application, *statements: Attestation
) -> Planted:
    draft = replace(_draft(setting, application), attestations=statements)
    return _sent(setting, application, draft)


def _undeclared_parameter(setting: Setting, application: Application) -> Planted:
    draft = _draft(setting, application)
    parameters = tuple(sorted((*draft.parameters, ("override", True))))
    return _sent(setting, application, replace(draft, parameters=parameters))


def _self_declared_signals(setting: Setting, application: Application) -> Planted:
    draft = _draft(setting, application)
    parameters = tuple(sorted((*draft.parameters, *signals_of(application))))
    return _sent(setting, application, replace(draft, parameters=parameters, attestations=()))


def _resource_mismatch(setting: Setting, application: Application) -> Planted:
    draft = replace(_draft(setting, application), resource="application/APP-0001")
    return _sent(setting, application, draft)


def _unknown_signer(setting: Setting, application: Application) -> Planted:
    value = signed(_draft(setting, application).unsigned(), setting.stranger)
    return Planted(application.id.encode(), value)


def _altered_after_signing(setting: Setting, application: Application) -> Planted:
    value = setting.desk.sign(_draft(setting, application))
    told, other = application.applicant.encode(), b"applicant-0001"
    return Planted(application.id.encode(), value.replace(told, other, 1))


def _unsigned(setting: Setting, application: Application) -> Planted:
    return Planted(application.id.encode(), _draft(setting, application).unsigned())


def _old_request(setting: Setting, application: Application) -> Planted:
    issued_at_ms = setting.desk.now_ms - 20 * _MINUTE_MS
    return _sent(
        setting, application, replace(_draft(setting, application), issued_at_ms=issued_at_ms)
    )


def _other_gate(setting: Setting, application: Application) -> Planted:
    draft = replace(_draft(setting, application), audience=setting.desk.audience + "-test")
    return _sent(setting, application, draft)


def _ungoverned_action(setting: Setting, application: Application) -> Planted:
    return _sent(
        setting, application, replace(_draft(setting, application), action="loan.transfer")
    )


def _wrong_partition(setting: Setting, application: Application) -> Planted:
    sent = _sent(setting, application, _draft(setting, application))
    partition = partition_of(sent.key, setting.partition_count)
    return sent._replace(partition=(partition + 1) % setting.partition_count)


def _truncated(setting: Setting, application: Application) -> Planted:
    sent = _sent(setting, application, _draft(setting, application))
    return sent._replace(value=sent.value[: len(sent.value) // 2])


def _json_text(setting: Setting, application: Application) -> Planted:
    del setting
    return Planted(application.id.encode(), b'{"action": "loan.approve"}')


def _unknown_schema(setting: Setting, application: Application) -> Planted:
    sent = _sent(setting, application, _draft(setting, application))
    return sent._replace(value=sent.value[:2] + bytes(8) + sent.value[10:])


def _empty(setting: Setting, application: Application) -> Planted:
    del setting
    return Planted(application.id.encode(), b"")


def _too_large(setting: Setting, application: Application) -> Planted:
    sent = _sent(setting, application, _draft(setting, application))
    return sent._replace(value=sent.value.ljust(VALUE_BYTES_MAX + 1, b"\x00"))


CASES: tuple[Case, ...] = (
    Case("replay", "the same bytes, sent twice", Code.REPLAYED, True, _replay),
    Case("retry", "the same ask, signed again", Code.REPLAYED, True, _retry),
    Case(
        "conflict",
        "another ask for an application approved before",
        Code.REPLAY_CONFLICT,
        True,
        _conflict,
    ),
    Case(
        "forged statement",
        "better figures under the bureau's signature",
        Code.SIGNAL_INVALID,
        False,
        _forged_statement,
    ),
    Case(
        "impostor's statement",
        "signed by a key that the trust root does not list",
        Code.SIGNAL_UNTRUSTED,
        False,
        _impostor_statement,
    ),
    Case(
        "stale statement",
        "the bureau's statement is 25 hours old",
        Code.SIGNAL_STALE,
        False,
        _stale_statement,
    ),
    Case(
        "borrowed statement",
        "the statement is about another applicant",
        Code.SIGNAL_WRONG_SUBJECT,
        False,
        _borrowed_statement,
    ),
    Case(
        "two statements",
        "a good statement and a bad one",
        Code.SIGNAL_AMBIGUOUS,
        False,
        _two_statements,
    ),
    Case("no statement", "nothing from the bureau", Code.SIGNAL_MISSING, False, _no_statement),
    Case(
        "impossible ratio",
        "a loan-to-value ratio of -0.01 %",
        Code.SIGNAL_OUT_OF_BOUNDS,
        False,
        _impossible_ratio,
    ),
    Case(
        "undeclared parameter",
        "a parameter `override` that the policy does not know",
        Code.PARAMETER_UNDECLARED,
        False,
        _undeclared_parameter,
    ),
    Case(
        "self-declared figures",
        "ratios and scores as parameters, in place of the statement",
        Code.PARAMETER_UNDECLARED,
        False,
        _self_declared_signals,
    ),
    Case(
        "other resource",
        "the resource names another application",
        Code.RESOURCE_MISMATCH,
        False,
        _resource_mismatch,
    ),
    Case(
        "unknown signer",
        "signed by a key that may not ask",
        Code.IDENTITY_UNKNOWN,
        False,
        _unknown_signer,
    ),
    Case(
        "altered request",
        "the applicant changed after signing",
        Code.SIGNATURE_INVALID,
        False,
        _altered_after_signing,
    ),
    Case("unsigned request", "no signature", Code.SIGNATURE_MISSING, False, _unsigned),
    Case("old request", "issued 20 minutes ago", Code.STALE, False, _old_request),
    Case("other gate", "addressed to another gate", Code.WRONG_AUDIENCE, False, _other_gate),
    Case(
        "ungoverned action",
        "no policy is in force for `loan.transfer`",
        Code.NO_POLICY,
        False,
        _ungoverned_action,
    ),
    Case(
        "wrong partition",
        "sent where its key does not belong",
        Code.MISROUTED,
        False,
        _wrong_partition,
    ),
    Case("truncated", "the first half of a request", Code.MALFORMED, False, _truncated),
    Case("JSON text", "no framing at all", Code.FRAMING_UNKNOWN, False, _json_text),
    Case(
        "unknown schema",
        "a fingerprint that the gate does not know",
        Code.SCHEMA_UNKNOWN,
        False,
        _unknown_schema,
    ),
    Case("empty", "a record without a value", Code.EMPTY, False, _empty),
    Case("too large", "a value over 64 KiB", Code.TOO_LARGE, False, _too_large),
)
"""Every planted case, in the order in which they are sent."""
