"""Properties of a policy: claims over all requests, and whether they can be claimed at all.

`never` is a condition over everything that rules may read and, beside it, `approved` and
`policy_error`; `monotone` names inputs that have an order. Proving them is the solver's affair.
"""

from gate.core.policy.bundle import Bundle
from gate.core.policy.declaration import BoolType, DateType, IntType, TimestampType
from gate.core.policy.engine import CompileFailed, CompileFault, Environment
from gate.core.policy.expressions import CONFIG, read_expressions

OUTCOMES = ("approved", "policy_error")
"""What a claim may name beside the inputs and variables: how a request ends."""

_ORDERED = (BoolType, IntType, DateType, TimestampType)


def never_faults(condition: str, bundle: Bundle) -> tuple[CompileFault, ...]:
    """Return what is wrong with a `never` condition for a checked policy; places from 1."""
    types = {**read_expressions(bundle).types, **dict.fromkeys(OUTCOMES, "bool")}
    try:
        kind = Environment(CONFIG, types).compile(condition).type
    except CompileFailed as error:
        return error.faults
    if kind == "bool":
        return ()
    got = kind or "another type"
    return (CompileFault(1, 1, f"expected an expression of type bool, got {got}"),)


def ordered_inputs(bundle: Bundle) -> dict[str, bool]:
    """Return every input by its name in expressions, and whether its values have an order."""
    inputs = {f"request.{item.name}": item.type for item in bundle.parameters}
    inputs |= {f"signal.{item.name}": item.type for item in bundle.signals}
    return {name: isinstance(kind, _ORDERED) for name, kind in inputs.items()}
