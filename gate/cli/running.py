"""`gate run`."""

from typing import Annotated

import typer

from gate import wiring
from gate.cli.options import ConfigOption, configured
from gate.cli.restore_bar import RestoreBar
from gate.cli.start_check import check_start
from gate.cli.stop_signals import stop_request
from gate.cli.workers import WORKERS_MAX, run_workers
from gate.config import DEFAULT_FILE

app = typer.Typer()


@app.command(epilog="Example: gate run --until-caught-up. On Kafka: gate run --workers 4")
def run(
    config: ConfigOption = DEFAULT_FILE,
    slot: Annotated[
        str | None, typer.Option(help="This running place, instead of the configured one.")
    ] = None,
    until_caught_up: Annotated[
        bool, typer.Option("--until-caught-up", help="End when every request is decided.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=WORKERS_MAX,
            help="Run so many gates, in slots SLOT-0, SLOT-1 and so on, with health ports counted "
            "up from the configured one; they end together (exit code of the first that died, 70 "
            "by a signal). Kafka only.",
        ),
    ] = None,
    worker_of: Annotated[
        int | None, typer.Option(hidden=True, help="A pipe that ends with who started this.")
    ] = None,
) -> None:
    """Run the gate until it is stopped; its events go to stderr as JSON lines.

    Ctrl-C or SIGTERM finish the batch and close the state within ten seconds (exit 130 and 0).
    """
    flags = {} if slot is None else {"slot": slot}
    if workers is not None:
        options = ("--until-caught-up",) if until_caught_up else ()
        raise typer.Exit(run_workers(config, flags, workers, options))
    with stop_request(worker_of) as stop:
        settings = configured(config, flags)
        check_start(settings)
        watching = wiring.watching(settings)
        bar = RestoreBar(watching.telemetry, is_alone=worker_of is None)
        with bar, wiring.open_gate(settings, bar, watching.monitor) as gate, watching.pages():
            wiring.prepare_process()
            gate.run(should_stop=stop, until_caught_up=until_caught_up)
    raise typer.Exit(stop.code)
