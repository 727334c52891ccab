"""The profile `gate-cel/1`: which part of CEL a policy may use, and how much of it.

Two guards that do not trust each other: the engine's configuration names every function and
overload, and a walk over the decoded tree allows only what is listed here. Left out are floats,
unsigned, bytes and null literals, maps, messages, `dyn`, conversions, `map`, `filter`, `has`,
calendar getters, order and concatenation of strings.

The static cost of a whole policy, variables put in their place, is bounded far under the engine's
own limits (10,000 loop steps, depth 32), so that these can never be met at run time.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from gate.core.policy import names
from gate.core.policy.tree import Call, Const, ListOf, Macro, Name, Node, children
from gate.core.wire.text import has_forbidden, is_nfc

PROFILE: Final = "gate-cel/1"
VISITS_MAX: Final = 20_000
LOOP_STEPS_MAX: Final = 4_000
DEPTH_MAX: Final = 24
PATTERN_BYTES_MAX: Final = 256

_EVERY: Final = "int64 timestamp duration"
OVERLOADS: Final[Mapping[str, tuple[str, ...]]] = {
    "_&&_": ("logical_and",),
    "_||_": ("logical_or",),
    "!_": ("logical_not",),
    "_?_:_": ("conditional",),
    "_==_": ("equals",),
    "_!=_": ("not_equals",),
    "_<_": tuple(f"less_{kind}" for kind in _EVERY.split()),
    "_<=_": tuple(f"less_equals_{kind}" for kind in _EVERY.split()),
    "_>_": tuple(f"greater_{kind}" for kind in _EVERY.split()),
    "_>=_": tuple(f"greater_equals_{kind}" for kind in _EVERY.split()),
    "_+_": ("add_int64", "add_timestamp_duration", "add_duration_timestamp"),
    "_-_": (
        "subtract_int64",
        "subtract_timestamp_timestamp",
        "subtract_timestamp_duration",
    ),
    "_*_": ("multiply_int64",),
    "_/_": ("divide_int64",),
    "_%_": ("modulo_int64",),
    "-_": ("negate_int64",),
    "@in": ("in_list",),
    "_[_]": ("index_list",),
    "size": ("size_list", "list_size", "size_string", "string_size"),
    "startsWith": ("starts_with_string",),
    "endsWith": ("ends_with_string",),
    "contains": ("contains_string",),
    "matches": ("matches_string",),
    "duration": ("string_to_duration",),
    "timestamp": ("string_to_timestamp",),
}
"""Every function of the profile with its overload ids (google/cel-spec standard definitions)."""

MACROS: Final = ("all", "exists", "exists_one")
LITERAL_ONLY: Final = frozenset({"matches", "duration", "timestamp"})
"""Functions whose text must be a literal, which `compiled` tries when the policy is checked."""

_TYPES: Final = frozenset({"bool", "int", "string", "timestamp", "duration"})
_HEX_USES: Final = frozenset({"_==_", "_!=_", "@in", "_?_:_", "_[_]"})


class Finding(NamedTuple):
    """What is wrong with an expression, how to cure it, and where (code points; -1 unknown)."""

    message: str
    hint: str
    offset: int


class Declared(NamedTuple):
    """What the walk must know of a declared name.

    `items_max` bounds a list, `is_bytes` marks what expressions see as hexadecimal.
    """

    type: str
    items_max: int = 0
    is_bytes: bool = False


class Cost(NamedTuple):
    """Worst case of one evaluation."""

    visits: int
    loop_steps: int


def config() -> str:
    """Return the engine's configuration: the functions and macros of this profile, no others."""
    lines = [
        f'name: "{PROFILE}"',
        "stdlib:",
        f"  include_macros: [{', '.join(MACROS)}]",
        "  include_functions:",
    ]
    functions = {**OVERLOADS, "@not_strictly_false": ("not_strictly_false",)}
    for function, overloads in functions.items():
        lines += [f'    - name: "{function}"', "      overloads:"]
        lines += [f'        - id: "{overload}"' for overload in overloads]
    return "\n".join(lines) + "\n"


def findings(tree: Node, declared: Mapping[str, Declared]) -> tuple[Finding, ...]:
    """Return everything in the tree that the profile does not allow, in text order.

    `tree` is as written (variables by name, which `declared` lists too).
    """
    found: list[Finding] = []
    _walk(tree, declared, frozenset(), found)
    depth = depth_of(tree)
    if depth > DEPTH_MAX:
        found.append(
            Finding(
                f"expected at most {DEPTH_MAX} levels of nesting, got {depth}",
                "split the expression into variables or rules",
                -1,
            )
        )
    return tuple(sorted(set(found), key=lambda item: (item.offset, item.message)))


def depth_of(tree: Node) -> int:
    """Return the number of nodes from the root to the deepest leaf."""
    return 1 + max(map(depth_of, children(tree)), default=0)


def cost(tree: Node, declared: Mapping[str, Declared]) -> Cost:
    """Return the worst case of evaluating a tree in which variables are already replaced."""
    if isinstance(tree, Macro):
        turns = items_max(tree.domain, declared)
        domain = cost(tree.domain, declared)
        item = Declared("", turns if tree.domain.type.startswith("list(list(") else 0)
        body = cost(tree.body, {**declared, tree.variable: item})
        return Cost(
            domain.visits + turns * (body.visits + 3) + 1,
            domain.loop_steps + turns * (body.loop_steps + 1),
        )
    parts = [cost(child, declared) for child in children(tree)]
    visits = 1 + sum(part.visits for part in parts)
    if isinstance(tree, Call) and tree.function in {"@in", "_==_", "_!=_"}:
        visits += items_max(tree.args[1], declared)
    return Cost(visits, sum(part.loop_steps for part in parts))


