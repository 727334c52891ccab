"""What `gate topics apply` would do: make a topic, set settings, or refuse.

Pure, but for the plan's own reading of what a gate has written already. Promises that nothing is
deleted, no partition added, and that a topic which a gate has used is never made again.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from gate.client.topic_findings import Finding, Level, find_all
from gate.core.topics import TopicSpec, TopicStanding, TopicsWanted
from gate.core.values import Genesis
from gate.ports import Admin


class Action(Enum):
    """What is to be done with a topic."""

    CREATE = "create"
    ALTER = "alter"
    NOTHING = "nothing"
    REFUSE = "refuse"


class Step(NamedTuple):
    """What is to be done with one topic. `settings`: those to be set; `why`: of a refusal."""

    action: Action
    spec: TopicSpec
    settings: Mapping[str, str]
    why: str = ""


class Plan(NamedTuple):
    """Every step, and the findings that no step cures."""

    steps: tuple[Step, ...]
    left: tuple[Finding, ...]

    @property
    def is_refused(self) -> bool:
        """Whether a step can not be done."""
        return any(step.action is Action.REFUSE for step in self.steps)

    @property
    def changes(self) -> tuple[Step, ...]:
        """The steps that change something."""
        return tuple(s for s in self.steps if s.action in {Action.CREATE, Action.ALTER})


def identity_findings(
    wanted: TopicsWanted, standing: Mapping[str, TopicStanding | None], genesis: Genesis | None
) -> tuple[Finding, ...]:
    """Return what was deleted, or made again, under a gate that has begun: Genesis knows."""
    requests = standing[wanted.topics.requests]
    if genesis is None or requests is None or requests.topic_id in {"", genesis.topic_id}:
        return ()
    finding = Finding(
        Level.BAD, wanted.topics.requests, "topic id", f"{genesis.topic_id} as Genesis says",
        f"{requests.topic_id}: it was deleted and made again",
        "the gate can not go on with it: begin a new gate under another name", True,
    )  # fmt: skip
    return (finding,)


def plan_topics(
    wanted: TopicsWanted, standing: Mapping[str, TopicStanding | None], genesis: Genesis | None
) -> Plan:
    """Compare and plan."""
    findings = (*identity_findings(wanted, standing, genesis), *find_all(wanted, standing))
    by_topic: dict[str, list[Finding]] = {spec.name: [] for spec in wanted.specs}
    for finding in findings:
        by_topic.setdefault(finding.topic, []).append(finding)
    steps = tuple(
        _step(spec, standing[spec.name], by_topic[spec.name], has_begun=genesis is not None)
        for spec in wanted.specs
    )
    cured = {(step.spec.name, key) for step in steps for key in step.settings}
    made = {step.spec.name for step in steps if step.action is Action.CREATE}
    refused = {step.spec.name: step.why for step in steps if step.action is Action.REFUSE}
    left = tuple(
        finding
        for finding in findings
        if (finding.topic, finding.about) not in cured
        and finding.topic not in made
        and refused.get(finding.topic) != str(finding)
    )
    return Plan(steps, left)


def carry_out(plan: Plan, admin: Admin) -> None:
    """Do every step that changes something. Raises `ConfigInvalid`, `Unreachable`."""
    admin.create_topics([s.spec for s in plan.steps if s.action is Action.CREATE])
    for step in plan.steps:
        if step.action is Action.ALTER:
            admin.alter_topic(step.spec.name, step.settings)


def _step(
    spec: TopicSpec, found: TopicStanding | None, findings: Sequence[Finding], *, has_begun: bool
) -> Step:
    if found is None:
        if has_begun:
            why = (
                f"topic `{spec.name}`: expected it, as the gate has begun, found no such topic: "
                "its records are gone, and an empty one would not bring them back: begin a new "
                "gate under another name"
            )
            return Step(Action.REFUSE, spec, {}, why)
        return Step(Action.CREATE, spec, spec.settings)
    for finding in findings:
        if finding.about in {"partitions", "topic id"} and finding.level is Level.BAD:
            return Step(Action.REFUSE, spec, {}, str(finding))
    wrong = {f.about for f in findings if f.level is Level.BAD}
    settings = {key: value for key, value in spec.settings.items() if key in wrong}
    return Step(Action.ALTER if settings else Action.NOTHING, spec, settings)
