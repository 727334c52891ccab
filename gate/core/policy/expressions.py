"""Reading and judging every expression of a bundle.

`read_expressions` compiles each as written and decodes its tree; `judge_expressions` says what the
trees do that a policy must not. Variables may use those before them. How the trees are then run is
`program`'s affair.
"""

import difflib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final, NamedTuple

from gate.core.jcs import quoted
from gate.core.policy import names, profile, template
from gate.core.policy.declaration import (
    BoolType,
    BytesType,
    DeclaredType,
    IntType,
    ListType,
    TimestampType,
)
from gate.core.policy.engine import ERROR, CompileFailed, Environment
from gate.core.policy.issues import BundleInvalid, Issue, Path
from gate.core.policy.model import Bundle, Variable
from gate.core.policy.profile import Declared
from gate.core.policy.tree import Call, Const, Name, Node, TreeInvalid, children, decode
from gate.core.policy.unparse import substitute, unparse

CONFIG: Final = profile.config()
_VARIABLE_TYPES: Final = frozenset(
    {"bool", "int", "string", "timestamp", "duration", "list(string)"}
)
_SHOWN_TYPES: Final = frozenset({"bool", "int", "string"})


class Read(NamedTuple):
    """One expression: its place, its text, its tree as written, and with variables replaced."""

    path: Path
    text: str
    tree: Node
    expanded: Node


class Expressions(NamedTuple):
    """All expressions of a bundle, each list in its order; `types` of the declared names."""

    variables: tuple[Read, ...]
    rules: tuple[Read, ...]
    constraints: tuple[Read, ...]
    types: Mapping[str, str]


def engine_type(kind: DeclaredType) -> str:
    """Return the type under which expressions see a declared value."""
    match kind:
        case IntType():
            return "int"
        case BoolType():
            return "bool"
        case TimestampType():
            return "timestamp"
        case ListType():
            return "list(string)"
        case _:
            return "string"


def declared_names(bundle: Bundle) -> dict[str, Declared]:
    """Return every name that an expression may use, variables aside."""
    declared = {
        "actor": Declared("string"),
        "action": Declared("string"),
        "resource": Declared("string"),
        "now": Declared("timestamp"),
    }
    for prefix, inputs in (("request", bundle.parameters), ("signal", bundle.signals)):
        for item in inputs:
            items_max = item.type.max_items if isinstance(item.type, ListType) else 0
            declared[f"{prefix}.{item.name}"] = Declared(
                engine_type(item.type), items_max, isinstance(item.type, BytesType)
            )
    return declared


def read_expressions(bundle: Bundle) -> Expressions:
    """Compile and decode every expression.

    Raises `BundleInvalid` with every complaint of the compiler.
    """
    reader = _Reader({name: known.type for name, known in declared_names(bundle).items()})
    variables = [
        reader.variable(index, variable) for index, variable in enumerate(bundle.variables)
    ]
    environment = Environment(CONFIG, reader.types)
    rules = [
        reader.read(environment, ("rules", index, "expr"), rule.expr)
        for index, rule in enumerate(bundle.rules)
    ]
    constraints = [
        reader.read(environment, ("constraints", "values", index, "expr"), constraint.expr)
        for index, constraint in enumerate(bundle.constraints)
    ]
    if reader.issues:
        raise BundleInvalid(tuple(reader.issues))
    return Expressions(_all(variables), _all(rules), _all(constraints), reader.types)


def judge_expressions(bundle: Bundle, expressions: Expressions) -> tuple[Issue, ...]:
    """Return every fault of the trees: profile, types, cost, what rules must read."""
    declared = declared_names(bundle)
    issues: list[Issue] = []
    for variable, read in zip(bundle.variables, expressions.variables, strict=True):
        issues += _findings(read, declared)
        name = f"variables.{variable.name}"
        declared[name] = Declared(
            expressions.types[name],
            profile.items_max(read.expanded, declared),
            profile.may_be_hex(read.expanded, declared),
        )
    for read in expressions.rules:
        issues += _findings(read, declared)
        issues += _wrong_type(read, "bool")
    for constraint, read in zip(bundle.constraints, expressions.constraints, strict=True):
        issues += _findings(read, declared)
        issues += _wrong_type(read, engine_type(constraint.type))
    issues += _literals(expressions)
    issues += _reads(bundle, expressions)
    issues += _shown(bundle, expressions.types)
    return tuple(issues) or tuple(_cost(expressions, declared))


