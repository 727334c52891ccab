"""`gate init` and `gate init-lineage`: from nothing to a gate that can be run."""

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from gate import wiring
from gate.cli.options import ConfigOption, OutputOption, configured
from gate.cli.screen import Format, paint, tell, write
from gate.cli.topic_standing import check_topics
from gate.config import DEFAULT_FILE
from gate.errors import ConfigInvalid
from gate.runtime.first_start import Beginning

app = typer.Typer()

_EXAMPLES = ("loan-approval.", "boston-mortgage.")


@app.command(epilog="Example: gate init first-gate && cd first-gate")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    domain: Annotated[
        str, typer.Option(help="Whose gate it is; part of everything that is signed.")
    ] = "dev.example",
    gate: Annotated[
        str, typer.Option(help="The gate's name: prefix of its topics, and its consumer group.")
    ] = wiring.DEVELOPMENT_GATE,
    kafka: Annotated[
        str | None,
        typer.Option(help="Put the log on this Kafka, not in a file.", metavar="HOST:PORT"),
    ] = None,
    output: OutputOption = Format.TEXT,
) -> None:
    """Make a folder with development keys, trust root, configuration and example policies."""
    with _new_folder(folder) as made:
        wiring.create_development_set(
            made,
            domain=domain,
            gate=gate,
            now_ms=wiring.clock().now_ms(),
            bootstrap_servers=kafka,
        )
        policies = made / "policies"
        policies.mkdir()
        for example in (resources.files("gate.authoring") / "examples").iterdir():
            if example.name.startswith(_EXAMPLES):
                (policies / example.name).write_bytes(example.read_bytes())
    tell(
        paint("for development only: ", "yellow")
        + "all private keys lie together in this folder, and one holder has them all"
    )
    text = (
        f"made `{folder}`\n"
        "next:\n"
        f"  cd {shlex.quote(str(folder))}\n"
        + ("  gate topics apply --yes\n" if kafka else "")
        + "  gate init-lineage --from beginning\n"
        "  gate policy activate policies/boston-mortgage.policy.yaml --author-key keys/author.key"
        " --key keys/activator-1.key --key keys/activator-2.key\n"
        "  gate run"
    )
    write(output, {"folder": str(folder), "domain": domain}, text)


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder beside `folder` to be filled, and put it in its place at the end.

    Whatever ends the block early, an interruption too, leaves nothing behind. Raises
    `ConfigInvalid` when `folder` holds anything, or can not be made.
    """
    place = folder.resolve()
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        if place.exists() and any(place.iterdir()):
            raise ConfigInvalid(f"folder `{folder}` is not empty: name a new one")
        try:
            beside.mkdir(parents=True)
            yield beside
            if place.exists():  # it may be somebody's working directory: fill it, do not replace it
                for item in sorted(beside.iterdir()):
                    item.rename(place / item.name)
            else:
                beside.rename(place)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise ConfigInvalid(
            f"folder `{folder}` can not be made: {(error.strerror or '').lower()}"
        ) from error


@app.command("init-lineage", epilog="Example: gate init-lineage --from beginning")
def init_lineage(
    beginning: Annotated[
        Beginning,
        typer.Option(
            "--from", help="Decide the requests that are there already, or only later ones."
        ),
    ],
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """First start: write Genesis and the first trust root to every partition, once for ever.

    On Kafka `gate topics apply` makes the topics before; an embedded log's are made here.
    """
    settings = configured(config)
    if wiring.is_kafka(settings):
        check_topics(settings)
    count = wiring.begin_lineage(settings, beginning)
    written = wiring.first_root(settings).root
    write(
        output,
        {"partitions": count, "trust_root": written.sha256.hex(), "audience": settings.audience},
        f"began the lineages of `{settings.audience}`: {count} partitions, "
        f"trust root {written.version} ({written.sha256.hex()})",
    )
