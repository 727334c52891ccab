"""How an answer to a request is shown: outcome, reasons with message and hint, constraints."""

from collections.abc import Iterable

from gate.authoring.quantities import moment_text
from gate.authoring.typed import value_text
from gate.cli.hints import HINTS
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
                "hint": HINTS[reason.code],
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
) -> str:
    """Return the answer as lines for people."""
    lines = [paint("APPROVED", "green") if approved else paint("DENIED", "red")]
    if expires_ms is not None:
        lines[0] += f" until {moment_text(expires_ms)}"
    lines += [_reason(reason) for reason in reasons]
    lines += [f"  {escaped(name)} = {escaped(value_text(value))}" for name, value in constraints]
    return "\n".join(lines)


def _reason(reason: Reason) -> str:
    culprit = reason.rule or reason.field
    text = "  " + reason.code.name.lower() + (f" by `{escaped(culprit)}`" if culprit else "")
    if reason.message:
        return f"{text}: {escaped(reason.message)}"
    return text if reason.code is Code.APPROVED else f"{text}: {HINTS[reason.code]}"
