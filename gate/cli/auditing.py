"""`gate audit`, `gate replay`, `gate evidence`: what the topics prove."""

from pathlib import Path
from typing import Annotated

import typer

from gate import wiring
from gate.audit.audit import audit as audit_topics
from gate.audit.audit import json_of, text_of
from gate.audit.evidence import Match, build_evidence, find_decisions
from gate.audit.replay import Replay
from gate.audit.replayed import Replayed
from gate.cli.exits import Code, Usage
from gate.cli.files import read_file, read_trust, write_file
from gate.cli.options import ConfigOption, OutputOption, configured
from gate.cli.resuming import Recording, ResumeOption
from gate.cli.screen import Format, tell, write
from gate.cli.topic_progress import partitions_named
from gate.cli.waiting import reading_shown
from gate.config import DEFAULT_FILE
from gate.core.proof.checkpoint import NOTE_BYTES_MAX, CheckpointInvalid, Note, read_note
from gate.core.proof.evidence import encode_evidence
from gate.core.values import APPROVED
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

app = typer.Typer()


PartitionsOption = Annotated[
    list[int] | None, typer.Option(help="This partition only; may be repeated.", min=0)
]


@app.command(epilog="Example: gate audit --trust-root my-copy-of-trust-root.json --resume audit")
def audit(
    trust_root: Annotated[
        Path | None,
        typer.Option(help="A trust root that you have by a way of your own.", metavar="FILE"),
    ] = None,
    kept: Annotated[
        list[Path] | None,
        typer.Option(
            help="A checkpoint that you kept, as a note; may be repeated.", metavar="NOTE"
        ),
    ] = None,
    partition: PartitionsOption = None,
    resume: ResumeOption = None,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """Check from the topics alone that every record has one entry and no key two approvals.

    That last transactions are gone from every topic, only a kept checkpoint shows: keep the notes
    under `checkpoints` in the JSON result. Exit 0 when nothing was found, 1 when something was.
    """
    settings = configured(config)
    trust = None if trust_root is None else read_trust(trust_root)
    notes = [_kept_note(path) for path in kept or ()]
    topics, clock = wiring.topics(settings), wiring.clock()
    with wiring.open_reader(settings) as reader:
        numbers = partitions_named(reader, topics.requests, partition)
        recorder = None
        if resume is not None:
            options = {
                "partitions": list(numbers),
                "trust_root": "" if trust is None else trust.sha256.hex(),
            }
            recorder = Recording(resume, "audit", reader, topics, options, clock)
        with reading_shown("auditing", clock) as progress:
            result = audit_topics(
                reader,
                topics,
                trust=trust,
                partitions=numbers,
                notes=notes,
                recorder=recorder,
                progress=progress,
            )
    write(output, json_of(result), text_of(result).rstrip("\n"))
    raise typer.Exit(Code.YES if result.is_ok else Code.NO)


def _kept_note(path: Path) -> Note:
    try:
        return read_note(read_file(path, "kept checkpoint", NOTE_BYTES_MAX).decode())
    except (CheckpointInvalid, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"kept checkpoint `{path}`: {error}") from error


@app.command(epilog="Example: gate replay --partition 0 --lineage-secret")
def replay(
    partition: PartitionsOption = None,
    until: Annotated[
        int | None, typer.Option(help="The input offset before which to end.", min=0)
    ] = None,
    lineage_secret: Annotated[
        bool,
        typer.Option(
            "--lineage-secret", help="Compute the salts with the configured secret, and compare."
        ),
    ] = False,
    resume: ResumeOption = None,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """Decide recorded input again from the first record on, and compare every byte.

    Exit 0 when all is equal, 1 on a difference or an early end.
    """
    settings = configured(config)
    keys = wiring.lineage_keys(settings) if lineage_secret else None
    topics, clock, is_ok = wiring.topics(settings), wiring.clock(), True
    with wiring.open_reader(settings) as reader:
        numbers = partitions_named(reader, topics.requests, partition)
        recorder = None
        if resume is not None:
            options = {"until": until, "has_computed_salts": lineage_secret}
            recorder = Recording(resume, "replay", reader, topics, options, clock)
        for number in numbers:
            with reading_shown("replaying", clock) as progress:
                result = Replay(
                    reader,
                    topics,
                    number,
                    keys=keys,
                    until=until,
                    progress=progress,
                    recorder=recorder,
                ).run()
            write(output, _replay_values(result), _replay_text(result))
            is_ok = is_ok and result.is_ok
    raise typer.Exit(Code.YES if is_ok else Code.NO)


@app.command(epilog="Example: gate evidence req-17 -o req-17.evidence.json")
def evidence(
    reference: Annotated[str, typer.Argument(help="A decision as ORIGIN#INDEX, or a request id.")],
    file: Annotated[
        Path, typer.Option("-o", "--out", help="The new evidence file.", metavar="FILE")
    ],
    later: Annotated[
        bool, typer.Option("--later", help="Also prove that the newest checkpoint continues it.")
    ] = False,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """Write the evidence file of a decision; several matches are listed instead (exit 2)."""
    settings = configured(config)
    topics = wiring.topics(settings)
    with (
        wiring.open_reader(settings) as reader,
        reading_shown("searching", wiring.clock()) as progress,
    ):
        matches = find_decisions(reader, topics, reference, progress=progress)
        if len(matches) == 1:
            found = build_evidence(reader, topics, matches[0], is_later=later, progress=progress)
    if not matches:
        tell(f"no decision on `{escaped(reference)}`")
        raise typer.Exit(Code.NO)
    if len(matches) > 1:
        for match in matches:
            _show_match(match, output)
        raise Usage(f"{len(matches)} decisions on `{escaped(reference)}`: name one of them")
    write_file(file, encode_evidence(found), "evidence")
    _show_match(matches[0], output, file)


def _show_match(match: Match, output: Format, file: Path | None = None) -> None:
    outcome = "approved" if match.entry.outcome == APPROVED else "denied"
    reason = match.entry.reasons[0].code.name.lower()
    values = {
        "decision": match.reference,
        "request_id": match.entry.request_id,
        "outcome": outcome,
        "reason": reason,
    }
    text = f"{match.reference}: {outcome} ({reason}), request `{escaped(match.entry.request_id)}`"
    if file is not None:
        values["file"] = str(file)
        text = f"wrote `{file}`: {text}"
    write(output, values, text)


def _replay_values(result: Replayed) -> dict[str, object]:
    return {
        "ok": result.is_ok,
        "partition": result.partition,
        "origin": result.origin,
        "leaves": result.leaves,
        "next_offset": result.next_offset,
        "has_computed_salts": result.has_computed_salts,
        "differences_count": result.differences_count,
        "differences": [
            {**item._asdict(), "fields": [list(field) for field in item.fields]}
            for item in result.differences
        ],
        "stopped": result.stopped,
    }


def _replay_text(result: Replayed) -> str:
    salts = "computed" if result.has_computed_salts else "taken as given"
    decided = f"{result.origin}: {result.leaves} leaves decided again"
    lines = [f"{decided}, {result.differences_count} differ; salts {salts}"]
    for item in result.differences:
        lines.append(f"  leaf {item.leaf_index}, input offset {item.input_offset}")
        lines += [
            f"    {name}: recorded {recorded or '(empty)'}, decided {decided or '(empty)'}"
            for name, recorded, decided in item.fields
        ]
    if result.stopped:
        lines.append(f"  ended early: {escaped(result.stopped)}")
    return "\n".join(lines)
