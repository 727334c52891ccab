"""A policy's YAML source (`gate-policy/1`, `design/policy.md` §1): its members, and its bundle.

`POLICY` is the table of all members; checking and the editor's schema both follow it. Mandatory
are all but `requester` (`signed`), `key.generation` (1), `min_len` (1), `chars`, `unit`,
`default`, `signals`, `variables`, and a rule's `message`, `remedy` and `approval`. `window` and
`valid` have no default: how old a request may be is the author's decision.

`read_source` gives the draft of a bundle: a document without digests, for `policy.bundle`. What
the members mean together is judged there; `Source.fault` brings its findings back to the line.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from gate.authoring import kinds
from gate.authoring.faults import Fault, SourceInvalid
from gate.authoring.kinds import check_kind
from gate.authoring.operators import operator_hint
from gate.authoring.shape import (
    Choice,
    Duration,
    Flag,
    Kind,
    ListOf,
    Member,
    Moment,
    NamedOf,
    ParameterName,
    Path,
    Read,
    Record,
    Tagged,
    Text,
    TextOr,
    Whole,
    read_shape,
)
from gate.authoring.yaml_source import Scalar, read_yaml
from gate.core.limits import ENGINE
from gate.core.policy import names
from gate.core.policy.declaration_reader import CONSTRAINT_TYPES, INPUT_TYPES, RESOURCE_TYPES
from gate.core.policy.issues import Issue

FORMAT = kinds.POLICY_FORMAT
BUNDLE_FORMAT = "gate-policy-bundle/1"

EFFECTS = ("deny", "require_approval", "allow")

_EXPRESSION = Text(doc="an expression")
_LENGTH = Whole(minimum=0, maximum=names.TEXT_BYTES_MAX)
_CHARS = Member(
    kind=Text(doc="characters and ranges such as `A-Z0-9-`"),
    doc="which characters may occur: ranges such as `A-Z0-9-`, or `text` for any",
    is_required=False,
)
_MIN_LEN = Member(kind=_LENGTH, doc="the least length in UTF-8 bytes", is_required=False)
_MAX_LEN = Member(kind=_LENGTH, doc="the greatest length in UTF-8 bytes")
_WORDS = ListOf(item=Text(), items_min=1, items_max=names.ENUM_VALUES_MAX)

_TYPES: dict[str, dict[str, Member]] = {
    "int": {
        "min": Member(kind=Whole(), doc="the least value allowed"),
        "max": Member(kind=Whole(), doc="the greatest value allowed"),
        "unit": Member(kind=Text(), doc="what is counted, such as `EUR`", is_required=False),
    },
    "bool": {},
    "string": {"min_len": _MIN_LEN, "max_len": _MAX_LEN, "chars": _CHARS},
    "enum": {"values": Member(kind=_WORDS, doc="the words allowed")},
    "bytes": {"min_len": _MIN_LEN, "max_len": _MAX_LEN},
    "timestamp": {},
    "date": {},
    "list": {
        "of": Member(kind=Choice(words=("string",)), doc="the type of an item: `string`"),
        "max_items": Member(
            kind=Whole(minimum=1, maximum=names.LIST_ITEMS_MAX), doc="how many items at most"
        ),
        "min_len": _MIN_LEN,
        "max_len": _MAX_LEN,
        "chars": _CHARS,
    },
}
_DEFAULTS: dict[str, Kind] = {
    "int": Whole(),
    "bool": Flag(),
    "string": Text(allows_empty=True),
    "enum": Text(),
    "bytes": Text(doc="hexadecimal digits", allows_empty=True),
    "timestamp": Moment(),
    "date": Text(is_date=True),
    "list": ListOf(item=Text(allows_empty=True), items_max=names.LIST_ITEMS_MAX),
}
_TYPE = Member(kind=Choice(words=tuple(_TYPES)), doc="the type of the value")


def _declaration(types: tuple[str, ...], more: dict[str, Member], *, has_default: bool) -> Tagged:
    records = {}
    for word in types:
        members = _TYPES[word]
        default = Member(kind=_DEFAULTS[word], doc="the value if none is given", is_required=False)
        optional = {"default": default} if has_default else {}
        records[word] = Record(members={"type": _TYPE, **members, **optional, **more})
    return Tagged(tag="type", records=records)


PARAMETER = _declaration(INPUT_TYPES, {}, has_default=True)
SIGNAL = _declaration(
    INPUT_TYPES,
    {
        "issuers": Member(
            kind=ListOf(item=Text(), items_min=1, items_max=names.ISSUERS_MAX),
            doc="whose statements count: names in the trust root",
        ),
        "subject": Member(
            kind=ParameterName(), doc="the parameter that names whom a statement is about"
        ),
        "max_age": Member(kind=Duration(), doc="how old a statement may be, such as `24h`"),
    },
    has_default=True,
)
CONSTRAINT = _declaration(
    CONSTRAINT_TYPES,
    {"expr": Member(kind=_EXPRESSION, doc="the expression that gives the value")},
    has_default=False,
)
_APPROVAL = Record(
    members={
        "role": Member(kind=Text(), doc="the role in the trust root that may approve"),
        "count": Member(
            kind=Whole(minimum=1, maximum=names.APPROVERS_MAX), doc="how many holders of the role"
        ),
        "max_age": Member(kind=Duration(), doc="how old an approval may be, such as `72h`"),
    }
)
_RULE = Record(
    members={
        "id": Member(kind=Text(), doc="the rule's name, such as `large-loan`"),
        **{
            effect: Member(kind=_EXPRESSION, doc="the condition", is_required=False)
            for effect in EFFECTS
        },
        "message": Member(kind=Text(), doc="what people read when it fires", is_required=False),
        "remedy": Member(kind=Text(), doc="what people can do about it", is_required=False),
        "approval": Member(kind=_APPROVAL, doc="who must approve", is_required=False),
    },
    one_of=EFFECTS,
    only_beside={
        "message": ("deny", "require_approval"),
        "remedy": ("deny", "require_approval"),
        "approval": ("require_approval",),
    },
)
_VARIABLE = Record(
    members={
        "name": Member(kind=Text(), doc="the name after `variables.`"),
        "expr": Member(kind=_EXPRESSION, doc="the expression that gives the value"),
    }
)
_KEY = Record(
    members={
        "space": Member(kind=Text(), doc="the name of the key space, such as `loans`"),
        "generation": Member(
            kind=Whole(minimum=1), doc="the generation of the key space", is_required=False
        ),
        "parts": Member(
            kind=ListOf(item=ParameterName(), items_min=1, items_max=names.KEY_PARTS_MAX),
            doc="the parameters that are approved at most once, such as `[request.loan_id]`",
        ),
    }
)

POLICY = Record(
    members={
        "format": Member(kind=Choice(words=(FORMAT,)), doc=f"`{FORMAT}`"),
        "policy": Member(kind=Text(), doc="the policy's name, such as `loan-approval`"),
        "version": Member(kind=Text(), doc="three numbers for people, such as `1.0.3`"),
        "sequence": Member(kind=Whole(minimum=1), doc="a number that rises with each change"),
        "owner": Member(kind=Text(), doc="who answers for the policy"),
        "governs": Member(
            kind=ListOf(item=Text(), items_min=1, items_max=names.GOVERNS_MAX),
            doc="the actions that the policy decides, such as `[loan.approve]`",
        ),
        "valid": Member(
            kind=Record(
                members={
                    "from": Member(kind=Moment(), doc="when it starts to count"),
                    "until": Member(kind=Moment(), doc="when it ceases to count"),
                }
            ),
            doc="when the policy counts: `{from: …, until: …}`",
        ),
        "requester": Member(
            kind=Choice(words=("signed", "open")),
            doc="whether requests must be signed",
            is_required=False,
        ),
        "window": Member(
            kind=Record(
                members={
                    "max_age": Member(kind=Duration(), doc="how old a request may be"),
                    "max_ahead": Member(kind=Duration(), doc="how far ahead of append time"),
                }
            ),
            doc="how far `issued_at` may be from append time: `{max_age: 15m, max_ahead: 60s}`",
        ),
        "resource": Member(
            kind=TextOr(
                text=Text(doc="a template such as `loan/{request.loan_id}`"),
                other=_declaration(RESOURCE_TYPES, {}, has_default=False),
            ),
            doc="a template such as `loan/{request.loan_id}`, or a type",
        ),
        "key": Member(kind=_KEY, doc="what is approved at most once"),
        "request": Member(
            kind=NamedOf(value=PARAMETER, entries_max=names.INPUTS_MAX),
            doc="the parameters of the request, each with its type",
        ),
        "signals": Member(
            kind=NamedOf(value=SIGNAL, entries_max=names.INPUTS_MAX),
            doc="the signals, each with its type and issuers",
            is_required=False,
        ),
        "variables": Member(
            kind=ListOf(item=_VARIABLE, items_max=names.VARIABLES_MAX),
            doc="named expressions",
            is_required=False,
        ),
        "rules": Member(
            kind=ListOf(item=_RULE, items_min=1, items_max=names.RULES_MAX),
            doc="the rules",
        ),
        "constraints": Member(
            kind=Record(
                members={
                    "valid_for": Member(
                        kind=Duration(), doc="how long an approval holds, such as `15m`"
                    )
                },
                rest=CONSTRAINT,
            ),
            doc="what the executor must respect; `valid_for` at least",
        ),
    }
)

_LENGTHS = ("min_len", "max_len")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source whose form is right. `draft` is the bundle's document without digests."""

    draft: dict[str, Any]
    read: Read

    def invalid(self, issues: Iterable[Issue]) -> SourceInvalid:
        """Return the core's findings as faults of this file.

        What is wrong below a member that is itself a finding says nothing more.
        """
        found = tuple(issues)
        paths = {issue.path for issue in found}
        return SourceInvalid(
            self.fault(issue)
            for issue in found
            if not any(issue.path[:length] in paths for length in range(1, len(issue.path)))
        )

    def fault(self, issue: Issue) -> Fault:
        """Return one finding at its line and column in the file."""
        path = source_path(issue.path, self.draft)
        if path[:1] == ("governs",) and len(path) > 1:
            path = ("governs", self._governs_at(int(path[1])))
        while path not in self.read.nodes:
            path = path[:-1]
        node = self.read.nodes[path]
        place = node.place
        if isinstance(node, Scalar) and issue.line:
            place = node.position(issue.line, issue.column)
        elif not isinstance(node, Scalar) and path in self.read.names:
            place = self.read.names[path].place
        hint = operator_hint(node.text) if isinstance(node, Scalar) and issue.line else ""
        return self.read.lines.fault(place.line, place.column, issue.message, hint or issue.hint)

    def _governs_at(self, at: int) -> int:
        """Return where an action of the sorted list stands in the file; a double: the last."""
        written = cast("list[str]", self.read.value["governs"])
        return max(i for i, action in enumerate(written) if action == self.draft["governs"][at])


