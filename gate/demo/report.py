"""How the summary of the demonstration is written: text for people, values for programs."""

import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from gate.core.wire.text import escaped
from gate.demo.summary import ANSWERS, APPROVED, DENIED, CaseResult, FirstSending, Summary, name_of

_WIDTH = 96


def values_of(summary: Summary) -> dict[str, object]:
    """Return the summary as a JSON value: counts and ms are integers, files are paths."""
    first = summary.first
    return {
        "ok": not summary.failures,
        "failures": list(summary.failures),
        "folder": str(summary.folder),
        "gate": summary.gate,
        "kafka": summary.kafka,
        "elapsed_ms": summary.elapsed_ms,
        "policy": first.policy,
        "applications": summary.applications,
        "bank": {
            bank: {answer: first.answers.get((denied, answer), 0) for answer in ANSWERS}
            for bank, denied in (("approved", False), ("denied", True))
        },
        "reasons": [reason._asdict() for reason in first.reasons],
        "planted": [_values_of_case(result) for result in first.cases],
        "second_sending": asdict(summary.second),
        "speed": {**asdict(summary.speed), "per_second": summary.speed.per_second},
        "evidence": {**asdict(summary.evidence), "file": str(summary.evidence.file)},
        "audit": {**asdict(summary.audited), "line": summary.audited.closing_line},
    }


def _values_of_case(result: CaseResult) -> dict[str, object]:
    return {
        "name": result.case.name,
        "what": result.case.what,
        "partition": result.place.partition,
        "offset": result.place.offset,
        "expected": name_of(result.case.expected),
        "answer": result.answer,
        "ok": result.is_as_expected,
    }


def text_of(summary: Summary) -> str:
    """Return the summary for people; the last line is the audit's."""
    lines = [
        *_outcomes(summary),
        *_reasons(summary.first),
        *_planted(summary.first),
        *_shown(summary),
        *_files(summary),
        *_next(summary),
        *(f"FAILED: {failure}" for failure in summary.failures),
        *(f"audit: {escaped(finding)}" for finding in summary.audited.findings),
        "",
        summary.audited.closing_line,
    ]
    return "\n".join(lines)


def _outcomes(summary: Summary) -> list[str]:
    first = summary.first
    rows: list[tuple[str, Sequence[int]]] = [
        (title, [first.answers.get((denied, answer), 0) for answer in ANSWERS])
        for title, denied in (("the bank approved then", False), ("the bank denied then", True))
    ]
    rows.append(("all", [sum(counts) for counts in zip(*(c for _, c in rows), strict=True)]))
    head = "".join(f"{answer:>16}" for answer in (*ANSWERS, "all"))
    agreed = first.answers.get((False, APPROVED), 0) + first.answers.get((True, DENIED), 0)
    return [
        "",
        (
            f"{summary.applications:,} mortgage applications (Boston, 1990) under policy "
            f"{escaped(first.policy)}"
        ),
        *([_place(summary)] if summary.kafka else []),
        "",
        f"  {'the gate:':<24}{head}",
        *(
            f"  {title:<24}" + "".join(f"{count:>16,}" for count in (*counts, sum(counts)))
            for title, counts in rows
        ),
        "",
        f"  gate and bank agree on {agreed:,} of {summary.applications:,}",
    ]


def _place(summary: Summary) -> str:
    return f"gate `{escaped(summary.gate)}` on Apache Kafka at {escaped(summary.kafka or '')}"


def _reasons(first: FirstSending) -> list[str]:
    return [
        "",
        "Why not (an application may have several reasons)",
        "",
        *(
            f"  {reason.times:>5,}  {escaped(reason.rule or reason.code):<26}"
            f"{escaped(reason.sentence)}"
            for reason in first.reasons
        ),
    ]


def _planted(first: FirstSending) -> list[str]:
    as_expected = sum(result.is_as_expected for result in first.cases)
    lines = [
        "",
        f"Planted among them: {as_expected} of {len(first.cases)} denied for the expected reason",
        "",
    ]
    for result in first.cases:
        mark = "ok " if result.is_as_expected else "BAD"
        expected = name_of(result.case.expected)
        but = "" if result.is_as_expected else f", expected {expected}"
        lines.append(f"  {mark}  {result.case.name:<22}{result.case.what:<60}{result.answer}{but}")
    return lines


def _shown(summary: Summary) -> list[str]:
    second, speed, evidence = summary.second, summary.speed, summary.evidence
    return [
        "",
        *_paragraph(
            "Speed",
            f"{speed.per_second:,} decisions a second: {speed.records:,} records in "
            f"{speed.elapsed_ms:,} ms, two signatures checked, sealed and committed each",
        ),
        *_paragraph(
            "Evidence",
            f"{escaped(evidence.request_id)}, verified by a process that had only the file and a "
            f"public key: {escaped(evidence.result)}",
        ),
        *_paragraph(
            "Sent again",
            f"{second.replayed:,} of {second.approved_before:,} keys approved before are now "
            f"`replayed`, {second.approved_again} approved again",
        ),
        *_paragraph(
            "SIGKILL",
            f"killed with {second.committed_at_kill:,} of {second.sent:,} records committed, at "
            f"most {second.batch_records_max} a transaction; the restart decided the other "
            f"{second.decided_after_restart:,}, each once",
        ),
        *_paragraph("Time", f"{summary.elapsed_ms // 1_000} s in all"),
    ]


def _paragraph(title: str, text: str) -> list[str]:
    return textwrap.wrap(
        f"{title:<12}{text}", _WIDTH, subsequent_indent=" " * 12, break_on_hyphens=False
    )


def _files(summary: Summary) -> list[str]:
    folder = escaped(str(summary.folder))
    return [
        "",
        f"Files in {folder}",
        "",
        "  gate.toml, keys/, trust-root.json   the gate, its people and whom it believes",
        "  policies/                           policies and their tests",
        *(
            []
            if summary.kafka
            else ["  log.sqlite                          every topic: requests, decisions, lineage"]
        ),
        "  state/                              which keys are taken, by partition",
        "  evidence/                           the evidence file",
        "  logs/                               what the gate processes said",
    ]


def _next(summary: Summary) -> list[str]:
    return [
        "",
        "Try next",
        "",
        f"  cd {escaped(shlex.quote(str(summary.folder)))}",
        *(f"  {escaped(summary.command)} {escaped(line)}" for line in next_commands(summary)),
    ]


def next_commands(summary: Summary) -> tuple[str, ...]:
    """Return what to try next in the run's folder: shell lines without the leading `gate`."""
    evidence = summary.evidence
    file = evidence.file.relative_to(summary.folder)
    on_kafka = ("topics check", "tail --from-beginning --count 3")
    return (
        "policy check policies/boston-mortgage.policy.yaml",
        "policy test policies/boston-mortgage.policy.yaml",
        f"evidence '{evidence.decision}' -o mine.evidence.json",
        f"verify {file} --key {evidence.public_key} --log {evidence.log_prefix}",
        "audit --trust-root trust-root.json",
        "replay --lineage-secret",
        *(on_kafka if summary.kafka else ()),
    )
