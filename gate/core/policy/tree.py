"""Decoding the engine's serialised checked expression into a small tree, and its digest.

The engine does not show its tree, so its serialisation (`cel.expr.CheckedExpr` of google/cel-spec
`proto/cel/expr/{checked,syntax}.proto`, inside a `google.protobuf.Any`) is read here by field
number, without a protobuf library. That serialisation is not deterministic (maps in any order), so
neither it nor anything of it is ever hashed, kept or loaded: only this tree is.

Promises: bounds on bytes, nodes and depth; whatever lies outside the small language raises
`TreeInvalid`; two expressions that differ only in spacing, brackets or comments give equal trees
and digests; different trees give different digests. Macros are recognised by their exact shape.
What of the language may be used is `profile`'s affair.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from gate.core.policy.protobuf import Message, ProtobufInvalid, integer, read_message, text

SERIALISED_BYTES_MAX: Final = 1024 * 1024
NODES_MAX: Final = 50_000
DEPTH_MAX: Final = 128
_TYPE_URL: Final = "type.googleapis.com/cel.expr.CheckedExpr"
ACCUMULATOR: Final = "@result"


class TreeInvalid(Exception):
    """The serialised expression holds something outside the small language; `str()` says what.

    `offset` counts code points from the start of the expression; -1 when unknown.
    """

    def __init__(self, message: str, offset: int = -1) -> None:
        """Keep the place beside the message."""
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Const:
    """A literal. `kind` is part of its identity: `True` is not 1."""

    kind: Literal["bool", "int", "string"]
    value: bool | int | str
    type: str = field(default="", compare=False)
    offset: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A declared name such as `request.amount`, or a macro's variable."""

    name: str
    type: str = field(default="", compare=False)
    offset: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function; for a method the receiver is the first of `args`."""

    function: str
    overload: str
    is_method: bool
    args: "tuple[Node, ...]"
    type: str = field(default="", compare=False)
    offset: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list literal."""

    items: "tuple[Node, ...]"
    type: str = field(default="", compare=False)
    offset: int = field(default=-1, compare=False)


MacroKind = Literal["all", "exists", "exists_one"]


@dataclass(frozen=True, slots=True)
class Macro:
    """`domain.kind(variable, body)`."""

    kind: MacroKind
    variable: str
    domain: "Node"
    body: "Node"
    type: str = field(default="", compare=False)
    offset: int = field(default=-1, compare=False)


Node = Const | Name | Call | ListOf | Macro
"""`type` (such as `int`, `list(string)`; empty when outside the language) and `offset` (code points
from the start of the expression) are notes for checks and messages, no part of identity."""


def decode(serialised: bytes) -> Node:
    """Return the tree of an expression that the engine of this process has serialised.

    Raises `TreeInvalid`.
    """
    if len(serialised) > SERIALISED_BYTES_MAX:
        raise TreeInvalid(f"expression of {len(serialised)} bytes, at most {SERIALISED_BYTES_MAX}")
    try:
        wrapper = read_message(serialised)
        if text(wrapper.one(1)) != _TYPE_URL:
            raise TreeInvalid("expected a checked expression, got another message")
        checked = wrapper.message(2)
        return _Decoder(checked).node(checked.message(4), 0)
    except ProtobufInvalid as error:
        raise TreeInvalid(f"serialised expression is malformed: {error}") from error


def digest(node: Node) -> str:
    """Return 64 hex digits: SHA-256 over an injective encoding of the tree."""
    parts: list[str] = ["gate-cel-tree/1"]
    _write(node, parts)
    return hashlib.sha256("".join(f"{len(p.encode())}:{p}" for p in parts).encode()).hexdigest()


def children(node: Node) -> "tuple[Node, ...]":
    """Return the nodes directly below, in order; of a macro its domain and its body."""
    match node:
        case Call():
            return node.args
        case ListOf():
            return node.items
        case Macro():
            return (node.domain, node.body)
        case _:
            return ()


def _write(node: Node, parts: list[str]) -> None:
    match node:
        case Const():
            value = str(node.value).lower() if node.kind == "bool" else str(node.value)
            parts += ("const", node.kind, value)
        case Name():
            parts += ("name", node.name)
        case Call():
            parts += ("method" if node.is_method else "call", node.function, node.overload)
            parts.append(str(len(node.args)))
        case ListOf():
            parts += ("list", str(len(node.items)))
        case Macro():
            parts += ("macro", node.kind, node.variable)
    for child in children(node):
        _write(child, parts)