def read_source(data: bytes, file: str, *, domain: str) -> Source:
    """Read a policy source; `file` is only named in faults. Raises `SourceInvalid`."""
    root, lines = read_yaml(data, file)
    check_kind(root, lines, kinds.POLICY)
    read = read_shape(root, POLICY, lines)
    return Source(draft=_draft(read.value, domain), read=read)


def source_path(path: Path, draft: dict[str, Any]) -> Path:
    """Return where in the source a member of the bundle comes from."""
    match path:
        case ("inputs", int(at), *rest):
            prefix, _, name = draft["inputs"][at]["name"].partition(".")
            path = ("request" if prefix == "request" else "signals", name, *rest)
        case ("rules", int(at), "expr" | "effect" | "ast", *_):
            path = ("rules", at, draft["rules"][at]["effect"])
        case ("constraints", "values", int(at), *rest):
            path = ("constraints", draft["constraints"]["values"][at]["name"], *rest)
        case ("resource", _, *rest):
            path = ("resource", *rest)
    return tuple(step.removesuffix("_ms") if isinstance(step, str) else step for step in path)


def _draft(value: dict[str, Any], domain: str) -> dict[str, Any]:
    valid, window, key, constraints = (
        value[name] for name in ("valid", "window", "key", "constraints")
    )
    inputs = [_input("request.", name, item) for name, item in value["request"].items()]
    inputs += [_input("signal.", name, item) for name, item in value.get("signals", {}).items()]
    results = [
        {"name": name, **_typed(item)} for name, item in constraints.items() if name != "valid_for"
    ]
    return {
        "format": BUNDLE_FORMAT,
        "domain": domain,
        "policy": value["policy"],
        "version": value["version"],
        "sequence": str(value["sequence"]),
        "engine": ENGINE,
        "owner": value["owner"],
        "governs": sorted(value["governs"]),
        "valid": {"from_ms": str(valid["from"]), "until_ms": str(valid["until"])},
        "requester": value.get("requester", "signed"),
        "window": {
            "max_age_ms": str(window["max_age"]),
            "max_ahead_ms": str(window["max_ahead"]),
        },
        "resource": _resource(value["resource"]),
        "key": {
            "space": key["space"],
            "generation": str(key.get("generation", 1)),
            "parts": key["parts"],
        },
        "inputs": sorted(inputs, key=lambda item: item["name"]),
        "variables": value.get("variables", []),
        "rules": [_rule(rule) for rule in value["rules"]],
        "constraints": {
            "valid_for_ms": str(constraints["valid_for"]),
            "values": sorted(results, key=lambda item: item["name"]),
        },
        "tests_sha256": None,
        "previous": None,
    }


