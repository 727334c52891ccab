"""Options that several commands share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from gate.cli.screen import Format
from gate.config import Config, load_config

ConfigOption = Annotated[
    Path, typer.Option("--config", help="The gate's configuration.", metavar="FILE")
]
OutputOption = Annotated[
    Format, typer.Option("--output", help="Lines for people, or one JSON object a line.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before changing something.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check and show everything, but change nothing.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for the answer.", metavar="SECONDS")
]
KeysOption = Annotated[
    list[Path],
    typer.Option("--key", help="A private key file to sign with; may be repeated.", metavar="FILE"),
]


def configured(file: Path, flags: Mapping[str, str] | None = None) -> Config:
    """Return the configuration. Raises `ConfigInvalid`."""
    return load_config(file, flags).config
