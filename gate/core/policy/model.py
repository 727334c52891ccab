"""The values of a read policy bundle; `bundle` says what each member means and reads them."""

from dataclasses import dataclass
from typing import Literal

from gate.core.policy.declaration import DeclaredType, EnumType, Parameter, Signal, StringType

Effect = Literal["deny", "require_approval", "allow"]
Requester = Literal["signed", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A named expression; `ast` is the hex digest of its tree, empty in a draft."""

    name: str
    expr: str
    ast: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDemand:
    """Whose approval a rule asks for: `count` holders of `role`, none older than `max_age_ms`."""

    role: str
    count: int
    max_age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; `message` and `remedy` are empty for an allow rule."""

    id: str
    effect: Effect
    expr: str
    ast: str
    message: str
    remedy: str
    approval: ApprovalDemand | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A typed, bounded result that the executor must respect."""

    name: str
    type: DeclaredType
    expr: str
    ast: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A read bundle: shape, names, bounds and references are right, expressions not yet judged.

    Exactly one of `resource_template` (not empty) and `resource_input` binds the resource.
    """

    domain: str
    policy: str
    version: str
    sequence: int
    engine: str
    owner: str
    governs: tuple[str, ...]
    valid_from_ms: int
    valid_until_ms: int
    requester: Requester
    max_age_ms: int
    max_ahead_ms: int
    resource_template: str
    resource_input: StringType | EnumType | None
    key_space: str
    key_generation: int
    key_parts: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    signals: tuple[Signal, ...]
    variables: tuple[Variable, ...]
    rules: tuple[Rule, ...]
    valid_for_ms: int
    constraints: tuple[Constraint, ...]
    tests_sha256: str | None
    previous: str | None
