"""`gate topics`: what the gate's topics should be, make them so, and see whether they are."""

from typing import Annotated

import typer

from gate import wiring
from gate.cli.exits import Code
from gate.cli.options import ConfigOption, DryRunOption, OutputOption, YesOption, configured
from gate.cli.screen import Format, confirm, paint, tell, write
from gate.cli.topic_standing import look, write_findings
from gate.client.topic_findings import Level
from gate.client.topic_forms import Form, script, strimzi
from gate.client.topic_plan import Action, Plan, Step, carry_out
from gate.config import DEFAULT_FILE
from gate.core.wire.text import escaped

app = typer.Typer(
    no_args_is_help=True,
    help="Make the gate's topics as the table has them, and check them.",
    epilog="Example: gate topics apply. The table is `deploy/topics.toml` of the gate's source.",
)

_COLOURS = {
    Action.CREATE: "green",
    Action.ALTER: "yellow",
    Action.NOTHING: "bold",
    Action.REFUSE: "red",
}


@app.command(epilog="Example: gate topics plan --format script > topics.sh")
def plan(
    config: ConfigOption = DEFAULT_FILE,
    form: Annotated[
        Form | None,
        typer.Option(
            "--format",
            help="Instead, print what makes all topics: manifests for Strimzi, or a script for "
            "Kafka's own tools. Asks no broker.",
        ),
    ] = None,
    cluster: Annotated[
        str, typer.Option(help="The Kafka resource that the Strimzi manifests belong to.")
    ] = "kafka",
    output: OutputOption = Format.TEXT,
) -> None:
    """Show what `apply` would do now: make, alter, nothing, or refuse (exit 1)."""
    settings = configured(config)
    wanted = wiring.wanted_topics(settings)
    if form is not None:
        text = strimzi(wanted, cluster) if form is Form.STRIMZI else script(wanted)
        write(output, {"format": form.value, "text": text}, text.rstrip("\n"))
        return
    found = look(settings).plan
    _write_plan(found, output)
    raise typer.Exit(Code.NO if found.is_refused else Code.YES)


@app.command(epilog="Example: gate topics apply --yes")
def apply(
    config: ConfigOption = DEFAULT_FILE,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    output: OutputOption = Format.TEXT,
) -> None:
    """Make what is missing and set what differs; nothing is deleted and no partition added."""
    settings = configured(config)
    found = look(settings).plan
    _write_plan(found, output)
    if dry_run or found.is_refused or not found.changes:
        raise typer.Exit(Code.NO if found.is_refused else Code.YES)
    if not confirm(f"change {len(found.changes)} topics?", is_agreed=yes):
        raise typer.Exit(Code.NO)
    carry_out(found, wiring.open_admin(settings))
    tell(f"changed {len(found.changes)} topics")


@app.command(epilog="Example: gate topics check")
def check(config: ConfigOption = DEFAULT_FILE, output: OutputOption = Format.TEXT) -> None:
    """Compare the topics with the table; exit 1 when something is bad, each with its cure."""
    settings = configured(config)
    findings = look(settings).findings
    write_findings(findings, output)
    is_bad = any(finding.level is Level.BAD for finding in findings)
    if not is_bad:
        names = ", ".join(wiring.topics(settings))
        tell(f"ok: {names}")
    raise typer.Exit(Code.NO if is_bad else Code.YES)


def _write_plan(found: Plan, output: Format) -> None:
    for step in found.steps:
        values = {
            "topic": step.spec.name,
            "action": step.action.value,
            "partitions": step.spec.partition_count,
            "settings": dict(step.settings),
            "why": step.why,
        }
        write(output, values, _step_text(step))
    for finding in found.left:
        tell(f"{paint(finding.level.value, 'yellow')}: {escaped(str(finding))}")


def _step_text(step: Step) -> str:
    name = f"{paint(step.action.value, _COLOURS[step.action])} {step.spec.name}"
    if step.action is Action.REFUSE:
        return f"{name}\n  {escaped(step.why)}"
    partitions = f"\n  {step.spec.partition_count} partitions"
    lines = "".join(f"\n  {key} = {value}" for key, value in step.settings.items())
    return name + (partitions if step.action is Action.CREATE else "") + lines