def items_max(tree: Node, declared: Mapping[str, Declared]) -> int:
    """Return how many items the tree's value can have at most; 0 for what is no list."""
    match tree:
        case Name():
            known = declared.get(tree.name)
            return known.items_max if known else 0
        case ListOf():
            return max([len(tree.items), *(items_max(item, declared) for item in tree.items)])
        case Call(function="_?_:_"):
            return max(items_max(tree.args[1], declared), items_max(tree.args[2], declared))
        case Call(function="_[_]"):
            return items_max(tree.args[0], declared)
        case _:
            return 0


def _walk(
    node: Node, declared: Mapping[str, Declared], scope: frozenset[str], found: list[Finding]
) -> None:
    if not _is_typed(node):
        found.append(
            Finding(
                "expected values of one known type here",
                "give all items of a list one type: bool, int or string",
                node.offset,
            )
        )
    match node:
        case Const(kind="string"):
            _judge_text(node, found)
        case Name():
            if node.name not in scope and node.name not in declared:
                found.append(
                    Finding(
                        f"`{node.name}` is not a declared name",
                        "declare it as an input or a variable",
                        node.offset,
                    )
                )
        case Call():
            _judge_call(node, declared, found)
        case Macro():
            _judge_macro(node, scope, found)
            _walk(node.domain, declared, scope, found)
            hexadecimal = may_be_hex(node.domain, declared)
            inner = {**declared, node.variable: Declared("string", 0, hexadecimal)}
            _walk(node.body, inner, scope | {node.variable}, found)
            return
        case _:
            pass
    for child in children(node):
        _walk(child, declared, scope, found)


def _is_typed(node: Node) -> bool:
    kind = node.type
    if isinstance(node, ListOf) and not node.items:
        return True
    while kind.startswith("list("):
        kind = kind[5:-1]
    return kind in _TYPES


def _judge_text(node: Const, found: list[Finding]) -> None:
    value = str(node.value)
    if has_forbidden(value) or not is_nfc(value):
        found.append(
            Finding(
                "a literal has control or direction characters, or is not in form NFC",
                "no input has such characters, so it could never be equal: remove them",
                node.offset,
            )
        )


def _judge_call(node: Call, declared: Mapping[str, Declared], found: list[Finding]) -> None:
    if node.overload not in OVERLOADS.get(node.function, ()):
        found.append(
            Finding(
                f"`{node.function}` ({node.overload}) is not part of {PROFILE}",
                f"the functions are: {', '.join(sorted(OVERLOADS))}",
                node.offset,
            )
        )
    if node.function in LITERAL_ONLY and not _is_literal(node.args[-1]):
        found.append(
            Finding(
                f"`{node.function}` takes a literal only, of at most {PATTERN_BYTES_MAX} bytes",
                "write the text in quotes",
                node.offset,
            )
        )
    hexadecimal = [may_be_hex(argument, declared) for argument in node.args]
    if not any(hexadecimal):
        return
    if node.function not in _HEX_USES:
        found.append(
            Finding(
                f"bytes may only be compared, not given to `{node.function}`",
                "bytes are seen as lower-case hexadecimal: use ==, != or in",
                node.offset,
            )
        )
    elif any(not _is_hex(text) for argument in node.args for text in _texts(argument)):
        found.append(
            Finding(
                "bytes are compared with a text that is not lower-case hexadecimal",
                'write each byte as two digits, such as "00ff"',
                node.offset,
            )
        )


def _judge_macro(node: Macro, scope: frozenset[str], found: list[Finding]) -> None:
    name = node.variable
    if name in names.ROOTS or name in scope or not names.CEL_NAME.fullmatch(name):
        found.append(
            Finding(
                f"`{name}` cannot be the variable of `{node.kind}`",
                "take a short lower-case name that means nothing else, such as `item`",
                node.offset,
            )
        )


def _is_literal(node: Node) -> bool:
    return (
        isinstance(node, Const)
        and node.kind == "string"
        and len(str(node.value).encode()) <= PATTERN_BYTES_MAX
    )


def may_be_hex(node: Node, declared: Mapping[str, Declared]) -> bool:
    """Say whether the tree's value may be bytes, which expressions see as hexadecimal."""
    match node:
        case Name():
            known = declared.get(node.name)
            return known is not None and known.is_bytes
        case ListOf():
            return any(may_be_hex(item, declared) for item in node.items)
        case Call(function="_?_:_"):
            return any(may_be_hex(item, declared) for item in node.args[1:])
        case Call(function="_[_]"):
            return may_be_hex(node.args[0], declared)
        case _:
            return False


def _texts(node: Node) -> tuple[str, ...]:
    match node:
        case Const(kind="string"):
            return (str(node.value),)
        case ListOf():
            return tuple(text for item in node.items for text in _texts(item))
        case _:
            return ()


def _is_hex(text: str) -> bool:
    return names.HEX.fullmatch(text) is not None
