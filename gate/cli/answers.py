"""How an answer to a request is shown: outcome, reasons with message and hint, constraints."""

from collections.abc import Iterable

from gate.authoring.quantities import moment_text
from gate.authoring.typed import value_text
from gate.cli.hints import HINTS
from gate.cli.notes import Notes
from gate.cli.screen import paint
from gate.core.reasons import Code, Reason
from gate.core.values import Parameters
from gate.core.wire.text import escaped


def answer_values(
    *,
    approved: bool,
    reasons: Iterable[Reason],
    constraints: Parameters,
    expires_ms: int | None,
    notes: Notes,
) -> dict[str, object]:
    """Return the answer as a JSON value."""
    return {
        "outcome": "approved" if approved else "denied",
        "reasons": [
            {
                "code": reason.code.name.lower(),
                "rule": reason.rule,
                "field": reason.field,
                "message": reason.message,
                "remedy": notes.remedy(reason),
                "hint": HINTS[reason.code],
                "detail": notes.detail(reason),
            }
            for reason in reasons
        ],
        "constraints": {name: value_text(value) for name, value in constraints},
        "expires_ms": expires_ms,
    }


def answer_text(
    *,
    approved: bool,
    reasons: Iterable[Reason],
    constraints: Parameters,
    expires_ms: int | None,
    notes: Notes,
) -> str:
    """Return the answer as lines for people."""
    lines = [answer_word(approved=approved)]
    if expires_ms is not None:
        lines[0] += f" until {moment_text(expires_ms)}"
    for reason in reasons:
        lines += reason_lines(reason, notes)
    lines += [f"  {escaped(name)} = {escaped(value_text(value))}" for name, value in constraints]
    return "\n".join(lines)


def answer_word(*, approved: bool) -> str:
    """Return the outcome in a word, in its colour."""
    return paint("APPROVED", "green") if approved else paint("DENIED", "red")


def reason_lines(reason: Reason, notes: Notes) -> list[str]:
    """Return a reason as lines: what, its rule's message or what was expected, what helps."""
    culprit = reason.rule or reason.field
    text = "  " + reason.code.name.lower() + (f" by `{escaped(culprit)}`" if culprit else "")
    if reason.code is Code.APPROVED:
        return [text]
    said = escaped(reason.message) or notes.detail(reason)
    helps = [("remedy", escaped(notes.remedy(reason))), ("hint", HINTS[reason.code])]
    if not said:
        return [f"{text}: {HINTS[reason.code]}"]
    return [f"{text}: {said}", *(f"    {name}: {help_}" for name, help_ in helps if help_)]
