"""One line of a diagnosis."""

from enum import Enum
from typing import NamedTuple

from gate.client.topic_findings import Finding, Level


class Status(Enum):
    """What a check came to. `UNKNOWN`: it could not be looked at, which is no good news."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"
    UNKNOWN = "unknown"


_OF_LEVEL = {
    Level.BAD: Status.BAD,
    Level.WARNING: Status.WARNING,
    Level.UNKNOWN: Status.UNKNOWN,
}


class Check(NamedTuple):
    """What was looked at, how it should be, how it is, and what to do where they differ."""

    name: str
    status: Status
    expected: str
    found: str
    cure: str = ""


def ok(name: str, expected: str, found: str) -> Check:
    """Return a check that came out well."""
    return Check(name, Status.OK, expected, found)


def of_finding(name: str, finding: Finding) -> Check:
    """Return the check that a finding about a topic is."""
    found = f"`{finding.topic}`: {finding.about}: {finding.found}"
    return Check(name, _OF_LEVEL[finding.level], finding.expected, found, finding.cure)
