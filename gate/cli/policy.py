"""`gate policy`: a policy from its source to a signed bundle; activation is beside it."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from gate import wiring
from gate.authoring.case_run import Status, report_junit, report_text, run_cases
from gate.authoring.cases import read_cases
from gate.authoring.check import check_source
from gate.authoring.pack import pack as pack_source
from gate.authoring.quantities import moment_text
from gate.cli import policy_activate, policy_status
from gate.cli.exits import Code
from gate.cli.files import (
    compile_payload,
    read_envelope,
    read_file,
    read_policy,
    read_trust,
    replace_file,
    sign_envelope,
    tests_beside,
    write_file,
)
from gate.cli.options import ConfigOption, KeysOption, OutputOption, configured
from gate.cli.screen import Format, paint, tell, write
from gate.config import DEFAULT_FILE
from gate.core import dsse
from gate.core.trust import signed_by
from gate.errors import ConfigInvalid

app = typer.Typer(
    no_args_is_help=True,
    help="Check, test, pack, sign, verify and activate policies.",
    epilog="Example: gate policy check policies/boston-mortgage.policy.yaml",
)
app.registered_commands += policy_activate.app.registered_commands
app.registered_commands += policy_status.app.registered_commands

SourceArgument = Annotated[Path, typer.Argument(metavar="POLICY", help="The policy's YAML source.")]
TestsOption = Annotated[
    Path | None,
    typer.Option("--tests", help="The test file, instead of the one beside it.", metavar="FILE"),
]
OutOption = Annotated[Path, typer.Option("-o", "--out", help="The new file.", metavar="FILE")]


@app.command(epilog="Example: gate policy check policies/loan-approval.policy.yaml")
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="POLICY…", help="YAML sources of policies.")
    ],
    output: OutputOption = Format.TEXT,
) -> None:
    """Check form, types, bindings, expressions and cost; faults name line and column (exit 3)."""
    for file in files:
        bundle = check_source(read_file(file, "policy"), str(file)).bundle
        values = {
            "file": str(file),
            "policy": bundle.policy,
            "version": bundle.version,
            "sequence": bundle.sequence,
            "rules": len(bundle.rules),
        }
        text = f"ok: {file}: {bundle.policy} {bundle.version}, {len(bundle.rules)} rules"
        write(output, values, text)
        if bundle.valid_until_ms <= wiring.clock().now_ms():
            ended = moment_text(bundle.valid_until_ms)
            tell(f"warning: {file}: `valid.until` has passed ({ended}): everything is denied")


@app.command("test", epilog="Example: gate policy test policies/loan-approval.policy.yaml")
def run_tests(
    file: Annotated[
        Path, typer.Argument(metavar="POLICY", help="The YAML source, or a signed bundle.")
    ],
    tests: TestsOption = None,
    junit: Annotated[
        Path | None, typer.Option(help="Also write JUnit XML to this file.", metavar="FILE")
    ] = None,
    output: OutputOption = Format.TEXT,
) -> None:
    """Run a policy's cases through the gate's own steps; exit 1 when one fails."""
    path = tests or tests_beside(file)
    policy = read_policy(file)
    report = run_cases(read_cases(read_file(path, "test file"), str(path), policy), policy)
    if junit is not None:
        replace_file(junit, report_junit(report).encode(), "report")
    passed, failed, not_run = (report.count(status) for status in Status)
    values = {
        "policy": report.policy,
        "passed": passed,
        "failed": failed,
        "not_run": not_run,
        "failures": [
            {"name": item.name, "line": item.line, "differences": list(item.differences)}
            for item in report.results
            if item.status is Status.FAILED
        ],
        "not_run_because": [
            {"name": item.name, "line": item.line, "reason": item.not_run_because}
            for item in report.results
            if item.status is Status.NOT_RUN
        ],
    }
    write(output, values, report_text(report))
    raise typer.Exit(Code.NO if failed else Code.YES)


@app.command(
    epilog="Example: gate policy pack policies/loan-approval.policy.yaml -o loan.bundle.json"
)
def pack(
    file: SourceArgument,
    out: OutOption,
    tests: TestsOption = None,
    previous: Annotated[
        str | None,
        typer.Option(help="SHA-256 in hex of the bundle it replaces; none for the first."),
    ] = None,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """Pack a source into a bundle, with no signature yet; the same source gives the same bytes."""
    payload = packed(file, tests, domain=configured(config).domain, previous=previous)
    envelope = dsse.Envelope(dsse.POLICY, payload, ())
    write_file(out, dsse.encode_envelope(envelope), "bundle")
    digest = hashlib.sha256(payload).hexdigest()
    write(output, {"file": str(out), "sha256": digest}, f"wrote `{out}`: bundle {digest}")


@app.command(epilog="Example: gate policy sign loan.bundle.json --key keys/author.key")
def sign(
    file: Annotated[Path, typer.Argument(help="The packed bundle; it is signed in place.")],
    key: KeysOption,
    output: OutputOption = Format.TEXT,
) -> None:
    """Add an author's signature by each key."""
    envelope = read_envelope(file, "bundle", dsse.POLICY)
    compile_payload(envelope.payload, file)
    signed = sign_envelope(envelope, [wiring.signer(path) for path in key])
    replace_file(file, dsse.encode_envelope(signed), "bundle")
    signers = [key_id for key_id, _ in signed.signatures]
    write(output, {"file": str(file), "signed_by": signers}, f"signed by {', '.join(signers)}")


