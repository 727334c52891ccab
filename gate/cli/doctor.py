"""`gate doctor`: everything that can be looked at before or beside a gate, each with its cure."""

from collections import Counter
from collections.abc import Iterator

import typer

from gate import wiring
from gate.cli.doctor_check import Check, Status, of_finding, ok
from gate.cli.doctor_gate import checks_here, checks_of_lineage
from gate.cli.doctor_kafka import checks_of_cluster
from gate.cli.exits import Code
from gate.cli.options import ConfigOption, OutputOption, configured
from gate.cli.screen import Format, paint, tell, write
from gate.cli.topic_standing import Look, look
from gate.client.topic_findings import INTERNAL_TOPICS
from gate.config import DEFAULT_FILE, Config
from gate.core.wire.text import escaped

app = typer.Typer()

_COLOURS = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.BAD: "red",
    Status.UNKNOWN: "yellow",
}
_WIDTH = max(len(status.value) for status in Status)


@app.command(epilog="Example: gate doctor --output json")
def doctor(config: ConfigOption = DEFAULT_FILE, output: OutputOption = Format.TEXT) -> None:
    """Look at keys, state, topics, brokers, rights and transactions; exit 1 when one is bad.

    Writes to no topic. Brokers that do not answer end it with exit 4 and the reasons.
    """
    settings = configured(config)
    counted: Counter[Status] = Counter()
    for check in _checks(settings):
        counted[check.status] += 1
        _write(check, output)
    tell(", ".join(f"{counted[status]} {status.value}" for status in Status))
    raise typer.Exit(Code.NO if counted[Status.BAD] else Code.YES)


def _checks(settings: Config) -> Iterator[Check]:
    yield from checks_here(settings)
    if not wiring.is_kafka(settings):
        assert settings.log.file is not None, "only an embedded log has a file"
        if not settings.log.file.exists():
            yield Check(
                "log", Status.WARNING, "an embedded log", "none yet", "run `gate init-lineage`"
            )
            return
    found = look(settings)
    yield from _topics(found, settings)
    with wiring.open_reader(settings) as reader:
        yield from checks_of_lineage(settings, reader)
        if wiring.is_kafka(settings):
            yield from checks_of_cluster(settings, reader, found.standing, found.genesis)


def _topics(found: Look, settings: Config) -> Iterator[Check]:
    own = [finding for finding in found.findings if finding.topic not in INTERNAL_TOPICS]
    internal = [finding for finding in found.findings if finding.topic in INTERNAL_TOPICS]
    if not own:
        yield ok("topics", "as the table has them", ", ".join(wiring.topics(settings)))
    yield from (of_finding("topics", finding) for finding in own)
    if wiring.is_kafka(settings) and not internal:
        yield ok("internal topics", "replicas and min ISR", ", ".join(INTERNAL_TOPICS))
    yield from (of_finding("internal topics", finding) for finding in internal)


def _write(check: Check, output: Format) -> None:
    values = {
        "check": check.name,
        "status": check.status.value,
        "expected": check.expected,
        "found": check.found,
        "cure": check.cure,
    }
    status = paint(check.status.value.ljust(_WIDTH), _COLOURS[check.status])
    text = f"{status}  {check.name}: {escaped(check.found)}"
    if check.status is not Status.OK:
        indent = " " * (_WIDTH + 2)
        text += f"\n{indent}expected {escaped(check.expected)}\n{indent}{escaped(check.cure)}"
    write(output, values, text)
