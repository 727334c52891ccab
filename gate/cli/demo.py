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


@app.command(epilog="Example: gate demo --folder my-demo")
def demo(
    folder: Annotated[
        Path | None,
        typer.Option(help="Where to make a folder for this run; `demo-out` by default."),
    ] = None,
    output: OutputOption = Format.TEXT,
) -> None:
    """Show everything in one go on the embedded log with real input, in under a minute.

    Exit 0 when everything came out as it must, 1 when something did not.
    """
    try:
        summary = run_demo(folder, stream=sys.stderr)
    except DemonstrationFailed as failure:
        text = "\n".join(escaped(line) for line in str(failure).splitlines())
        tell(f"{paint('FAILED:', 'red', sys.stderr)} {text}")
        raise typer.Exit(Code.NO) from failure
    write(output, values_of(summary), text_of(summary))
    raise typer.Exit(Code.NO if summary.failures else Code.YES)
