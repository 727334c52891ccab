"""`gate decide`: one request under one policy, offline."""

from pathlib import Path
from typing import Annotated

import typer

from gate import wiring
from gate.authoring.assumed import AssumedRequest, judge
from gate.authoring.request_file import RequestFile, read_request_file
from gate.cli.answers import answer_text, answer_values
from gate.cli.exits import Code
from gate.cli.files import read_file, read_policy
from gate.cli.notes import Notes
from gate.cli.options import OutputOption
from gate.cli.screen import Format, write
from gate.core.admission import Admission
from gate.core.limits import VALUE_BYTES_MAX
from gate.core.policy.compiled import Policy
from gate.core.values import Value
from gate.core.wire.reader import WireError
from gate.core.wire.statement import read_statement
from gate.errors import ConfigInvalid

app = typer.Typer()


@app.command(epilog="Example: gate decide loan.json --policy policies/loan-approval.policy.yaml")
def decide(
    request: Annotated[Path, typer.Argument(help="The request as JSON, or as YAML.")],
    policy: Annotated[
        Path, typer.Option(help="The policy: its YAML source, or a signed bundle.", metavar="FILE")
    ],
    output: OutputOption = Format.TEXT,
) -> None:
    """Decide one request offline: exit 0 approved, 1 denied.

    Signatures are taken as given and the admission key as free; all else is the gate's own.
    """
    governing = read_policy(policy)
    data = read_file(request, "request", VALUE_BYTES_MAX)
    read = read_request_file(data, str(request), policy=governing.bundle, allows_signals=True)
    signals = _signals(read)
    answer = _judged(read, signals, governing)
    notes = Notes(
        bundle=governing.bundle,
        parameters=read.parameters,
        resource=read.resource,
        signals=signals,
    )
    values = answer_values(
        approved=answer.approved,
        reasons=answer.reasons,
        constraints=answer.constraints,
        expires_ms=answer.expires_ms,
        notes=notes,
    )
    text = answer_text(
        approved=answer.approved,
        reasons=answer.reasons,
        constraints=answer.constraints,
        expires_ms=answer.expires_ms,
        notes=notes,
    )
    write(output, values, text)
    raise typer.Exit(Code.YES if answer.approved else Code.NO)


def _judged(read: RequestFile, signals: dict[str, Value], governing: Policy) -> Admission:
    request = AssumedRequest(
        actor=read.actor,
        action=read.action,
        resource=read.resource,
        parameters=read.parameters,
        signals=signals,
        ages_ms={},
        request_id=read.request_id or "assumed",
        correlation_id=read.correlation_id,
    )
    return judge(request, governing, wiring.clock().now_ms())


def _signals(read: RequestFile) -> dict[str, Value]:
    """Return the signals that the file assumes, and those that its statements state."""
    signals = dict(read.signals)
    for attestation in read.attestations:
        try:
            stated = read_statement(attestation.statement).signals
        except WireError as error:
            raise ConfigInvalid(f"a statement of the request does not read: {error}") from error
        signals.update(stated)
    return signals
