"""Running the expressions of a policy: variables, then all rules, then constraints.

One call of the engine evaluates everything as one list; an item that errs makes the whole list an
error, and then the same expressions run one by one, which says who erred. Both ways give the same
result, variables standing in their place in every expression. At link time the list's text is
decoded again and must be exactly the trees that were judged.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from gate.core.policy.boundary import moment
from gate.core.policy.declaration import BytesType, ListType, TimestampType
from gate.core.policy.engine import (
    Argument,
    CompileFailed,
    Environment,
    EvaluationError,
    Expression,
    Result,
)
from gate.core.policy.expressions import CONFIG, Expressions, Read, every, names_in
from gate.core.policy.issues import AstDiffers, BundleInvalid, Issue
from gate.core.policy.model import Bundle
from gate.core.policy.tree import ListOf, decode
from gate.core.policy.unparse import unparse
from gate.core.values import Value

Arguments = Mapping[str, Argument]


class Outcome(NamedTuple):
    """What evaluation found. `erring` names a variable or rules by index; then nothing else counts.

    `fired` holds `True` and `False` only; `variables` and `constraints` are the engine's values,
    of types yet to be tested, `ERROR` where a constraint erred.
    """

    variables: tuple[object, ...]
    fired: tuple[object, ...]
    constraints: tuple[object, ...]
    erring_variable: int = -1
    erring_rules: tuple[int, ...] = ()


class Program:
    """The linked expressions of one policy.

    `arguments(inputs, actor, action, resource, now_ms)` returns what the expressions read, as the
    engine takes it.
    """

    __slots__ = ("_constraints", "_rules", "_sequence", "_variables", "arguments")

    def __init__(self, bundle: Bundle, expressions: Expressions) -> None:
        """Link judged expressions.

        Raises `AstDiffers` if the list reads otherwise, `BundleInvalid` if it is no expression.
        """
        reads = every(expressions)
        used = frozenset[str]().union(*(names_in(read.expanded) for read in reads))
        types = {name: kind for name, kind in expressions.types.items() if name in used}
        environment = Environment(CONFIG, types)
        texts = [unparse(read.expanded) for read in reads]
        try:
            self._sequence = environment.compile_sequence(texts)
        except CompileFailed as error:
            raise BundleInvalid(
                (Issue(("rules",), f"cannot run as one list: {error}", "simplify expressions"),)
            ) from error
        if decode(self._sequence.serialised()) != ListOf(tuple(read.expanded for read in reads)):
            raise AstDiffers("the expressions read otherwise as one list than one by one")

        def compiled(part: tuple[Read, ...]) -> tuple[Expression, ...]:
            return tuple(environment.compile(unparse(read.expanded)) for read in part)

        self._variables = compiled(expressions.variables)
        self._rules = compiled(expressions.rules)
        self._constraints = compiled(expressions.constraints)
        self.arguments = _arguments(bundle, used)

    def run(self, arguments: Arguments) -> Outcome:
        """Evaluate everything in one call, or one by one if that errs."""
        values = self._sequence.evaluate(arguments)
        if isinstance(values, EvaluationError):
            return self.run_one_by_one(arguments)
        first, last = len(self._variables), len(self._variables) + len(self._rules)
        fired = tuple(values[first:last])
        for item in fired:
            if item is not True and item is not False:  # the exact test: an error is truthy
                return self.run_one_by_one(arguments)
        return Outcome(tuple(values[:first]), fired, tuple(values[last:]))

    def run_one_by_one(self, arguments: Arguments) -> Outcome:
        """Evaluate variables in order up to the first error, then all rules, then constraints."""
        variables: list[Result] = []
        for index, variable in enumerate(self._variables):
            value = variable.evaluate(arguments)
            if isinstance(value, EvaluationError):
                return Outcome((), (), (), erring_variable=index)
            variables.append(value)
        results = [rule.evaluate(arguments) for rule in self._rules]
        erring = tuple(
            index
            for index, result in enumerate(results)
            if result is not True and result is not False
        )
        if erring:
            return Outcome((), (), (), erring_rules=erring)
        fired = tuple(result is True for result in results)
        constraints = tuple(constraint.evaluate(arguments) for constraint in self._constraints)
        return Outcome(tuple(variables), fired, constraints)


_FIXED: Final = {
    "actor": "actor",
    "action": "action",
    "resource": "resource",
    "now": "moment(now_ms)",
}


def _arguments(
    bundle: Bundle, used: frozenset[str]
) -> Callable[[Mapping[str, Value], str, str, str, int], Arguments]:
    """Generate the function that converts inputs: only those that some expression reads."""
    items = [f"{name!r}: {code}" for name, code in _FIXED.items() if name in used]
    for prefix, declared in (("request", bundle.parameters), ("signal", bundle.signals)):
        for item in declared:
            name = f"{prefix}.{item.name}"
            if name not in used:
                continue
            value = f"inputs[{name!r}]"
            match item.type:
                case BytesType():
                    value = f"{value}.hex()"
                case TimestampType():
                    value = f"moment({value})"
                case ListType():
                    value = f"list({value})"
                case _:
                    pass
            items.append(f"{name!r}: {value}")
    code = f"lambda inputs, actor, action, resource, now_ms: {{{', '.join(items)}}}"
    generated: Callable[..., Arguments] = eval(code, {"moment": moment})  # noqa: S307 - checked names
    return generated
