"""`gate demo`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gate.cli.exits import Code
from gate.cli.options import OutputOption
from gate.cli.screen import Format, paint, tell, write
from gate.core.wire.text import escaped
from gate.demo.main import run_demo
from gate.demo.processes import DemonstrationFailed
from gate.demo.report import text_of, values_of

app = typer.Typer()


@app.command(epilog="Example: gate demo --folder my-demo. On Kafka: gate demo --kafka HOST:PORT")
def demo(
    folder: Annotated[
        Path | None,
        typer.Option(help="Where to make a folder for this run; `demo-out` by default."),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            help="Put the topics on this Kafka, under a name of this run's own; nothing else there "
            "is touched.",
            metavar="HOST:PORT",
        ),
    ] = None,
    output: OutputOption = Format.TEXT,
) -> None:
    """Show everything in one go with real input, in under a minute: on the embedded log, or Kafka.

    Exit 0 when everything came out as it must, 1 when something did not, 4 without a broker.
    """
    try:
        summary = run_demo(folder, stream=sys.stderr, kafka=kafka)
    except DemonstrationFailed as failure:
        text = "\n".join(escaped(line) for line in str(failure).splitlines())
        tell(f"{paint('FAILED:', 'red', sys.stderr)} {text}")
        raise typer.Exit(Code.NO) from failure
    write(output, values_of(summary), text_of(summary))
    raise typer.Exit(Code.NO if summary.failures else Code.YES)
