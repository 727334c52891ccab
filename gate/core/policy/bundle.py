"""The policy bundle: the canonical JSON that is hashed, signed and activated.

`parse_bundle` reads a payload strictly, `read_draft` a document that a packer is still making.
Both collect every fault.
What members mean to one another is judged by `references`, expressions by `compiled`, signatures
by `control`.

| member | value |
|---|---|
| `format` | `gate-policy-bundle/1` |
| `domain`, `policy`, `version`, `owner`, `engine` | strings |
| `sequence` | decimal string, at least 1 |
| `governs` | 1 to 64 action names, strictly ascending |
| `valid` | `from_ms`, `until_ms`: decimal strings, in force while from <= time < until |
| `requester` | `signed` or `open` |
| `window` | `max_age_ms`, `max_ahead_ms` |
| `resource` | `template`, or `input`: a string or enum declaration without name |
| `key` | `space`, `generation` (decimal string), `parts`: 1 to 8 parameter names |
| `inputs` | declarations, strictly ascending by `name` (`request.x`, `signal.x`) |
| `variables` | `name`, `expr`, `ast`; at most 32; each may use those before it |
| `rules` | `id`, `effect`, `expr`, `ast`, `message`?, `remedy`?, `approval`? |
| | (`role`, `count`, `max_age_ms`); 1 to 128 |
| `constraints` | `valid_for_ms`, `values`: `name`, a declaration, `expr`, `ast`; ascending |
| `tests_sha256`, `previous` | 64 hexadecimal digits, or null |

A declaration is `type` and: int `min`, `max`, `unit`?; string `min_len`, `max_len`, `chars`?; enum
`values`; bytes `min_len`, `max_len`; list `of` (`string`), `max_items`, `min_len`, `max_len`,
`chars`?; bool, timestamp and date nothing. Inputs add `default`?, signals also `issuers`, `subject`
(a parameter's name), `max_age_ms`. 64-bit values and times are decimal strings, lengths and counts
integers, bytes hexadecimal. Unknown members are faults.
"""

from typing import Final, cast

from gate.core import jcs, limits
from gate.core.policy import names
from gate.core.policy.declaration import EnumType, Parameter, Signal, StringType
from gate.core.policy.declaration_reader import (
    CONSTRAINT_TYPES,
    RESOURCE_TYPES,
    read_parameter,
    read_signal,
    read_type,
)
from gate.core.policy.issues import BundleInvalid, Issue
from gate.core.policy.members import Members
from gate.core.policy.model import (
    ApprovalDemand,
    Bundle,
    Constraint,
    Effect,
    Requester,
    Rule,
    Variable,
)
from gate.core.policy.references import judge_references

__all__ = [
    "FORMAT",
    "ApprovalDemand",
    "Bundle",
    "Constraint",
    "Rule",
    "Variable",
    "parse_bundle",
    "read_draft",
]

FORMAT: Final = "gate-policy-bundle/1"
EFFECTS: Final = ("deny", "require_approval", "allow")


def parse_bundle(payload: bytes) -> Bundle:
    """Read a bundle from its exact bytes: canonical JSON of at most 96 KiB, every digest there.

    Raises `BundleInvalid` with every fault found.
    """
    try:
        document = jcs.parse(payload, bytes_max=limits.BUNDLE_BYTES_MAX)
        if jcs.canonical(document) != payload:
            raise BundleInvalid((Issue((), "not in canonical form (RFC 8785)", "pack it again"),))
    except jcs.JsonInvalid as error:
        raise BundleInvalid((Issue((), str(error)),)) from error
    return _read(document, is_draft=False)


def read_draft(document: object) -> Bundle:
    """Read a bundle from a parsed document whose `ast` members may be absent.

    Raises `BundleInvalid` with every fault found.
    """
    return _read(document, is_draft=True)


