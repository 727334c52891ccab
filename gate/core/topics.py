"""Names of the topics and of those who write them: `design/README.md` §3.

Everything follows from one prefix, the gate's name, which is also its consumer group.
"""

from typing import NamedTuple


class Topics(NamedTuple):
    """The topics of one gate; all have the partition count of `requests`."""

    requests: str
    approved: str
    denied: str
    lineage: str
    quarantine: str
    changelog: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The topics that only the gate writes."""
        return (self.approved, self.denied, self.lineage, self.quarantine, self.changelog)


def topics_of(prefix: str) -> Topics:
    """Return the topic names under `prefix`."""
    return Topics(*(f"{prefix}.{name}.v1" for name in Topics._fields))


def transactional_id(prefix: str, slot: str) -> str:
    """Return the stable id of one running place of the gate."""
    return f"{prefix}.{slot}"


def init_transactional_id(prefix: str) -> str:
    """Return the id of `gate init-lineage`."""
    return f"{prefix}-init"


def control_transactional_id(prefix: str) -> str:
    """Return the one id of all control tools; a second tool is fenced."""
    return f"{prefix}-control"
