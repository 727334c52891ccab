"""`gate keys`: private key files and their public sides."""

from pathlib import Path
from typing import Annotated

import typer

from gate import wiring
from gate.cli.options import OutputOption
from gate.cli.screen import Format, tell, write
from gate.core.proof.checkpoint import CheckpointInvalid, check_origin, verifier_key
from gate.core.signature import key_id
from gate.errors import ConfigInvalid

app = typer.Typer(
    no_args_is_help=True,
    help="Create and show keys.",
    epilog="Example: gate keys show keys/checkpoint.key",
)


@app.command(epilog="Example: gate keys create keys/author.key")
def create(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="New private key files, of mode 600.")
    ],
    output: OutputOption = Format.TEXT,
) -> None:
    """Create Ed25519 private keys and print their public sides."""
    for file in files:
        public = wiring.create_key(file)
        _show(output, file, public, None)
    tell("a private key is not encrypted in its file: keep the file where only its holder reads")


@app.command(epilog="Example: gate keys show keys/checkpoint.key --log dev.example/gate/r/0/1")
def show(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Private key files.")],
    log: Annotated[
        str | None,
        typer.Option(
            help="Also print the verifier key for notes of this origin.", metavar="ORIGIN"
        ),
    ] = None,
    output: OutputOption = Format.TEXT,
) -> None:
    """Print the public sides of private keys; never a private one."""
    for file in files:
        _show(output, file, wiring.signer(file).public_key(), log)


def _show(output: Format, file: Path, public: bytes, log: str | None) -> None:
    values = {"file": str(file), "key_id": key_id(public), "public_key": public.hex()}
    text = f"{file}: key {key_id(public)}\n  public key {public.hex()}"
    if log is not None:
        try:
            named = verifier_key(check_origin(log), public)
        except CheckpointInvalid as error:
            raise ConfigInvalid(str(error)) from error
        values["verifier_key"] = named
        text += f"\n  verifier key {named}"
    write(output, values, text)
