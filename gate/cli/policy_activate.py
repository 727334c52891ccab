"""`gate policy activate`: puts a policy in force, or takes it out of force, in every partition."""

import hashlib
import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from gate import wiring
from gate.authoring.case_run import Status, report_text, run_cases
from gate.authoring.cases import read_cases
from gate.authoring.diff import diff_bundles, diff_lines
from gate.authoring.pack import pack
from gate.cli.control import publish_and_wait, refusal_now
from gate.cli.exits import Code, Usage
from gate.cli.files import (
    compile_payload,
    is_source,
    read_envelope,
    read_file,
    read_policy,
    sign_envelope,
    tests_beside,
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
from gate.cli.refusal import refusal_text
from gate.cli.screen import Format, confirm, tell
from gate.client.control import POLICY_ACTIVATION, control_value
from gate.client.in_force import InForce, read_in_force
from gate.client.waiting import Waiting, read_ahead
from gate.config import DEFAULT_FILE, Config
from gate.core import dsse
from gate.core.control.activation import Activation, encode_activation
from gate.core.control.judge import Accepted
from gate.core.control.state import ControlState
from gate.core.values import CONTROL_POLICY_ENFORCE, CONTROL_POLICY_WITHDRAW
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

app = typer.Typer()

NOT_AFTER_MS = 3_600_000
"""How long after it was made an activation may be appended."""


class Mode(Enum):
    """What an activation does."""

    ENFORCE = "enforce"
    WITHDRAW = "withdraw"


@app.command(
    epilog="Example: gate policy activate loan.policy.yaml --author-key author.key"
    " --key activator-1.key --key activator-2.key"
)
def activate(
    file: Annotated[
        str,
        typer.Argument(
            metavar="POLICY",
            help="A signed bundle, or a YAML source; with `--mode withdraw` a policy's name.",
        ),
    ],
    key: KeysOption,
    author_key: Annotated[
        list[Path] | None,
        typer.Option(help="With a source: the author's private key file.", metavar="FILE"),
    ] = None,
    tests: Annotated[
        Path | None, typer.Option(help="The test file that the bundle names.", metavar="FILE")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Put it in force, or out of force.")] = Mode.ENFORCE,
    wait: WaitOption = 10,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Test a policy, show what changes, sign its activation and publish it to every partition.

    Exit 0 when it was accepted, 1 when tests fail or it is refused, 4 when a running gate has not
    answered. What is in force is asked before a change.
    """
    settings = configured(config)
    with wiring.open_reader(settings) as reader:
        in_force = read_in_force(reader, wiring.topics(settings))
        if mode is Mode.WITHDRAW:
            chosen = _withdrawal(file, in_force)
        else:
            envelope = _signed_bundle(Path(file), author_key or [], tests, settings, in_force)
            if not _is_tested(Path(file), tests, envelope):
                raise typer.Exit(Code.NO)
            chosen = _chosen(envelope, Path(file))
        ahead = read_ahead(reader, wiring.topics(settings), settings.gate, in_force.state)
        _refuse_second(chosen.policy, ahead.waiting)
        signed = _activation(chosen, mode, key, settings, ahead.state)
        value = control_value(POLICY_ACTIVATION, dsse.encode_envelope(signed))
        _refuse_invalid(chosen, signed, value, ahead.state)
        is_change = _show_change(chosen, in_force)
        if dry_run:
            tell("nothing was published")
            return
        if not confirm("publish it to every partition?", is_agreed=yes or not is_change):
            raise typer.Exit(Code.NO)
        raise typer.Exit(publish_and_wait(value, settings, reader, seconds=wait, output=output))


class _Chosen(NamedTuple):
    """What is to be activated; a withdrawal carries no envelope."""

    policy: str
    version: str
    sequence: int
    digest: bytes
    governs: tuple[str, ...]
    envelope: dsse.Envelope | None


def _chosen(envelope: dsse.Envelope, file: Path) -> _Chosen:
    bundle = compile_payload(envelope.payload, file).bundle
    digest = hashlib.sha256(envelope.payload).digest()
    return _Chosen(bundle.policy, bundle.version, bundle.sequence, digest, bundle.governs, envelope)


def _refuse_second(policy: str, waiting: Sequence[Waiting]) -> None:
    """Refuse an activation of a policy of which another one waits undecided."""
    for item in waiting:
        verdict = item.verdict
        if isinstance(verdict, Accepted) and (verdict.kind, verdict.id) in _kinds(policy):
            tell(
                f"refused: an activation of `{escaped(policy)}` with sequence {verdict.sequence} "
                "is already waiting in the log: run the gate, which decides it, then try again"
            )
            raise typer.Exit(Code.NO)


def _kinds(policy: str) -> set[tuple[int, str]]:
    return {(CONTROL_POLICY_ENFORCE, policy), (CONTROL_POLICY_WITHDRAW, policy)}


def _refuse_invalid(
    chosen: _Chosen, signed: dsse.Envelope, value: bytes, state: ControlState
) -> None:
    """Refuse, before anything is published, what the gate would refuse."""
    refusal = refusal_now(value, state)
    if refusal is None:
        return
    tell(
        refusal_text(
            refusal,
            policy=chosen.policy,
            governs=chosen.governs,
            activation=signed,
            bundle=chosen.envelope,
            state=state,
        )
    )
    raise typer.Exit(Code.NO)


def _withdrawal(name: str, in_force: InForce) -> _Chosen:
    policy = in_force.state.in_force.get(name)
    if policy is None:
        known = ", ".join(f"`{known}`" for known in sorted(in_force.state.in_force)) or "none"
        raise ConfigInvalid(f"policy `{escaped(name)}` is not in force: in force is {known}")
    bundle = policy.bundle
    return _Chosen(name, bundle.version, bundle.sequence, policy.sha256, bundle.governs, None)


def _signed_bundle(
    file: Path, author_keys: list[Path], tests: Path | None, config: Config, in_force: InForce
) -> dsse.Envelope:
    """Return the signed bundle: as it is in the file, or packed and signed here from a source."""
    if not is_source(file):
        if author_keys:
            raise Usage("--author-key goes with a YAML source: this bundle is signed already")
        return read_envelope(file, "signed bundle", dsse.POLICY)
    if not author_keys:
        raise Usage("a YAML source has to be signed: name its author's --author-key")
    history = in_force.state.policies.get(read_policy(file).bundle.policy)
    path = tests or tests_beside(file)
    payload = pack(
        read_file(file, "policy"),
        str(file),
        domain=config.domain,
        previous=None if history is None else history.digest.hex(),
        tests_sha256=hashlib.sha256(read_file(path, "test file")).hexdigest(),
    )
    unsigned = dsse.Envelope(dsse.POLICY, payload, ())
    return sign_envelope(unsigned, [wiring.signer(key) for key in author_keys])


def _is_tested(file: Path, tests: Path | None, envelope: dsse.Envelope) -> bool:
    """Run the very tests that the bundle names, and say whether all that were run passed."""
    policy = compile_payload(envelope.payload, file)
    expected = policy.bundle.tests_sha256
    if expected is None:
        tell("the bundle names no tests: none were run")
        return True
    path = tests or (tests_beside(file) if is_source(file) else None)
    if path is None:
        raise Usage("the bundle names its tests: name their file with --tests")
    data = read_file(path, "test file")
    if hashlib.sha256(data).hexdigest() != expected:
        raise ConfigInvalid(f"test file `{path}` is not the one that the bundle names")
    report = run_cases(read_cases(data, str(path), policy), policy)
    tell(f"tests: {report_text(report)}")
    return not report.count(Status.FAILED)


def _show_change(chosen: _Chosen, in_force: InForce) -> bool:
    """Show what changes, and say whether a policy in force is changed or withdrawn."""
    current = in_force.state.in_force.get(chosen.policy)
    name = f"policy `{escaped(chosen.policy)}` {escaped(chosen.version)}"
    if chosen.envelope is None:
        tell(f"{name} goes out of force: its actions will be denied")
        return True
    if current is None:
        tell(f"{name} comes into force")
        return False
    tell(f"{name} takes the place of {escaped(current.bundle.version)}:")
    if _numbers(chosen.version) <= _numbers(current.bundle.version):
        tell(
            f"warning: version {escaped(chosen.version)} is not above "
            f"{escaped(current.bundle.version)}: it is for people, the sequence decides"
        )
    old = json.loads(in_force.bundles[current.sha256].payload)
    for line in diff_lines(diff_bundles(old, json.loads(chosen.envelope.payload))):
        tell(f"  {line}")
    return True


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _activation(
    chosen: _Chosen, mode: Mode, keys: list[Path], config: Config, state: ControlState
) -> dsse.Envelope:
    """Return the signed activation that comes next for this policy."""
    history = state.policies.get(chosen.policy)
    payload = encode_activation(
        Activation(
            audience=config.audience,
            topic_id=state.genesis.topic_id,
            policy=chosen.policy,
            sequence=chosen.sequence,
            digest=chosen.digest,
            previous=None if history is None else history.digest,
            mode=mode.value,
            activation_sequence=1 if history is None else history.activation_sequence + 1,
            not_after_ms=wiring.clock().now_ms() + NOT_AFTER_MS,
            bundle=chosen.envelope,
        )
    )
    unsigned = dsse.Envelope(dsse.ACTIVATION, payload, ())
    return sign_envelope(unsigned, [wiring.signer(key) for key in keys])