@app.command(
    epilog="Example: gate policy verify loan.bundle.json --source loan-approval.policy.yaml"
)
def verify(
    file: Annotated[Path, typer.Argument(help="The signed bundle.")],
    source: Annotated[
        Path | None,
        typer.Option(help="Also pack this source again and compare every byte.", metavar="FILE"),
    ] = None,
    tests: TestsOption = None,
    trust_root: Annotated[
        Path | None,
        typer.Option(help="Trust this instead of the configured first root.", metavar="FILE"),
    ] = None,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """Verify a bundle's authors against a trust root; exit 1 when they do not suffice."""
    envelope = read_envelope(file, "bundle", dsse.POLICY)
    bundle = compile_payload(envelope.payload, file).bundle
    trust = (
        wiring.first_root(configured(config)).root if trust_root is None else read_trust(trust_root)
    )
    faults = []
    if trust.domain != bundle.domain:
        faults.append(f"domain: expected `{trust.domain}`, got `{bundle.domain}`")
    try:
        signers = signed_by(trust.author_keys(bundle.policy), envelope, dsse.POLICY)
    except dsse.EnvelopeInvalid as error:
        signers = ()
        faults.append(str(error))
    if source is not None:
        again = packed(source, tests, domain=bundle.domain, previous=bundle.previous)
        if again != envelope.payload:
            faults.append(f"`{source}` packs to other bytes")
    values = {"verified": not faults, "faults": faults, "signed_by": list(signers)}
    head = paint("REFUSED", "red") if faults else paint("VERIFIED", "green")
    write(output, values, "\n  ".join([f"{head} {bundle.policy} {bundle.version}", *faults]))
    raise typer.Exit(Code.NO if faults else Code.YES)


def packed(file: Path, tests: Path | None, *, domain: str, previous: str | None) -> bytes:
    """Return the payload of a source's bundle, bound to its test file if there is one."""
    path = tests or tests_beside(file)
    if tests is None and not path.exists():
        tell(f"no test file `{path}`: the bundle names none")
        digest = None
    else:
        digest = hashlib.sha256(read_file(path, "test file")).hexdigest()
    if previous is not None and (
        len(previous) != 64 or not set(previous) <= set("0123456789abcdef")
    ):
        raise ConfigInvalid("--previous: expected 64 hexadecimal digits in lower case")
    data = read_file(file, "policy")
    return pack_source(data, str(file), domain=domain, previous=previous, tests_sha256=digest)
