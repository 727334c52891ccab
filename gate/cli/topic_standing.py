"""Looks at the topics of a configured gate, for `gate topics`, `gate doctor` and a start."""

from collections.abc import Sequence
from typing import NamedTuple

from gate import wiring
from gate.cli.screen import Format, paint, write
from gate.client.fits_log import read_genesis
from gate.client.topic_findings import INTERNAL_TOPICS, Finding, Level, find_all
from gate.client.topic_plan import Plan, identity_findings, plan_topics
from gate.config import Config
from gate.core.wire.text import escaped

_COLOURS = {Level.BAD: "red", Level.WARNING: "yellow", Level.UNKNOWN: "yellow"}


class Look(NamedTuple):
    """What was found, and what to do about it."""

    findings: tuple[Finding, ...]
    plan: Plan


def look(config: Config) -> Look:
    """Ask the log about the gate's topics, and on Kafka about the topics of its own.

    Raises `ConfigInvalid`, `Unreachable`.
    """
    wanted = wiring.wanted_topics(config)
    internal = INTERNAL_TOPICS if wiring.is_kafka(config) else ()
    standing = wiring.open_admin(config).standing([*wanted.topics, *internal])
    genesis = None
    if standing[wanted.topics.lineage] is not None:
        with wiring.open_reader(config) as reader:
            genesis = read_genesis(reader, wanted.topics)
    findings = (*identity_findings(wanted, standing, genesis), *find_all(wanted, standing))
    return Look(findings, plan_topics(wanted, standing, genesis))


def write_findings(findings: Sequence[Finding], output: Format) -> None:
    """Write each finding as a line of data."""
    for finding in findings:
        values = {
            "level": finding.level.value,
            "topic": finding.topic,
            "about": finding.about,
            "expected": finding.expected,
            "found": finding.found,
            "cure": finding.cure,
            "stops_start": finding.stops_start,
        }
        level = paint(finding.level.value, _COLOURS[finding.level])
        write(output, values, f"{level}: {escaped(str(finding))}")
