"""`gate config` and `gate runtime`: what is configured, and what software this is."""

import hashlib
import json
from typing import Annotated

import typer

from gate import wiring
from gate.cli.options import ConfigOption, OutputOption
from gate.cli.screen import Format, tell, write
from gate.cli.start_check import check_start
from gate.config import DEFAULT_FILE, Config, load_config
from gate.core.proof.checkpoint import origin as lineage_origin
from gate.core.signature import key_id
from gate.core.trust import KeyRefusal
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid, Unreachable

config_app = typer.Typer(
    no_args_is_help=True,
    help="Show and check the configuration.",
    epilog="Example: gate config check",
)
runtime_app = typer.Typer(
    no_args_is_help=True,
    help="Say what software this is.",
    epilog="Example: gate runtime manifest",
)
app = typer.Typer()
app.add_typer(config_app, name="config")
app.add_typer(runtime_app, name="runtime")


@config_app.callback()
def _config() -> None:
    """Show and check the configuration."""


@runtime_app.callback()
def _runtime() -> None:
    """Say what software this is."""


@config_app.command(
    epilog="Example: gate config show --origin. A variable of the environment comes before the "
    "file: `GATE_`, the section, two underscores, the key, as in GATE_SLOT, GATE_INSECURE_DEV, "
    "GATE_LOG__FILE, GATE_LOG__PARTITIONS, GATE_KAFKA__BOOTSTRAP_SERVERS, GATE_STATE__FOLDER, "
    "GATE_KEYS__CHECKPOINT, GATE_KEYS__LINEAGE_SECRET, GATE_TRUST__ROOT, "
    "GATE_RUN__BATCH_RECORDS_MAX, GATE_HEALTH__ADDRESS, GATE_HEALTH__PORT."
)
def show(
    config: ConfigOption = DEFAULT_FILE,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say where each value came from.")
    ] = False,
    output: OutputOption = Format.TEXT,
) -> None:
    """Print every value in force; secrets are named by file only."""
    for name, value, source in load_config(config).settings:
        text = f"{name} = {escaped(value)}" + (f"  # {escaped(source)}" if origin else "")
        write(output, {"name": name, "value": value, "origin": source}, text)


@config_app.command(epilog="Example: gate config check")
def check(config: ConfigOption = DEFAULT_FILE, output: OutputOption = Format.TEXT) -> None:
    """Check the configuration, its keys, that they fit the first trust root, and the log."""
    settings = load_config(config).config
    root = wiring.first_root(settings).root
    if wiring.is_kafka(settings):
        _check_kafka(settings)
    elif settings.log.file is not None and settings.log.file.exists():
        check_start(settings)
    wiring.lineage_keys(settings)
    public = wiring.checkpoint_signer(settings).public_key()
    topic, last = wiring.topics(settings).requests, settings.log.partitions - 1
    origin = lineage_origin(settings.domain, settings.gate, topic, last, 1)
    if isinstance(root.checkpoint_key(public, origin), KeyRefusal):
        raise ConfigInvalid(
            f"checkpoint key {key_id(public)} is not listed as active for `{origin}` in trust "
            f"root `{settings.trust.root}`: list it there, or name another key"
        )
    if wiring.clock().now_ms() >= root.expires_ms:
        raise ConfigInvalid(f"trust root `{settings.trust.root}` has expired: sign its successor")
    write(output, {"ok": True, "audience": settings.audience}, f"ok: `{settings.audience}`")


def _check_kafka(settings: Config) -> None:
    """Check the connection; compare with the topics too, if brokers answer and there are any."""
    wiring.connection(settings)
    requests = wiring.topics(settings).requests
    try:
        with wiring.open_reader(settings) as reader:
            is_there = reader.topic(requests) is not None
    except Unreachable as error:
        tell(f"not compared with the log: {error}")
        return
    if is_there:
        check_start(settings)
    else:
        tell(f"log has no topic `{requests}` yet: make the topics with `gate topics apply`")


@runtime_app.command(epilog="Example: gate runtime manifest")
def manifest(output: OutputOption = Format.TEXT) -> None:
    """Print the runtime manifest; its digest stands in every checkpoint."""
    data = wiring.runtime_manifest()
    found = json.loads(data)
    lines = [
        wiring.runtime_line(),
        f"python {found['python']}",
        *(f"{name} {version or 'absent'}" for name, version in found["dependencies"].items()),
        *(f"{digest}  {name}" for name, digest in found["files"].items()),
    ]
    values = {"manifest": found, "sha256": hashlib.sha256(data).hexdigest()}
    write(output, values, "\n".join(lines))
