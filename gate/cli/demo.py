"""`gate demo`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gate.cli.exits import Code
from gate.cli.options import OutputOption
from gate.cli.screen import Format, write
from gate.demo.main import run_demo
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
    """Show everything in one go on the embedded log with real input, in under a minute."""
    summary = run_demo(folder, stream=sys.stderr)
    write(output, values_of(summary), text_of(summary).rstrip("\n"))
    raise typer.Exit(Code.NO if summary.failures else Code.YES)
