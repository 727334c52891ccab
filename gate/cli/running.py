"""`gate run`."""

from typing import Annotated

import typer

from gate import wiring
from gate.cli.options import ConfigOption, configured
from gate.cli.restore_bar import RestoreBar
from gate.cli.start_check import check_start
from gate.cli.stop_signals import stop_request
from gate.config import DEFAULT_FILE

app = typer.Typer()


@app.command(epilog="Example: gate run --until-caught-up")
def run(
    config: ConfigOption = DEFAULT_FILE,
    slot: Annotated[
        str | None, typer.Option(help="This running place, instead of the configured one.")
    ] = None,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when every request is decided.")
    ] = False,
) -> None:
    """Run the gate until it is stopped; its events go to stderr as JSON lines.

    Ctrl-C or SIGTERM finish the batch and close the state within ten seconds (exit 130 and 0).
    """
    with stop_request() as stop:
        settings = configured(config, {} if slot is None else {"slot": slot})
        check_start(settings)
        bar = RestoreBar(wiring.telemetry(settings))
        with bar, wiring.open_gate(settings, bar) as gate:
            wiring.prepare_process()
            gate.run(should_stop=stop, until_caught_up=until_caught_up)
    raise typer.Exit(stop.code)
