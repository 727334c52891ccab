"""What an audit finds: one fault each, with its place, what was expected and what was found.

The list is bounded, the count is not: one lost topic must not fill the memory.
"""

from enum import Enum
from typing import NamedTuple

from gate.audit.kept_state import Values
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid
from gate.ports import TopicPartition

LISTED_MAX = 1_000


class Fault(Enum):
    """Which claim of the audit does not hold; `design/decision.md` §6, `design/proof.md` §1."""

    UNREADABLE = "unreadable"
    GENESIS_DIFFERS = "genesis_differs"
    TRUST_ROOT_DIFFERS = "trust_root_differs"
    LINEAGE_BROKEN = "lineage_broken"
    NOT_SIGNED = "not_signed"
    ROOT_DIFFERS = "root_differs"
    NOT_CONSISTENT = "not_consistent"
    LEAF_MISSING = "leaf_missing"
    LEAF_TWICE = "leaf_twice"
    LEAF_ORDER = "leaf_order"
    LEAF_DIFFERS = "leaf_differs"
    PROOF_REFUSED = "proof_refused"
    WRONG_TOPIC = "wrong_topic"
    LINK_BROKEN = "link_broken"
    INPUT_UNDECIDED = "input_undecided"
    INPUT_UNKNOWN = "input_unknown"
    INPUT_DIFFERS = "input_differs"
    KEY_APPROVED_TWICE = "key_approved_twice"
    CHANGELOG_MISSING = "changelog_missing"
    CHANGELOG_DIFFERS = "changelog_differs"
    CHANGELOG_UNKNOWN = "changelog_unknown"
    QUARANTINE_MISSING = "quarantine_missing"
    QUARANTINE_DIFFERS = "quarantine_differs"
    QUARANTINE_UNKNOWN = "quarantine_unknown"
    KEPT_CHECKPOINT_MISSING = "kept_checkpoint_missing"
    KEPT_CHECKPOINT_DIFFERS = "kept_checkpoint_differs"


class Finding(NamedTuple):
    """One fault. `offset` is in `topic`, -1 where no record is to blame; `leaf_index` likewise."""

    fault: Fault
    topic: str
    partition: int
    offset: int
    leaf_index: int
    expected: str
    found: str

    def text(self) -> str:
        """Return the finding for people, in one line that is safe on a terminal."""
        place = f"{self.fault.value}: topic `{self.topic}` partition {self.partition}"
        if self.offset >= 0:
            place += f" offset {self.offset}"
        if self.leaf_index >= 0:
            place += f" leaf {self.leaf_index}"
        return escaped(f"{place}: expected {self.expected}, found {self.found}")


class Findings:
    """Collects findings in the order in which they are made; lists the first `LISTED_MAX`."""

    def __init__(self, kept: Values | None = None) -> None:
        """Begin with none, or with those of a `state`. Raises `ConfigInvalid`."""
        self.listed: list[Finding] = []
        self.count = 0
        if kept is not None:
            self.restore(kept)

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""
        listed = [[item.fault.value, *item[1:]] for item in self.listed]
        return {"count": self.count, "listed": listed}

    def restore(self, kept: Values) -> None:
        """Hold what was held. Raises `ConfigInvalid`."""
        self.count = kept.number("count")
        try:
            self.listed = [
                Finding(Fault(fault), str(topic), int(number), int(at), int(leaf), one, other)
                for fault, topic, number, at, leaf, one, other in kept.items("listed")
            ]
        except (TypeError, ValueError) as error:
            raise ConfigInvalid("resume file: expected findings at `shared.listed`") from error

    def add(
        self,
        fault: Fault,
        where: TopicPartition,
        *,
        expected: str,
        found: str,
        offset: int = -1,
        leaf_index: int = -1,
    ) -> None:
        """Add a finding."""
        self.count += 1
        if len(self.listed) < LISTED_MAX:
            self.listed.append(Finding(fault, *where, offset, leaf_index, expected, found))
