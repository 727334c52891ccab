"""Trees back into text, and variables put in their place.

Policies run all their expressions as one list, so variables are replaced by their trees and the
result is written as text for the engine. `compiled` proves each such text by decoding it again.
Substitution cannot capture: variables hold only declared names and their own macro variables, and
`profile` refuses a macro variable that hides a declared name.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gate.core.policy.tree import Call, Const, ListOf, Macro, Name, Node

_BINARY: Final = {
    "_&&_": "&&",
    "_||_": "||",
    "_==_": "==",
    "_!=_": "!=",
    "_<_": "<",
    "_<=_": "<=",
    "_>_": ">",
    "_>=_": ">=",
    "_+_": "+",
    "_-_": "-",
    "_*_": "*",
    "_/_": "/",
    "_%_": "%",
    "@in": "in",
}
_CONTROLS: Final = {code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_ESCAPES: Final = str.maketrans({**_CONTROLS, ord("\\"): "\\\\", ord('"'): '\\"'})


def substitute(node: Node, trees: Mapping[str, Node]) -> Node:
    """Return the tree with every name in `trees` replaced."""
    match node:
        case Name():
            return trees.get(node.name, node)
        case Call():
            return replace(node, args=tuple(substitute(item, trees) for item in node.args))
        case ListOf():
            return replace(node, items=tuple(substitute(item, trees) for item in node.items))
        case Macro():
            domain, body = substitute(node.domain, trees), substitute(node.body, trees)
            return replace(node, domain=domain, body=body)
        case _:
            return node


def unparse(node: Node) -> str:
    """Return text that the engine reads as exactly this tree; operands stand in brackets."""
    match node:
        case Const(kind="string", value=str(value)):
            return f'"{value.translate(_ESCAPES)}"'
        case Const(kind="bool"):
            return "true" if node.value else "false"
        case Const():
            return str(node.value)
        case Name():
            return node.name
        case ListOf():
            return f"[{', '.join(map(unparse, node.items))}]"
        case Macro():
            return f"{_operand(node.domain)}.{node.kind}({node.variable}, {unparse(node.body)})"
        case Call():
            return _call(node)


def _call(node: Call) -> str:
    function, args = node.function, node.args
    if function in _BINARY:
        return f"{_operand(args[0])} {_BINARY[function]} {_operand(args[1])}"
    if function in {"!_", "-_"}:
        return f"{function[0]}({unparse(args[0])})"
    if function == "_?_:_":
        # The last branch takes no brackets: they would cost a second level of the parser's depth.
        return f"{_operand(args[0])} ? {_operand(args[1])} : {unparse(args[2])}"
    if function == "_[_]":
        return f"{_operand(args[0])}[{unparse(args[1])}]"
    if node.is_method:
        return f"{_operand(args[0])}.{function}({', '.join(map(unparse, args[1:]))})"
    return f"{function}({', '.join(map(unparse, args))})"


def _operand(node: Node) -> str:
    text = unparse(node)
    return f"({text})" if isinstance(node, Call) else text
