"""A second evaluator of `gate-cel/1` over the decoded tree: the oracle of the engine in tests.

Values: bool, int, str, list, and `Moment` and `Span` in microseconds. Any error is `ERROR`, and
`&&`, `||`, `all` and `exists` absorb it as the CEL specification says.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from gate.core.policy.engine import ERROR
from gate.core.policy.tree import Call, Const, ListOf, Macro, Name, Node

_MIN, _MAX = -(2**63), 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_US = -62_135_596_800_000_000
_LAST_US = 253_402_300_799_999_999
_SPAN_US = 2**63 // 1000  # the engine counts the time between two moments in nanoseconds
_UNITS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}


class Moment(NamedTuple):
    us: int


class Span(NamedTuple):
    us: int


def of(value: object) -> Any:
    """Return an engine's argument or result in this evaluator's terms."""
    if isinstance(value, datetime):
        return Moment((value - _EPOCH) // timedelta(microseconds=1))
    if isinstance(value, timedelta):
        return Span(value // timedelta(microseconds=1))
    return value


def evaluate(node: Node, names: Mapping[str, Any]) -> Any:
    match node:
        case Const():
            return node.value
        case Name():
            return names.get(node.name, ERROR)
        case ListOf():
            items = [evaluate(item, names) for item in node.items]
            return ERROR if any(item is ERROR for item in items) else items
        case Macro():
            return _macro(node, names)
        case Call():
            return _call(node, names)


def _macro(node: Macro, names: Mapping[str, Any]) -> Any:
    domain = evaluate(node.domain, names)
    if domain is ERROR:
        return ERROR
    results = [evaluate(node.body, {**names, node.variable: item}) for item in domain]
    if node.kind == "exists_one":
        return ERROR if ERROR in results else results.count(True) == 1
    decisive = node.kind == "exists"
    if any(result is decisive for result in results):
        return decisive
    return ERROR if ERROR in results else not decisive


def _call(node: Call, names: Mapping[str, Any]) -> Any:
    function = node.function
    if function == "_?_:_":
        condition = evaluate(node.args[0], names)
        if condition is ERROR:
            return ERROR
        return evaluate(node.args[1 if condition else 2], names)
    args = [evaluate(argument, names) for argument in node.args]
    if function in {"_&&_", "_||_"}:
        decisive = function == "_||_"
        if any(argument is decisive for argument in args):
            return decisive
        return ERROR if ERROR in args else not decisive
    if any(argument is ERROR for argument in args):
        return ERROR
    return _FUNCTIONS[function](*args)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return type(left) is type(right) and left == right


def _int(value: int) -> Any:
    return value if _MIN <= value <= _MAX else ERROR


def _moment(us: int) -> Any:
    return Moment(us) if _FIRST_US <= us <= _LAST_US else ERROR


def _span(us: int) -> Any:
    return Span(us) if abs(us) <= _SPAN_US else ERROR


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, Moment):
        return _moment(left.us + right.us)
    if isinstance(right, Moment):
        return _moment(left.us + right.us)
    return _int(left + right)


def _subtract(left: Any, right: Any) -> Any:
    if isinstance(left, Moment) and isinstance(right, Moment):
        return _span(left.us - right.us)
    if isinstance(left, Moment):
        return _moment(left.us - right.us)
    return _int(left - right)


def _divide(left: int, right: int) -> Any:
    if right == 0:
        return ERROR
    quotient = abs(left) // abs(right)
    return _int(quotient if (left < 0) == (right < 0) else -quotient)


def _modulo(left: int, right: int) -> Any:
    quotient = _divide(left, right)
    return ERROR if quotient is ERROR else left - right * quotient


def _index(items: list[Any], position: int) -> Any:
    return items[position] if 0 <= position < len(items) else ERROR


def _duration(text: str) -> Any:
    sign = -1 if text.startswith("-") else 1
    parts = re.findall(r"([0-9.]+)(h|ms|us|m|s)", text)
    return Span(sign * sum(int(float(number) * _UNITS[unit]) for number, unit in parts))


def _timestamp(text: str) -> Any:
    return of(datetime.fromisoformat(text))


_FUNCTIONS = {
    "!_": lambda value: not value,
    "_==_": _equal,
    "_!=_": lambda left, right: not _equal(left, right),
    "_<_": lambda left, right: left < right,
    "_<=_": lambda left, right: left <= right,
    "_>_": lambda left, right: left > right,
    "_>=_": lambda left, right: left >= right,
    "_+_": _add,
    "_-_": _subtract,
    "_*_": lambda left, right: _int(left * right),
    "_/_": _divide,
    "_%_": _modulo,
    "-_": lambda value: _int(-value),
    "@in": lambda item, items: any(_equal(item, other) for other in items),
    "_[_]": _index,
    "size": len,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": lambda text, part: part in text,
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "duration": _duration,
    "timestamp": _timestamp,
}