def _read(document: object, *, is_draft: bool) -> Bundle:
    issues: list[Issue] = []
    root = Members(document, (), issues)
    root.choice("format", (FORMAT,))
    valid, window, key = root.child("valid"), root.child("window"), root.child("key")
    parameters, signals = _inputs(root)
    template, resource_input = _resource(root.child("resource"))
    constraints = root.child("constraints")
    bundle = Bundle(
        domain=root.text("domain", names.DOMAIN),
        policy=root.text("policy", names.RULE_ID),
        version=root.text("version", names.VERSION),
        sequence=root.decimal("sequence", 1, names.INT64_MAX),
        engine=root.text("engine"),
        owner=root.text("owner"),
        governs=_governs(root),
        valid_from_ms=valid.decimal("from_ms", 0, names.TIME_MS_MAX),
        valid_until_ms=valid.decimal("until_ms", 0, names.TIME_MS_MAX),
        requester=cast("Requester", root.choice("requester", ("signed", "open"))),
        max_age_ms=window.decimal("max_age_ms", 0, names.DURATION_MS_MAX),
        max_ahead_ms=window.decimal("max_ahead_ms", 0, names.DURATION_MS_MAX),
        resource_template=template,
        resource_input=resource_input,
        key_space=key.text("space", names.RULE_ID),
        key_generation=key.decimal("generation", 1, names.INT64_MAX),
        key_parts=key.texts("parts", names.NAME, most=names.KEY_PARTS_MAX),
        parameters=parameters,
        signals=signals,
        variables=_variables(root, is_draft=is_draft),
        rules=_rules(root, is_draft=is_draft),
        valid_for_ms=constraints.decimal("valid_for_ms", 1, names.DURATION_MS_MAX),
        constraints=_constraints(constraints, is_draft=is_draft),
        tests_sha256=root.digest_or_null("tests_sha256"),
        previous=root.digest_or_null("previous"),
    )
    for members in (valid, window, key, constraints, root):
        members.done()
    if not issues:
        issues += judge_references(bundle)
    if issues:
        raise BundleInvalid(tuple(sorted(issues, key=_in_document_order)))
    return bundle


def _in_document_order(issue: Issue) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (0, step) for step in issue.path]


def _governs(root: Members) -> tuple[str, ...]:
    actions = root.texts("governs", names.ACTION, most=names.GOVERNS_MAX)
    if list(actions) != sorted(actions):
        root.fault(("governs",), "expected ascending names", "sort them")
    return actions


def _resource(members: Members) -> tuple[str, StringType | EnumType | None]:
    template, kind = "", None
    has_template, has_input = members.has("template"), members.has("input")
    if has_template == has_input:
        members.fault((), "expected either `template` or `input`", "bind the resource in one way")
    elif has_template:
        template = members.text("template")
    else:
        declared = members.child("input")
        read = read_type(declared, RESOURCE_TYPES)
        declared.done()
        kind = read if isinstance(read, StringType | EnumType) else None
    members.done()
    return template, kind


def _inputs(root: Members) -> tuple[tuple[Parameter, ...], tuple[Signal, ...]]:
    parameters: list[Parameter] = []
    signals: list[Signal] = []
    previous = ""
    for members in root.children("inputs", least=0, most=2 * names.INPUTS_MAX):
        full_name = members.text("name")
        kind, _, name = full_name.partition(".")
        if kind not in {"request", "signal"}:
            members.fault(
                ("name",), f"expected `request.` or `signal.`, got {jcs.quoted(full_name)}"
            )
            continue
        if _judge_name(members, name):
            if full_name <= previous:
                members.fault(("name",), "expected ascending names, each once", "sort them")
            previous = full_name
        if kind == "request":
            parameters.append(read_parameter(members, name))
        else:
            signals.append(read_signal(members, name))
    for declared in (parameters, signals):
        if len(declared) > names.INPUTS_MAX:
            root.fault(("inputs",), f"expected at most {names.INPUTS_MAX} of a kind")
    return tuple(parameters), tuple(signals)


