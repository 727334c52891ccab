"""Test files of a policy (`gate-policy-tests/1`, `design/policy.md` §1): cases and properties.

A case states only what differs from `base`. Absent members default to: `actor` `tester`, `action`
the one that the policy governs, `resource` the policy's template filled in, `age` 0. `expect.rule`
is the rule that approved; `expect.reasons` is the whole list in order, each `code` or
`code:rule-or-field`; of `expect.constraints` only the named ones are compared.

Values are typed by the policy's declarations. A text without the declared form is sent as text, so
that the gate's own check refuses it: a case may expect `parameter_invalid`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gate.authoring import kinds
from gate.authoring.claims import never_faults, ordered_inputs
from gate.authoring.faults import Fault, SourceInvalid
from gate.authoring.kinds import check_kind
from gate.authoring.shape import (
    AnyValue,
    Choice,
    Duration,
    ListOf,
    Member,
    Moment,
    NamedOf,
    Path,
    Read,
    Record,
    Text,
    read_shape,
    shown,
    suggestion,
)
from gate.authoring.typed import declared_value, filled, free_value
from gate.authoring.yaml_source import Node, Place, Scalar, read_yaml
from gate.core.policy.compiled import Policy
from gate.core.policy.declaration import DeclaredType
from gate.core.reasons import Code
from gate.core.values import Parameters, Value

FORMAT = kinds.TESTS_FORMAT
CASES_MAX = 4096
_ACTOR = "tester"
_CODES = {code.name.lower(): code for code in Code}

_VALUES = NamedOf(value=AnyValue())
_SITUATION = {
    "now": Member(kind=Moment(), doc="append time", is_required=False),
    "actor": Member(kind=Text(), doc="who asks", is_required=False),
    "action": Member(kind=Text(), doc="what is asked for", is_required=False),
    "resource": Member(kind=Text(), doc="on what", is_required=False),
    "request": Member(kind=_VALUES, doc="parameters by name", is_required=False),
    "signals": Member(kind=_VALUES, doc="signals by name", is_required=False),
    "absent": Member(
        kind=ListOf(item=Text()), doc="parameters and signals that are left out", is_required=False
    ),
    "age": Member(
        kind=NamedOf(value=Duration()), doc="how old a signal's statement is", is_required=False
    ),
    "approvals": Member(
        kind=ListOf(item=Text()), doc="rules that have their approvals", is_required=False
    ),
}
_EXPECT = Record(
    members={
        "outcome": Member(kind=Choice(words=("APPROVED", "DENIED")), doc="the outcome"),
        "rule": Member(kind=Text(), doc="the rule that approves", is_required=False),
        "reasons": Member(
            kind=ListOf(item=Text(), items_min=1), doc="all reasons in order", is_required=False
        ),
        "constraints": Member(kind=_VALUES, doc="constraints by name", is_required=False),
    }
)
_CASE = Record(
    members={
        "name": Member(kind=Text(), doc="the claim in a few words"),
        **_SITUATION,
        "expect": Member(kind=_EXPECT, doc="what the gate must answer"),
    }
)
_PROPERTY = Record(
    members={
        "name": Member(kind=Text(), doc="the claim in a few words"),
        "never": Member(kind=Text(), doc="what no request may reach", is_required=False),
        "monotone": Member(
            kind=NamedOf(value=Choice(words=("up", "down"))),
            doc="inputs that, moved so, never turn an approval into a denial",
            is_required=False,
        ),
    },
    one_of=("never", "monotone"),
)
TESTS = Record(
    members={
        "format": Member(kind=Choice(words=(FORMAT,)), doc=f"`{FORMAT}`"),
        "policy": Member(kind=Text(), doc="the policy's name"),
        "base": Member(kind=Record(members=_SITUATION), doc="what all cases start from"),
        "tests": Member(kind=ListOf(item=_CASE, items_min=1, items_max=CASES_MAX), doc="the cases"),
        "properties": Member(
            kind=ListOf(item=_PROPERTY), doc="what holds for all requests", is_required=False
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedReason:
    """A reason to be met; an empty `culprit` stands for any rule or field."""

    code: Code
    culprit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a case expects; `None` and an empty mapping compare nothing."""

    approved: bool
    rule: str | None
    reasons: tuple[ExpectedReason, ...] | None
    constraints: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One complete case: the base with the case's own members laid over it."""

    name: str
    line: int
    now_ms: int
    actor: str
    action: str
    resource: str
    parameters: Parameters
    signals: Mapping[str, Value]
    ages_ms: Mapping[str, int]
    approvals: tuple[str, ...]
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A claim over all requests; not run: it needs a solver."""

    name: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """A test file without faults."""

    file: str
    policy: str
    cases: tuple[Case, ...]
    properties: tuple[Property, ...]


def read_cases(data: bytes, file: str, policy: Policy) -> Cases:
    """Read a test file for a policy; `file` is only named in faults.

    Raises `SourceInvalid` with all faults: of form, or else of names, codes and references.
    """
    root, lines = read_yaml(data, file)
    check_kind(root, lines, kinds.TESTS)
    read = read_shape(root, TESTS, lines)
    reader = _Reader(read=read, policy=policy)
    reader.head()
    cases = [reader.case(at) for at in range(len(read.value["tests"]))]
    properties = [reader.property(at) for at in range(len(read.value.get("properties", [])))]
    if reader.faults:
        raise SourceInvalid(reader.faults)
    return Cases(
        file=file,
        policy=policy.bundle.policy,
        cases=tuple(cases),
        properties=tuple(properties),
    )


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Lays cases over the base, and collects faults of meaning."""

    read: Read
    policy: Policy
    faults: list[Fault] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def fault(self, place: Place, message: str, hint: str = "") -> None:
        self.faults.append(self.read.lines.fault(place.line, place.column, message, hint))

    def head(self) -> None:
        expected, got = self.policy.bundle.policy, str(self.read.value["policy"])
        if got != expected:
            place = self.read.nodes["policy",].place
            self.fault(
                place, f"tests are for another policy: expected `{expected}`, got {shown(got)}"
            )

    def name(self, path: Path, name: str) -> None:
        if name in self.names:
            self.fault(self.read.nodes[*path, "name"].place, f"name {shown(name)} is given twice")
        self.names.add(name)

    def known(self, name: str, names: Mapping[str, object], what: str, place: Place) -> bool:
        if name not in names:
            self.fault(place, f"unknown {what} {shown(name)}", suggestion(name, names))
        return name in names

    def case(self, at: int) -> Case:
        base, own = self.read.value["base"], self.read.value["tests"][at]
        paths: tuple[Path, Path] = (("base",), ("tests", at))
        self.name(paths[1], own["name"])
        parameters: dict[str, Value] = {}
        signals: dict[str, Value] = {}
        ages_ms: dict[str, int] = {}
        for path, situation in zip(paths, (base, own), strict=True):
            self._inputs(path, situation, parameters, signals)
            ages_ms.update(self._ages(path, situation.get("age", {})))
            self._approvals(path, situation.get("approvals", []))
            for position, name in enumerate(situation.get("absent", [])):
                self._leave_out(name, parameters, signals, (*path, "absent", position))
        merged = {**base, **own}
        if "now" not in merged:
            self.fault(self.read.nodes[paths[1]].place, "member `now` is missing in `base`")
        ordered = tuple(sorted(parameters.items()))
        return Case(
            name=own["name"],
            line=self.read.nodes[paths[1]].place.line,
            now_ms=merged.get("now", 0),
            actor=merged.get("actor", _ACTOR),
            action=self._action(merged, paths[1]),
            resource=self._resource(merged, ordered, paths[1]),
            parameters=ordered,
            signals=signals,
            ages_ms=ages_ms,
            approvals=tuple(merged.get("approvals", ())),
            expected=self._expected(own["expect"], (*paths[1], "expect")),
        )

    def property(self, at: int) -> Property:
        path: Path = ("properties", at)
        claim = self.read.value["properties"][at]
        self.name(path, claim["name"])
        if isinstance(node := self.read.nodes.get((*path, "never")), Scalar):
            for line, column, message in never_faults(node.text, self.policy.bundle):
                self.fault(node.position(max(line, 1), max(column, 1)), message)
        inputs = ordered_inputs(self.policy.bundle)
        for name in claim.get("monotone", {}):
            place = self.read.names[*path, "monotone", name].place
            if self.known(name, inputs, "input", place) and not inputs[name]:
                self.fault(place, f"`{name}` has no order", "name a number, a time or a flag")
        return Property(name=claim["name"], line=self.read.nodes[path].place.line)

    def _inputs(
        self,
        path: Path,
        situation: Mapping[str, Any],
        parameters: dict[str, Value],
        signals: dict[str, Value],
    ) -> None:
        parameter_types = {item.name: item.type for item in self.policy.bundle.parameters}
        signal_types = {item.name: item.type for item in self.policy.bundle.signals}
        for name, node in situation.get("request", {}).items():
            parameters[name] = self._value(node, parameter_types.get(name))
        for name, node in situation.get("signals", {}).items():
            place = self.read.names[*path, "signals", name].place
            if self.known(name, signal_types, "signal", place):
                signals[name] = self._value(node, signal_types[name])

    def _value(self, node: Node, declared: DeclaredType | None) -> Value:
        value = None if declared is None else declared_value(node, declared)
        if value is None:
            value = free_value(node)
            if declared is not None and isinstance(node, Scalar):
                value = node.text
        if value is None:
            self.fault(node.place, "expected a text or a list of texts, got members")
            return ""
        return value

    def _ages(self, path: Path, ages_ms: Mapping[str, int]) -> Mapping[str, int]:
        signals = {item.name: item for item in self.policy.bundle.signals}
        for name in ages_ms:
            self.known(name, signals, "signal", self.read.names[*path, "age", name].place)
        return ages_ms

    def _approvals(self, path: Path, rules: list[str]) -> None:
        asking = {
            rule.id: rule for rule in self.policy.bundle.rules if rule.effect == "require_approval"
        }
        for at, rule in enumerate(rules):
            place = self.read.nodes[*path, "approvals", at].place
            self.known(rule, asking, "rule with `require_approval`", place)

    def _leave_out(
        self, name: str, parameters: dict[str, Value], signals: dict[str, Value], path: Path
    ) -> None:
        """Leave out a parameter or a signal; a name that is both needs its prefix."""
        bundle = self.policy.bundle
        known = {f"request.{item.name}": parameters for item in bundle.parameters}
        known |= {f"signal.{item.name}": signals for item in bundle.signals}
        full = [whole for whole in known if name in (whole, whole.partition(".")[2])]
        place = self.read.nodes[path].place
        if not full:
            bare = {whole.partition(".")[2] for whole in known}
            self.known(name, dict.fromkeys(bare), "parameter or signal", place)
        elif len(full) > 1:
            self.fault(place, f"{shown(name)} may mean `{full[0]}` or `{full[1]}`: write which")
        else:
            known[full[0]].pop(full[0].partition(".")[2], None)

    def _action(self, merged: Mapping[str, Any], path: Path) -> str:
        governs = self.policy.bundle.governs
        if "action" in merged:
            return cast("str", merged["action"])
        if len(governs) > 1:
            hint = "one of " + ", ".join(f"`{name}`" for name in governs)
            self.fault(
                self.read.nodes[path].place, "the policy governs several: give `action`", hint
            )
        return governs[0]

    def _resource(self, merged: Mapping[str, Any], parameters: Parameters, path: Path) -> str:
        if "resource" in merged:
            return cast("str", merged["resource"])
        template = self.policy.bundle.resource_template
        if not template:
            message = "the policy has no template for it: give `resource`"
            self.fault(self.read.nodes[path].place, message)
        return filled(template, parameters)

    def _expected(self, expect: Mapping[str, Any], path: Path) -> Expected:
        approved = expect["outcome"] == "APPROVED"
        misplaced = ("reasons",) if approved else ("rule", "constraints")
        for name in misplaced:
            if name in expect:
                place = self.read.nodes[*path, name].place
                self.fault(place, f"`{name}` can not be expected of {expect['outcome']}")
        rules = {rule.id: rule for rule in self.policy.bundle.rules if rule.effect == "allow"}
        if "rule" in expect:
            self.known(expect["rule"], rules, "allow rule", self.read.nodes[*path, "rule"].place)
        reasons = None
        if "reasons" in expect:
            reasons = tuple(
                self._reason(text, (*path, "reasons", at))
                for at, text in enumerate(expect["reasons"])
            )
        return Expected(
            approved=approved,
            rule=expect.get("rule"),
            reasons=reasons,
            constraints=self._constraints(expect.get("constraints", {}), (*path, "constraints")),
        )

    def _reason(self, text: str, path: Path) -> ExpectedReason:
        word, _, culprit = text.partition(":")
        self.known(word, _CODES, "reason code", self.read.nodes[path].place)
        return ExpectedReason(code=_CODES.get(word, Code.CONTROL_REJECTED), culprit=culprit)

    def _constraints(self, values: Mapping[str, Node], path: Path) -> dict[str, Value]:
        declared = {item.name: item.type for item in self.policy.bundle.constraints}
        return {
            name: self._value(node, declared[name])
            for name, node in values.items()
            if self.known(name, declared, "constraint", self.read.names[*path, name].place)
        }