def _input(prefix: str, name: str, item: dict[str, Any]) -> dict[str, Any]:
    declared = {"name": prefix + name, **_typed(item)}
    if "max_age" in declared:
        declared["max_age_ms"] = str(declared.pop("max_age"))
    return declared


def _typed(item: dict[str, Any]) -> dict[str, Any]:
    """Return a declaration as it stands in a bundle: defaults filled in, 64-bit values as text."""
    members = dict(item)
    if members["type"] in ("string", "bytes", "list"):
        members.setdefault("min_len", 1)
    if members["type"] == "int":
        members.update({name: str(members[name]) for name in ("min", "max")})
    if members["type"] in ("int", "timestamp") and "default" in members:
        members["default"] = str(members["default"])
    return members


def _resource(value: str | dict[str, Any]) -> dict[str, Any]:
    return {"template": value} if isinstance(value, str) else {"input": _typed(value)}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    effect = next(name for name in EFFECTS if name in rule)
    made = {"id": rule["id"], "effect": effect, "expr": rule[effect]}
    made.update({name: rule[name] for name in ("message", "remedy") if name in rule})
    if "approval" in rule:
        asked = rule["approval"]
        made["approval"] = {
            "role": asked["role"],
            "count": asked["count"],
            "max_age_ms": str(asked["max_age"]),
        }
    return made
