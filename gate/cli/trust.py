"""`gate trust`: trust roots, from their description to their activation."""

from pathlib import Path
from typing import Annotated

import typer

from gate import wiring
from gate.authoring.quantities import moment_text
from gate.cli.control import publish_and_wait, refusal_now
from gate.cli.exits import Code
from gate.cli.files import (
    read_envelope,
    read_file,
    read_trust,
    replace_file,
    sign_envelope,
    write_file,
)
from gate.cli.options import (
    ConfigOption,
    DryRunOption,
    KeysOption,
    OutputOption,
    WaitOption,
    YesOption,
    configured,
)
from gate.cli.screen import Format, confirm, tell, write
from gate.cli.trust_description import trust_payload
from gate.client.control import TRUST_ROOT, control_value
from gate.client.in_force import read_in_force
from gate.client.waiting import read_ahead
from gate.config import DEFAULT_FILE
from gate.core import dsse
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.trust import TrustRoot, TrustRootInvalid, read_trust_root
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

app = typer.Typer(
    no_args_is_help=True,
    help="Build, sign, show and activate trust roots.",
    epilog="Example: gate trust show trust-root.json",
)

OutOption = Annotated[Path, typer.Option("-o", "--out", help="The new file.", metavar="FILE")]


@app.command(
    epilog="Example: gate trust build trust.toml --previous trust-root.json -o next-root.json"
)
def build(
    description: Annotated[
        Path, typer.Argument(help="The description: TOML with the payload's members.")
    ],
    out: OutOption,
    previous: Annotated[
        Path | None,
        typer.Option(help="The signed trust root that this one follows.", metavar="FILE"),
    ] = None,
    output: OutputOption = Format.TEXT,
) -> None:
    """Build a trust root from its description, with no signature yet."""
    payload = trust_payload(
        read_file(description, "description"),
        description,
        current=None if previous is None else read_trust(previous),
        now_ms=wiring.clock().now_ms(),
        public_key_of=lambda file: wiring.signer(file).public_key(),
    )
    envelope = dsse.Envelope(dsse.TRUST_ROOT, payload, ())
    write_file(out, dsse.encode_envelope(envelope), "trust root")
    _show(read_trust_root(payload), envelope, output)
    tell(f"wrote `{out}`: now have its root keys sign it with `gate trust sign`")


@app.command(epilog="Example: gate trust sign next-root.json --key keys/root-1.key")
def sign(
    file: Annotated[Path, typer.Argument(help="The trust root; it is signed in place.")],
    key: KeysOption,
    output: OutputOption = Format.TEXT,
) -> None:
    """Add a signature by each key; root keys sign, of the version before and of this one."""
    envelope = read_envelope(file, "trust root", dsse.TRUST_ROOT)
    root = _read(envelope, file)
    signed = sign_envelope(envelope, [wiring.signer(path) for path in key])
    replace_file(file, dsse.encode_envelope(signed), "trust root")
    _show(root, signed, output)


@app.command(epilog="Example: gate trust show trust-root.json")
def show(
    file: Annotated[Path, typer.Argument(help="A trust root.")],
    output: OutputOption = Format.TEXT,
) -> None:
    """Show what a trust root says, and who signed it."""
    envelope = read_envelope(file, "trust root", dsse.TRUST_ROOT)
    _show(_read(envelope, file), envelope, output)


@app.command(epilog="Example: gate trust activate next-root.json --wait 30")
def activate(
    file: Annotated[Path, typer.Argument(help="The signed trust root.")],
    wait: WaitOption = 10,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Publish a trust root to every partition and tell what each one answered.

    Exit 0 when it was accepted, 1 when it was refused, 4 when a running gate has not answered.
    """
    settings = configured(config)
    data = read_file(file, "trust root", CONTROL_BYTES_MAX)
    value = control_value(TRUST_ROOT, data)
    with wiring.open_reader(settings) as reader:
        topics = wiring.topics(settings)
        now = read_in_force(reader, topics).state
        state = read_ahead(reader, topics, settings.gate, now).state
        refusal = refusal_now(value, state)
        if refusal is not None:
            tell(f"refused: {escaped(refusal.field)}: {escaped(refusal.text)}")
            raise typer.Exit(Code.NO)
        root = _read(read_envelope(file, "trust root", dsse.TRUST_ROOT), file)
        tell(f"trust root {root.version} takes the place of {state.trust_root.version}")
        if dry_run:
            tell("nothing was published")
            return
        if not confirm("publish it to every partition?", is_agreed=yes):
            raise typer.Exit(Code.NO)
        raise typer.Exit(publish_and_wait(value, settings, reader, seconds=wait, output=output))


def _read(envelope: dsse.Envelope, file: Path) -> TrustRoot:
    try:
        return read_trust_root(envelope.payload)
    except TrustRootInvalid as error:
        raise ConfigInvalid(f"trust root `{file}`: {error}") from error


def _show(root: TrustRoot, envelope: dsse.Envelope, output: Format) -> None:
    signers = [key_id for key_id, _ in envelope.signatures]
    roles = {
        role: [
            {
                "holder": item.holder,
                "key_id": key_id,
                "name": item.name,
                "status": "revoked" if item.is_revoked else "active",
            }
            for key_id, item in keys.items()
        ]
        for role, keys in root.roles.items()
    }
    values: dict[str, object] = {
        "domain": root.domain,
        "version": root.version,
        "sha256": root.sha256.hex(),
        "expires": moment_text(root.expires_ms),
        "root_holders": sorted(set(root.root.holders.values())),
        "root_threshold": root.root.threshold,
        "roles": roles,
        "signed_by": signers,
    }
    lines = [
        f"trust root {root.version} of `{root.domain}`: {root.sha256.hex()}",
        f"  expires {moment_text(root.expires_ms)}",
        f"  root: {root.root.threshold} of {len(set(root.root.holders.values()))} holders",
    ]
    for item in root.checkpoint_keys:
        status = "revoked" if item.is_revoked else "active"
        lines.append(f"  checkpoint key {item.key.key_id} {status}: {', '.join(item.origins)}")
    for role, keys in root.roles.items():
        for key_id, held in keys.items():
            name = f" `{escaped(held.name)}`" if held.name else ""
            status = "revoked" if held.is_revoked else "active"
            lines.append(f"  {role}{name}: {escaped(held.holder)}, key {key_id} {status}")
    lines.append(f"  signatures (not verified here): {', '.join(signers) or 'none'}")
    write(output, values, "\n".join(lines))