class _Decoder:
    """Walks one checked expression; holds its side tables by node id."""

    def __init__(self, checked: Message) -> None:
        self._names: dict[int, str] = {}
        self._overloads: dict[int, tuple[str, ...]] = {}
        self._types: dict[int, str] = {}
        self._offsets: dict[int, int] = {}
        self._count = 0
        for entry in checked.messages(2):
            reference = entry.message(2)
            node_id = integer(entry.one(1, 0))
            self._names[node_id] = text(reference.one(1, b""))
            self._overloads[node_id] = tuple(text(name) for name in reference.all(3))
        for entry in checked.messages(3):
            self._types[integer(entry.one(1, 0))] = _type_name(entry.message(2), 0)
        if checked.has(5):
            for entry in checked.message(5).messages(4):
                self._offsets[integer(entry.one(1, 0))] = integer(entry.one(2, 0))

    def node(self, message: Message, depth: int) -> Node:
        """Return the tree of one `cel.expr.Expr`."""
        self._count += 1
        node_id = integer(message.one(2, 0))
        offset = self._offsets.get(node_id, -1)
        if depth > DEPTH_MAX or self._count > NODES_MAX:
            raise TreeInvalid("expression is too large to be read", offset)
        kinds = [number for number in range(3, 10) if message.has(number)]
        if len(kinds) != 1:
            raise TreeInvalid("expected exactly one kind of node", offset)
        body = message.message(kinds[0])
        type_name = self._types.get(node_id, "")
        match kinds[0]:
            case 3:
                return _const(body, type_name, offset)
            case 4:
                name = self._names.get(node_id) or text(body.one(1))
                return Name(name, type_name, offset)
            case 5:
                return self._select(body, node_id, offset)
            case 6:
                return self._call(body, node_id, depth, offset)
            case 7:
                if body.has(2):
                    raise TreeInvalid("optional list items are not part of the language", offset)
                items = tuple(self.node(item, depth + 1) for item in body.messages(1))
                return ListOf(items, type_name, offset)
            case 9:
                return self._macro(body, node_id, depth, offset)
            case _:
                raise TreeInvalid("maps and messages are not part of the language", offset)

    def _select(self, body: Message, node_id: int, offset: int) -> Name:
        name = self._names.get(node_id)
        if not name or integer(body.one(3, 0)) or self._overloads.get(node_id):
            raise TreeInvalid("member access is not part of the language", offset)
        return Name(name, self._types.get(node_id, ""), offset)

    def _call(self, body: Message, node_id: int, depth: int, offset: int) -> Call:
        overloads = self._overloads.get(node_id, ())
        function = text(body.one(2))
        if len(overloads) != 1:
            raise TreeInvalid(f"`{function}` is ambiguous: use values of one type", offset)
        args = [self.node(argument, depth + 1) for argument in body.messages(3)]
        if body.has(1):
            args.insert(0, self.node(body.message(1), depth + 1))
        return Call(
            function, overloads[0], body.has(1), tuple(args), self._types.get(node_id, ""), offset
        )

    def _macro(self, body: Message, node_id: int, depth: int, offset: int) -> Macro:
        if body.has(8) or text(body.one(3)) != ACCUMULATOR:
            raise TreeInvalid("this macro is not part of the language", offset)
        variable = text(body.one(1))
        domain, initial, condition, step, result = (
            self.node(body.message(number), depth + 1) for number in (2, 4, 5, 6, 7)
        )
        for kind, parts in _MACROS.items():
            predicate = _predicate(kind, step)
            if predicate is None:
                continue
            if (initial, condition, step, result) == parts(predicate):
                return Macro(
                    kind, variable, domain, predicate, self._types.get(node_id, ""), offset
                )
        raise TreeInvalid("this macro is not part of the language", offset)


_ACCUMULATED = Name(ACCUMULATOR)


def _predicate(kind: str, step: Node) -> Node | None:
    """Return where the macro's body stands in its loop step, if the step has that shape."""
    if not isinstance(step, Call) or len(step.args) < 2:
        return None
    return step.args[0] if kind == "exists_one" else step.args[1]


def _shape_all(body: Node) -> tuple[Node, Node, Node, Node]:
    return (
        Const("bool", True),
        Call("@not_strictly_false", "not_strictly_false", False, (_ACCUMULATED,)),
        Call("_&&_", "logical_and", False, (_ACCUMULATED, body)),
        _ACCUMULATED,
    )


def _shape_exists(body: Node) -> tuple[Node, Node, Node, Node]:
    unset = Call("!_", "logical_not", False, (_ACCUMULATED,))
    return (
        Const("bool", False),
        Call("@not_strictly_false", "not_strictly_false", False, (unset,)),
        Call("_||_", "logical_or", False, (_ACCUMULATED, body)),
        _ACCUMULATED,
    )


def _shape_exists_one(body: Node) -> tuple[Node, Node, Node, Node]:
    plus_one = Call("_+_", "add_int64", False, (_ACCUMULATED, Const("int", 1)))
    return (
        Const("int", 0),
        Const("bool", True),
        Call("_?_:_", "conditional", False, (body, plus_one, _ACCUMULATED)),
        Call("_==_", "equals", False, (_ACCUMULATED, Const("int", 1))),
    )


_MACROS: Final[dict[MacroKind, Callable[[Node], tuple[Node, Node, Node, Node]]]] = {
    "all": _shape_all,
    "exists": _shape_exists,
    "exists_one": _shape_exists_one,
}


def _const(body: Message, type_name: str, offset: int) -> Const:
    if body.has(2):
        return Const("bool", integer(body.one(2)) == 1, type_name, offset)
    if body.has(3):
        number = integer(body.one(3))
        return Const("int", number - (1 << 64) if number >> 63 else number, type_name, offset)
    if body.has(6):
        return Const("string", text(body.one(6)), type_name, offset)
    raise TreeInvalid(
        "literals other than bool, int and string are not part of the language", offset
    )


_PRIMITIVES: Final = {1: "bool", 2: "int", 5: "string"}
_WELL_KNOWN: Final = {2: "timestamp", 3: "duration"}


def _type_name(message: Message, depth: int) -> str:
    if message.has(3):
        return _PRIMITIVES.get(integer(message.one(3)), "")
    if message.has(5):
        return _WELL_KNOWN.get(integer(message.one(5)), "")
    if message.has(6) and depth < DEPTH_MAX:
        item = message.message(6)
        inner = _type_name(item.message(1), depth + 1) if item.has(1) else ""
        return f"list({inner})"
    return ""
