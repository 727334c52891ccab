"""The only room of the CEL engine: compiling and evaluating, and nothing of it leaks out.

The engine (cel-expr-python, C++) returns run-time errors as truthy values, cuts strings at NUL,
takes `True` for an integer, and raises for some faults all the same. Therefore: every result is
tested by its exact type and anything else is `ERROR`, which has no truth value; what goes in has
passed `boundary`, so it has exact Python types and no NUL. Its messages are for authors at compile
time only; at run time they are dropped, because they may change with its version.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, NoReturn, cast

from cel_expr_python import cel

Argument = bool | int | str | list[str] | datetime
"""A value as the engine takes it: exact types, UTC, no NUL."""

Result = bool | int | str | list[str] | datetime | timedelta
"""A value as the engine gives it."""


class EvaluationError:
    """What an evaluation that went wrong returns. It is neither true nor false."""

    __slots__ = ()

    def __bool__(self) -> NoReturn:
        """Refuse: an error must never pass for a verdict."""
        raise AssertionError("an evaluation error has no truth value")

    def __repr__(self) -> str:
        """Name the one instance."""
        return "ERROR"


ERROR: Final = EvaluationError()


class CompileFault(NamedTuple):
    """One complaint of the compiler; line and column from 1, 0 when it gave none."""

    line: int
    column: int
    message: str


class CompileFailed(Exception):
    """The expression does not compile; `faults` is never empty."""

    def __init__(self, faults: tuple[CompileFault, ...]) -> None:
        """Keep the faults."""
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


_TYPES: Final = {
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "string": cel.Type.STRING,
    "timestamp": cel.Type.TIMESTAMP,
    "duration": cel.Type.DURATION,
    "list(string)": cel.Type.List(cel.Type.STRING),
}
_PYTHON: Final[dict[str, type]] = {
    "bool": bool,
    "int": int,
    "string": str,
    "timestamp": datetime,
    "duration": timedelta,
}
_RAISED: Final = (RuntimeError, ValueError, ArithmeticError, TypeError, SystemError)
"""What the binding raises at run time: budgets, surrogates, results that no Python value holds. Not
`MemoryError`, which says nothing of the record and must end no decision."""
_FAULT: Final = re.compile(
    r"ERROR: <input>:(-?[0-9]+):(-?[0-9]+): (.*?)(?=\n \| |\nERROR: |\Z)", re.DOTALL
)
_STATUS: Final = re.compile(r" \[[A-Z_]+\]\Z")
_QUOTED: Final = re.compile(r"'([^']*)'")
_PREFIX: Final = re.compile(r"\A[A-Z_]+: ")


class Expression:
    """One compiled expression. `type` is such as `int`, empty for types outside the language."""

    __slots__ = ("_engine_type", "_expression", "_python_type", "type")

    def __init__(self, expression: cel.Expression) -> None:
        """Take over the engine's object."""
        self._expression = expression
        self.type = _type_name(expression.return_type())
        is_scalar = self.type in _PYTHON
        self._engine_type = _TYPES[self.type] if is_scalar else cel.Type.LIST
        self._python_type = _PYTHON[self.type] if is_scalar else list

    def serialised(self) -> bytes:
        """Return the engine's own serialisation, for `tree.decode` only: never hash or keep it."""
        data = self._expression.serialize()
        assert isinstance(data, bytes)
        return data

    def evaluate(self, arguments: Mapping[str, Argument]) -> Result | EvaluationError:
        """Return a value of exactly the expression's type, or `ERROR`. Never raises."""
        try:
            value = self._expression.eval(data=arguments)
            if not self.type or value.type() != self._engine_type:
                return ERROR
            result = value.plain_value()
        except _RAISED:
            return ERROR
        if type(result) is not self._python_type:
            return ERROR
        if type(result) is list and any(type(item) is not str for item in result):
            return ERROR
        return cast("Result", result)


class Sequenced:
    """Several expressions compiled as one list: one call of the engine for all of them."""

    __slots__ = ("_count", "_expression")

    def __init__(self, expression: cel.Expression, count: int) -> None:
        """Take over the engine's object."""
        self._expression = expression
        self._count = count

    def serialised(self) -> bytes:
        """Return the engine's own serialisation, for `tree.decode` only."""
        data = self._expression.serialize()
        assert isinstance(data, bytes)
        return data

    def evaluate(self, arguments: Mapping[str, Argument]) -> list[object] | EvaluationError:
        """Return as many values as there are expressions, or `ERROR` if one erred. Never raises.

        An error is a text here, so the test for a list is the exact test that catches it. The
        values' types are the caller's to test, exactly.
        """
        try:
            result = self._expression.eval(None, arguments).plain_value()
        except _RAISED:
            return ERROR
        if type(result) is not list or len(result) != self._count:
            return ERROR
        return result


class Environment:
    """Declared names and their types under one configuration; compiles expressions."""

    __slots__ = ("_environment",)

    def __init__(self, config: str, variables: Mapping[str, str]) -> None:
        """Declare `variables`: names and types such as `int` or `list(string)`."""
        self._environment = cel.NewEnv(
            config=cel.NewEnvConfigFromYaml(config),
            variables={name: _TYPES[kind] for name, kind in variables.items()},
        )

    def compile(self, text: str) -> Expression:
        """Compile an expression. Raises `CompileFailed`."""
        return Expression(self._compile(text))

    def compile_sequence(self, texts: Sequence[str]) -> Sequenced:
        """Compile several expressions as one list. Raises `CompileFailed`."""
        return Sequenced(self._compile(f"[{', '.join(texts)}]"), len(texts))

    def _compile(self, text: str) -> cel.Expression:
        try:
            return self._environment.compile(text)
        except (RuntimeError, ValueError) as error:
            raise CompileFailed(_faults(str(error))) from error


def _type_name(kind: object) -> str:
    for name, known in _TYPES.items():
        if kind == known:
            return name
    return ""


def _faults(text: str) -> tuple[CompileFault, ...]:
    """Split the compiler's text, which reports all faults at once, into faults."""
    faults = []
    for match in _FAULT.finditer(text):
        line, column = max(0, int(match[1])), max(0, int(match[2]))
        faults.append(CompileFault(line, column, _worded(match[3])))
    whole = _PREFIX.sub("", text)
    return tuple(dict.fromkeys(faults)) or (CompileFault(0, 0, _worded(whole)),)


def _worded(text: str) -> str:
    """Return a complaint in this project's wording: lower case, names in backticks."""
    text = _STATUS.sub("", text).replace(" (in container '')", "").replace("\n", " ").strip()
    return _QUOTED.sub(r"`\1`", text[:1].lower() + text[1:])
