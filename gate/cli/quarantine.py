"""`gate quarantine list`, `gate quarantine show`: input that was set aside, and why."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import typer

from gate import wiring
from gate.authoring.quantities import moment_text
from gate.cli.exits import Code, Usage
from gate.cli.files import write_file
from gate.cli.hints import HINTS
from gate.cli.options import ConfigOption, OutputOption, configured
from gate.cli.screen import Format, tell, write
from gate.cli.topic_progress import partitions_named, shown_reading
from gate.client.followed_trust import FollowedTrust
from gate.client.quarantine import Copy, Denial, find_copy, find_denial, newest_copies
from gate.config import DEFAULT_FILE, Config
from gate.core.placement import input_sha256
from gate.core.proof.verdict import Refused, Verified
from gate.core.wire.text import escaped
from gate.ports import LogReader

app = typer.Typer(
    no_args_is_help=True,
    help="List and show input that was set aside.",
    epilog="Example: gate quarantine list --limit 10",
)

_SHOWN_BYTES_MAX: Final = 1_024
_LINE_BYTES: Final = 16
_REFERENCE = re.compile(r"(?P<partition>[0-9]{1,9})(?P<kind>[/#])(?P<number>[0-9]{1,18})")
_DECISION = re.compile(r"[^#]+/(?P<partition>[0-9]{1,9})/[0-9]+#(?P<number>[0-9]{1,18})")


@app.command("list", epilog="Example: gate quarantine list --partition 0 --limit 10")
def list_(
    partition: Annotated[
        list[int] | None, typer.Option(help="This partition only; may be repeated.", min=0)
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """List the newest input that was set aside, the newest last."""
    settings = configured(config)
    topic = wiring.topics(settings).quarantine
    with wiring.open_reader(settings) as reader:
        numbers = partitions_named(reader, topic, partition)
        copies = newest_copies(reader, topic, numbers, limit=limit)
    for copy in copies:
        write(output, _values(copy), _line(copy))
    if not copies:
        tell("nothing is in quarantine")


@app.command(epilog="Example: gate quarantine show 0/17 --out input.bin")
def show(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="PARTITION/OFFSET",
            help="The input's partition and offset; or PARTITION#LEAF, or the decision's own name.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write the bytes to this new file.", metavar="FILE")
    ] = None,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """Show everything known of one input that was set aside: why, its decision, its bytes.

    Exit 1 when there is none, or its decision does not verify, or the bytes are not those decided.
    """
    settings = configured(config)
    topics = wiring.topics(settings)
    number, kind, index = _place(reference)
    with wiring.open_reader(settings) as reader:
        partitions_named(reader, topics.quarantine, [number])
        copy = (
            find_copy(reader, topics.quarantine, number, input_offset=index)
            if kind == "/"
            else find_copy(reader, topics.quarantine, number, leaf_index=index)
        )
        if copy is None:
            tell(f"nothing of `{escaped(reference)}` is in quarantine: see `gate quarantine list`")
            raise typer.Exit(Code.NO)
        shown = _shown(copy, settings, reader)
    if out is not None:
        write_file(out, copy.value, "input")
        tell(f"wrote `{out}`: {len(copy.value)} bytes")
    write(output, _shown_values(shown), "\n".join(_shown_lines(shown, is_dumped=out is None)))
    raise typer.Exit(Code.YES if shown.is_sound else Code.NO)


class _Shown(NamedTuple):
    """A copy, its decision, and what checking said."""

    copy: Copy
    denial: Denial | None
    verdict: Verified | Refused | None

    @property
    def is_decided_input(self) -> bool | None:
        """Say whether the copy is what was decided; `None` where that can not be known."""
        if self.denial is None or not self.copy.is_whole:
            return None
        return input_sha256(self.copy.key, self.copy.value) == self.denial.decision.input_sha256

    @property
    def is_sound(self) -> bool:
        return isinstance(self.verdict, Verified) and self.is_decided_input is not False


def _place(reference: str) -> tuple[int, str, int]:
    found = _REFERENCE.fullmatch(reference)
    if found is not None:
        return int(found["partition"]), found["kind"], int(found["number"])
    found = _DECISION.fullmatch(reference)
    if found is None:
        raise Usage(
            f"expected PARTITION/OFFSET, PARTITION#LEAF or a decision, got `{escaped(reference)}`: "
            "for instance 0/17"
        )
    return int(found["partition"]), "#", int(found["number"])


def _shown(copy: Copy, config: Config, reader: LogReader) -> _Shown:
    topics, first = wiring.topics(config), wiring.first_root(config).root
    denial = find_denial(reader, topics.denied, copy)
    if denial is None:
        return _Shown(copy, None, None)
    with shown_reading("looking for trust roots") as progress:
        trust = FollowedTrust(reader, topics, first, progress=progress)
        trust.read_on(copy.partition)
    verdict = trust.verify(denial.record, denial.decision, partition=copy.partition)
    return _Shown(copy, denial, verdict)


def _values(copy: Copy) -> dict[str, object]:
    return {
        "partition": copy.partition,
        "input_offset": copy.input_offset,
        "leaf_index": copy.leaf_index,
        "reason": copy.reason,
        "time_ms": copy.time_ms,
        "input_bytes": copy.input_bytes,
        "kept_bytes": len(copy.value),
    }


def _line(copy: Copy) -> str:
    place = f"{copy.partition}/{copy.input_offset} leaf {copy.leaf_index}"
    kept = "" if copy.is_whole else f", {len(copy.value)} kept"
    return (
        f"{moment_text(copy.time_ms)} {place}: {escaped(copy.reason)}, {copy.input_bytes} bytes"
        f"{kept}"
    )


def _shown_values(shown: _Shown) -> dict[str, object]:
    values = _values(shown.copy)
    key = shown.copy.key
    values |= {
        "key": None if key is None else key.hex(),
        "value": shown.copy.value.hex(),
        "is_decided_input": shown.is_decided_input,
        "decision": f"{shown.copy.origin}#{shown.copy.leaf_index}",
        "verified": shown.verdict.status.value if isinstance(shown.verdict, Verified) else None,
    }
    if shown.denial is not None:
        decision = shown.denial.decision
        values |= {
            "input_time_ms": decision.input_time_ms,
            "input_sha256": decision.input_sha256.hex(),
            "request_id": decision.request_id,
            "actor": decision.actor,
            "action": decision.action,
            "resource": decision.resource,
            "reasons": [
                {
                    "code": item.code.name.lower(),
                    "phase": item.phase.name.lower(),
                    "rule": item.rule,
                    "field": item.field,
                    "message": item.message,
                    "hint": HINTS[item.code],
                }
                for item in decision.reasons
            ],
        }
    return values


def _shown_lines(shown: _Shown, *, is_dumped: bool) -> Iterator[str]:
    copy, denial = shown.copy, shown.denial
    yield _line(copy)
    yield f"decision: {escaped(copy.origin)}#{copy.leaf_index}, {_verdict_text(shown)}"
    if denial is not None:
        decision = denial.decision
        yield f"appended: {moment_text(decision.input_time_ms)}"
        named = ("request_id", "actor", "action", "resource")
        for name in named:
            text = getattr(decision, name)
            if text:
                yield f"{name.replace('_', ' ')}: {escaped(text)}"
        for reason in decision.reasons:
            field = f" at `{escaped(reason.field)}`" if reason.field else ""
            yield f"reason: {reason.code.name.lower()}{field} in phase {reason.phase.name.lower()}"
            yield f"  hint: {HINTS[reason.code]}"
    yield f"input: {_input_text(shown)}"
    yield "key: none" if copy.key is None else f"key: {len(copy.key)} bytes"
    if copy.key:
        yield from hexdump(copy.key)
    yield f"value: {len(copy.value)} bytes"
    if is_dumped:
        yield from hexdump(copy.value[:_SHOWN_BYTES_MAX])
        if len(copy.value) > _SHOWN_BYTES_MAX:
            yield f"{len(copy.value) - _SHOWN_BYTES_MAX} bytes more: write them with --out FILE"


def _verdict_text(shown: _Shown) -> str:
    verdict = shown.verdict
    if verdict is None:
        return "not found in the denied topic: see `gate audit`"
    if isinstance(verdict, Refused):
        return f"does not verify: {verdict.code.value}: {escaped(verdict.text)}"
    return f"verified: {verdict.status.value}"


def _input_text(shown: _Shown) -> str:
    if not shown.copy.is_whole:
        return f"the first {len(shown.copy.value)} of {shown.copy.input_bytes} bytes were kept"
    if shown.is_decided_input is None:
        return "untouched, as the copy says"
    return (
        "untouched: its digest is the decision's"
        if shown.is_decided_input
        else ("not what was decided: its digest differs: see `gate audit`")
    )


def hexdump(data: bytes) -> Iterator[str]:
    """Yield lines of offset, hexadecimal digits and printable ASCII; anything else is a dot."""
    for start in range(0, len(data), _LINE_BYTES):
        part = data[start : start + _LINE_BYTES]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"  {start:08x}  {part.hex(' '):<{3 * _LINE_BYTES - 1}}  |{text}|"
