"""`gate verify`: evidence files and forks, offline."""

import re
from pathlib import Path
from typing import Annotated

import typer

from gate.audit.decide_again import decide_again
from gate.audit.show import entry_fields, entry_text
from gate.cli.answers import answer_word
from gate.cli.exits import Code, Usage
from gate.cli.files import read_file, read_trust
from gate.cli.options import OutputOption
from gate.cli.screen import Format, paint, tell, write
from gate.core.proof.checkpoint import NOTE_BYTES_MAX, CheckpointInvalid, read_verifier_key
from gate.core.proof.evidence import EVIDENCE_BYTES_MAX
from gate.core.proof.verdict import KeyTrust, Refused, Trust, Verified
from gate.core.proof.verify import verify_evidence, verify_fork
from gate.core.signature import PublicKeyInvalid, load_public_key
from gate.core.values import APPROVED, Decision
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

app = typer.Typer()

_HEX_KEY = re.compile(r"[0-9a-f]{64}")
_KEY_FILE_BYTES_MAX = 4096
_ORIGIN_SLASHES = 4


@app.command(
    epilog="Examples: gate verify loan.evidence.json --key HEX --log dev.example/gate/"
    " | gate verify loan.evidence.json --trust-root trust-root.json"
)
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="An evidence file.", show_default=False)
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="The checkpoint key: 64 hexadecimal digits, a verifier key, or a file of one."
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(help="With --key: the origin it may sign, or a prefix ending in `/`."),
    ] = None,
    trust_root: Annotated[
        Path | None, typer.Option(help="Trust this signed trust root instead.", metavar="FILE")
    ] = None,
    fork: Annotated[
        tuple[Path, Path] | None,
        typer.Option(help="Two checkpoint notes: do they prove a fork.", metavar="NOTE NOTE"),
    ] = None,
    output: OutputOption = Format.TEXT,
) -> None:
    """Verify an evidence file, or prove a fork; needs no gate, log or network.

    Exit 0 when the evidence holds (with --fork: when the fork is proved), else 1.
    """
    if (file is None) == (fork is None):
        raise Usage("name an evidence file, or two notes with --fork")
    trust = _trust(key, log, trust_root)
    if fork is not None:
        _verify_fork(fork, trust, output)
        return
    assert file is not None, "one of the two is there"
    data = read_file(file, "evidence", EVIDENCE_BYTES_MAX)
    answer = verify_evidence(data, trust, decide_again=decide_again)
    if isinstance(answer, Refused):
        if log is not None and not log.endswith("/") and log.count("/") < _ORIGIN_SLASHES:
            tell(f"`--log {log}` names one lineage: a prefix of several ends in `/`")
        _refuse(answer, output)
    assert isinstance(answer, Verified), "evidence is verified or refused"
    _show_verified(answer, output)


def _trust(key: str | None, log: str | None, trust_root: Path | None) -> Trust:
    if trust_root is not None:
        if key is not None or log is not None:
            raise Usage("trust a key or a trust root, not both")
        return read_trust(trust_root)
    if key is None or log is None:
        raise Usage("say whom to trust: --key KEY with --log PREFIX, or --trust-root FILE")
    try:
        return KeyTrust(load_public_key(_public_key(key)), log)
    except PublicKeyInvalid as error:
        raise ConfigInvalid(f"checkpoint key: {error}") from error


def _public_key(text: str) -> bytes:
    if _HEX_KEY.fullmatch(text):
        return bytes.fromhex(text)
    if "+" in text and not Path(text).is_file():
        try:
            return read_verifier_key(text).public
        except CheckpointInvalid as error:
            raise ConfigInvalid(f"checkpoint key: {error}") from error
    content = read_file(Path(text), "checkpoint key", _KEY_FILE_BYTES_MAX)
    if b"PRIVATE KEY" in content:
        raise ConfigInvalid(
            f"checkpoint key `{text}`: this is a private key; `gate keys show {text}` prints the "
            "public key"
        )
    inside = content.decode("ascii", "replace").strip()
    if _HEX_KEY.fullmatch(inside) is None and "+" not in inside:
        raise ConfigInvalid(
            f"checkpoint key `{text}`: expected 64 hexadecimal digits or a verifier key: "
            "`gate keys show` prints both"
        )
    return _public_key(inside)


def _verify_fork(notes: tuple[Path, Path], trust: Trust, output: Format) -> None:
    first, second = (
        read_file(path, "note", NOTE_BYTES_MAX).decode("utf-8", "replace") for path in notes
    )
    answer = verify_fork(first, second, trust)
    if isinstance(answer, Refused):
        _refuse(answer, output)
    elif answer is None:
        text = "no fork: these notes do not contradict each other as they stand"
        write(output, {"fork": False}, text)
        raise typer.Exit(Code.NO)
    else:
        roots = [root.hex() for root in answer.roots]
        write(
            output,
            {"fork": True, "origin": answer.origin, "size": answer.size, "roots": roots},
            f"{paint('FORK', 'red')}: `{answer.origin}` has two trees of size {answer.size}\n"
            f"  {roots[0]}\n  {roots[1]}",
        )


def _refuse(answer: Refused, output: Format) -> None:
    write(
        output,
        {"verified": False, "code": answer.code.value, "step": answer.step, "text": answer.text},
        f"{paint('REFUSED', 'red')} {answer.code.value} at step {answer.step}: "
        f"{escaped(answer.text)}",
    )
    raise typer.Exit(Code.NO)


def _show_verified(answer: Verified, output: Format) -> None:
    version = answer.trust_root_version
    shown = entry_text(answer.entry).rstrip("\n")
    again = "decided again, same bytes" if answer.re_decided else "not re-decided"
    trusted = "a key" if version is None else f"trust root {version}"
    entry = dict[str, object](entry_fields(answer.entry))
    head = [paint(answer.status.name, "green")]
    if isinstance(answer.entry, Decision):
        entry["actor_verified"] = answer.entry.actor_verified
        head.append(answer_word(approved=answer.entry.outcome == APPROVED))
    text = (
        f"{' '.join(head)} {answer.origin}#{answer.leaf_index} "
        f"in the tree of size {answer.tree_size}, under {trusted}; {again}; time is {answer.time}\n"
        f"{answer.runtime}\n{shown}"
    )
    values = {
        "verified": True,
        "status": answer.status.value,
        "origin": answer.origin,
        "leaf_index": answer.leaf_index,
        "tree_size": answer.tree_size,
        "root": answer.root.hex(),
        "runtime": answer.runtime,
        "trust_root_version": version,
        "re_decided": answer.re_decided,
        "time": answer.time,
        "entry": entry,
    }
    write(output, values, text)