def _judge_name(members: Members, name: str) -> bool:
    """Say whether the name is one that may be declared."""
    if not names.NAME.fullmatch(name):
        members.fault(
            ("name",),
            f"{jcs.quoted(name)} cannot be a name",
            "lower-case letters, digits and _, first a letter, at most 64",
        )
    elif name in names.RESERVED:
        members.fault(
            ("name",),
            f"`{name}` is reserved: it means something already",
            f"take another name, such as `requested_{name}`",
        )
    else:
        return True
    return False


def _named(members: Members, seen: set[str]) -> str:
    name = members.text("name")
    _judge_name(members, name)
    if name in seen:
        members.fault(("name",), f"{jcs.quoted(name)} stands twice", "give each its own name")
    seen.add(name)
    return name


def _ast(members: Members, *, is_draft: bool) -> str:
    if is_draft and not members.has("ast"):
        return ""
    return members.text("ast", names.DIGEST)


def _expression(members: Members) -> str:
    return members.text("expr", most=names.EXPRESSION_BYTES_MAX, lines=True)


def _variables(root: Members, *, is_draft: bool) -> tuple[Variable, ...]:
    seen: set[str] = set()
    variables = []
    for members in root.children("variables", least=0, most=names.VARIABLES_MAX):
        name = _named(members, seen)
        ast = _ast(members, is_draft=is_draft)
        variables.append(Variable(name=name, expr=_expression(members), ast=ast))
        members.done()
    return tuple(variables)


def _constraints(root: Members, *, is_draft: bool) -> tuple[Constraint, ...]:
    seen: set[str] = set()
    constraints: list[Constraint] = []
    for members in root.children("values", least=0, most=names.CONSTRAINTS_MAX):
        name = _named(members, seen)
        if constraints and name < constraints[-1].name:
            members.fault(("name",), "expected ascending names", "sort them")
        kind = read_type(members, CONSTRAINT_TYPES)
        ast = _ast(members, is_draft=is_draft)
        expr = _expression(members)
        constraints.append(Constraint(name=name, type=kind, expr=expr, ast=ast))
        members.done()
    return tuple(constraints)


def _rules(root: Members, *, is_draft: bool) -> tuple[Rule, ...]:
    seen: set[str] = set()
    rules = []
    for members in root.children("rules", least=1, most=names.RULES_MAX):
        rule = _rule(members, is_draft=is_draft)
        if rule.id in seen:
            members.fault(("id",), f"{jcs.quoted(rule.id)} stands twice", "give each its own id")
        seen.add(rule.id)
        rules.append(rule)
    return tuple(rules)


def _rule(members: Members, *, is_draft: bool) -> Rule:
    rule_id = members.text("id", names.RULE_ID)
    expr, ast = _expression(members), _ast(members, is_draft=is_draft)
    faults = members.faults
    effect = cast("Effect", members.choice("effect", EFFECTS))
    if members.faults > faults:
        members.abandon()
    message = remedy = ""
    if effect != "allow":
        message = members.text("message", most=names.MESSAGE_BYTES_MAX)
        if members.has("remedy"):
            remedy = members.text("remedy", most=names.MESSAGE_BYTES_MAX)
    rule = Rule(
        id=rule_id,
        effect=effect,
        expr=expr,
        ast=ast,
        message=message,
        remedy=remedy,
        approval=_approval(members) if effect == "require_approval" else None,
    )
    members.done()
    return rule


def _approval(members: Members) -> ApprovalDemand:
    demand = members.child("approval")
    approval = ApprovalDemand(
        role=demand.text("role", names.RULE_ID),
        count=demand.count("count", 1, names.APPROVERS_MAX),
        max_age_ms=demand.decimal("max_age_ms", 1, names.DURATION_MS_MAX),
    )
    demand.done()
    return approval