def every(expressions: Expressions) -> tuple[Read, ...]:
    """Return variables, rules and constraints, in this order."""
    return expressions.variables + expressions.rules + expressions.constraints


def names_in(tree: Node) -> frozenset[str]:
    """Return every name in a tree, macro variables too."""
    own = frozenset({tree.name}) if isinstance(tree, Name) else frozenset()
    return own.union(*map(names_in, children(tree)))


def place_of(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of a code point of an expression; zeros when unknown."""
    if offset < 0:
        return 0, 0
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def _all(reads: list[Read | None]) -> tuple[Read, ...]:
    return tuple(read for read in reads if read is not None)


class _Reader:
    """Compiles expressions one after the other; remembers the variables and the faults."""

    def __init__(self, types: dict[str, str]) -> None:
        self.types = types
        self.issues: list[Issue] = []
        self._trees: dict[str, Node] = {}
        self._sizes: dict[str, int] = {}
        self._failed: list[str] = []

    def variable(self, index: int, variable: Variable) -> Read | None:
        """Read a variable and declare it for those that follow."""
        name = f"variables.{variable.name}"
        path: Path = ("variables", index, "expr")
        read = self.read(Environment(CONFIG, self.types), path, variable.expr)
        kind = read.tree.type if read is not None else ""
        if read is not None and kind not in _VARIABLE_TYPES:
            self._fault(
                path,
                "a variable holds a bool, int, string, timestamp, duration or list of string, "
                f"got {kind or 'another type'}",
                "put the expression where the variable is used",
            )
        if read is None or kind not in _VARIABLE_TYPES:
            self._failed.append(name)
            return None
        self.types[name] = kind
        self._trees[name] = read.expanded
        self._sizes[name] = _size(read.tree, self._sizes)
        return read

    def read(self, environment: Environment, path: Path, text: str) -> Read | None:
        """Read one expression; None when a fault was noted, here or in a variable it names."""
        try:
            tree = decode(environment.compile(text).serialised())
        except CompileFailed as error:
            self.issues += [
                Issue(
                    path, fault.message, _hint(fault.message, self.types), fault.line, fault.column
                )
                for fault in error.faults
                if not any(f"`{name}`" in fault.message for name in self._failed)
            ]
            return None
        except TreeInvalid as error:
            hint = f"{profile.PROFILE} has bool, int, string, timestamp, duration and lists"
            self._fault(path, str(error), hint, place_of(text, error.offset))
            return None
        size = _size(tree, self._sizes)
        if size > profile.VISITS_MAX:
            self._fault(
                path,
                f"with its variables in place, expected at most {profile.VISITS_MAX} nodes, "
                f"got {size}",
                "use fewer variables within one another",
            )
            return None
        return Read(path, text, tree, substitute(tree, self._trees))

    def _fault(self, path: Path, message: str, hint: str, place: tuple[int, int] = (0, 0)) -> None:
        self.issues.append(Issue(path, message, hint, *place))


def _hint(message: str, types: Mapping[str, str]) -> str:
    """Return how to cure a complaint of the compiler."""
    if "recursion" in message:
        return f"expected at most {profile.DEPTH_MAX} levels of nesting: use variables"
    if message.startswith("undeclared reference to `"):
        name = message.split("`")[1]
        close = difflib.get_close_matches(name, sorted(types), 1)
        if close:
            return f"did you mean `{close[0]}`?"
        return f"declare it; the functions of {profile.PROFILE} are {_FUNCTIONS}"
    if message.startswith("found no matching overload"):
        return "compare and combine values of one type; strings have no order and no sum"
    return ""


_FUNCTIONS: Final = ", ".join(
    sorted([name for name in profile.OVERLOADS if name.isalpha()] + list(profile.MACROS))
)


def _size(tree: Node, sizes: Mapping[str, int]) -> int:
    """Return the number of nodes with variables in place, without putting them there."""
    own = sizes.get(tree.name, 1) if isinstance(tree, Name) else 1
    return own + sum(_size(child, sizes) for child in children(tree))


def _findings(read: Read, declared: Mapping[str, Declared]) -> Iterator[Issue]:
    for finding in profile.findings(read.tree, declared):
        line, column = place_of(read.text, finding.offset)
        yield Issue(read.path, finding.message, finding.hint, line, column)


def _wrong_type(read: Read, expected: str) -> Iterator[Issue]:
    if read.tree.type != expected:
        yield Issue(
            read.path,
            f"expected an expression of type {expected}, got {read.tree.type or 'another type'}",
            "compare values to get a bool" if expected == "bool" else "change one of the two",
            1,
            1,
        )


def _literals(expressions: Expressions) -> Iterator[Issue]:
    """Try each literal pattern, duration and timestamp: they fail only when evaluated."""
    environment = Environment(CONFIG, {})
    for read in every(expressions):
        for call in _calls(read.tree):
            literal = call.args[-1]
            if call.function not in profile.LITERAL_ONLY or not isinstance(literal, Const):
                continue
            receiver = (Const("string", ""), literal) if call.is_method else (literal,)
            trial = Call(call.function, call.overload, call.is_method, receiver)
            result = environment.compile(unparse(trial)).evaluate({})
            if result is ERROR or (isinstance(result, timedelta) and abs(result) > _LONGEST):
                line, column = place_of(read.text, literal.offset)
                yield Issue(
                    read.path,
                    f"{quoted(str(literal.value))} is not a valid {_LITERALS[call.function]}",
                    _LITERAL_HINTS[call.function],
                    line,
                    column,
                )


_LONGEST: Final = timedelta(milliseconds=names.DURATION_MS_MAX)
_LITERALS: Final = {
    "matches": "pattern",
    "duration": "duration",
    "timestamp": "timestamp",
}
_LITERAL_HINTS: Final = {
    "matches": "patterns follow RE2: no look-around, no back-references",
    "duration": 'such as "90s", "15m" or "24h", at most 100 years',
    "timestamp": 'such as "2026-01-01T00:00:00Z"',
}


def _calls(node: Node) -> Iterator[Call]:
    if isinstance(node, Call):
        yield node
    for child in children(node):
        yield from _calls(child)


def _reads(bundle: Bundle, expressions: Expressions) -> Iterator[Issue]:
    rules = frozenset[str]().union(*(names_in(read.expanded) for read in expressions.rules))
    if len(bundle.governs) > 1 and "action" not in rules:
        yield Issue(
            ("governs",),
            "a policy that governs more than one action must read `action` in its rules",
            'such as `action == "loan.approve" && …`, or split the policy',
        )
    if bundle.resource_input is not None and "resource" not in rules:
        yield Issue(
            ("resource", "input"),
            "no rule reads `resource`: whatever it names would be approved",
            "read it in a rule, or use a template over parameters",
        )


def _shown(bundle: Bundle, types: Mapping[str, str]) -> Iterator[Issue]:
    """Judge the variables in messages: only some types have a text."""
    for index, rule in enumerate(bundle.rules):
        for name in template.parse(rule.message).names:
            if name.startswith("variables.") and types[name] not in _SHOWN_TYPES:
                yield Issue(
                    ("rules", index, "message"),
                    f"{quoted('{' + name + '}')} is a {types[name]}, which has no text",
                    "show a bool, an int or a string",
                )


def _cost(expressions: Expressions, declared: Mapping[str, Declared]) -> Iterator[Issue]:
    visits = loop_steps = 0
    for read in every(expressions):
        part = profile.cost(read.expanded, declared)
        visits += part.visits
        loop_steps += part.loop_steps
        depth = profile.depth_of(read.expanded)
        if depth > profile.DEPTH_MAX:
            yield Issue(
                read.path,
                "with its variables in place, expected at most "
                f"{profile.DEPTH_MAX} levels of nesting, got {depth}",
                "use fewer variables within one another",
            )
    if visits > profile.VISITS_MAX:
        yield Issue(
            ("rules",),
            f"evaluation may visit {visits} nodes, at most {profile.VISITS_MAX}",
            "lower `max_items`, or use fewer variables within one another",
        )
    if loop_steps > profile.LOOP_STEPS_MAX:
        yield Issue(
            ("rules",),
            f"evaluation may loop {loop_steps} times, at most {profile.LOOP_STEPS_MAX}",
            "lower `max_items`, or nest fewer loops",
        )
