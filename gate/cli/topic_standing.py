"""Looks at the topics of a configured gate, for `gate topics`, `gate doctor` and a start."""

from collections.abc import Sequence
from typing import NamedTuple

from gate import wiring
from gate.cli.screen import Format, paint, tell, write
from gate.client.fits_log import read_genesis
from gate.client.topic_findings import INTERNAL_TOPICS, Finding, Level, find_all
from gate.client.topic_plan import Plan, identity_findings, plan_topics
from gate.config import Config
from gate.core.topics import TopicStanding
from gate.core.values import Genesis
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

_COLOURS = {Level.BAD: "red", Level.WARNING: "yellow", Level.UNKNOWN: "yellow"}


class Look(NamedTuple):
    """How the topics stand, the Genesis of the gate that uses them, and what is wrong."""

    standing: dict[str, TopicStanding | None]
    genesis: Genesis | None
    findings: tuple[Finding, ...]
    plan: Plan


def look(config: Config) -> Look:
    """Ask the log about the gate's topics, and on Kafka about the topics of its own.

    Raises `ConfigInvalid`, `Unreachable`.
    """
    wanted = wiring.wanted_topics(config)
    internal = INTERNAL_TOPICS if wiring.is_kafka(config) else ()
    standing = dict(wiring.open_admin(config).standing([*wanted.topics, *internal]))
    genesis = None
    if standing[wanted.topics.lineage] is not None:
        with wiring.open_reader(config) as reader:
            genesis = read_genesis(reader, wanted.topics)
    findings = (*identity_findings(wanted, standing, genesis), *find_all(wanted, standing))
    return Look(standing, genesis, findings, plan_topics(wanted, standing, genesis))


def check_topics(config: Config) -> None:
    """Refuse to start on topics of Kafka that a gate must not run on; tell what else is found.

    Raises `ConfigInvalid` with every finding that stops, `Unreachable`.
    """
    standing, _, findings, _ = look(config)
    if all(standing[name] is None for name in wiring.topics(config)):
        raise ConfigInvalid(
            f"log has no topics of a gate `{config.gate}`: make them with `gate topics apply`, or "
            "put `gate` right in the configuration"
        )
    stopping = [str(finding) for finding in findings if finding.stops_start]
    if stopping:
        raise ConfigInvalid("\n".join(stopping))
    for finding in findings:
        if finding.level is not Level.WARNING:
            tell(_text(finding))
    if config.insecure_dev:
        tell(
            f"{paint('insecure_dev:', 'yellow')} topics of one replica are accepted: a broker "
            "lost is decisions lost"
        )


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
        write(output, values, _text(finding))


def _text(finding: Finding) -> str:
    level = paint(finding.level.value, _COLOURS[finding.level])
    return f"{level}: {escaped(str(finding))}"
