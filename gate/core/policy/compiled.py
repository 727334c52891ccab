"""A bundle compiled for evaluation: the policy decision point's rules, ready to run.

`compile_policy` judges everything a bundle alone can get wrong; a `Policy` then answers for each
request. It knows no keys, no clock and no other request: signatures, placement, time and replay are
`admission`'s affair. What cannot be evaluated is denied, never skipped.
"""

from collections.abc import Callable, Mapping
from itertools import compress
from typing import NamedTuple

from gate.core import limits
from gate.core.policy import boundary, template
from gate.core.policy.admission_key import AdmissionKey, KeyShape
from gate.core.policy.ask import AskCheck, AskChecker
from gate.core.policy.entry_size import entry_bytes_max
from gate.core.policy.expressions import (
    Expressions,
    Read,
    every,
    judge_expressions,
    read_expressions,
)
from gate.core.policy.issues import AstDiffers, BundleInvalid, EngineUnavailable, Issue, place
from gate.core.policy.model import Bundle
from gate.core.policy.program import Outcome, Program
from gate.core.policy.tree import digest
from gate.core.policy.usual import usual_reader
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import ActionRequest, Parameters, Value

__all__ = [
    "AdmissionKey",
    "AskCheck",
    "Digests",
    "Evaluation",
    "Policy",
    "SignalDeclaration",
    "compile_policy",
    "expression_digests",
]


class SignalDeclaration(NamedTuple):
    """A declared signal; `name` has no prefix, `subject` names a parameter."""

    name: str
    issuers: frozenset[str]
    subject: str
    max_age_ms: int
    default: Value | None
    has_default: bool


class Evaluation(NamedTuple):
    """Steps 9 and 10's result; approved if and only if `reasons` is empty.

    `constraints` is empty unless approved; `allowed_by` is the first allow rule that fired.
    """

    reasons: tuple[Reason, ...]
    constraints: Parameters
    allowed_by: str


class Digests(NamedTuple):
    """Lower-case hex `ast` digests, each in the order of the bundle's list."""

    variables: tuple[str, ...]
    rules: tuple[str, ...]
    constraints: tuple[str, ...]


class _Rule(NamedTuple):
    """A rule as evaluation needs it; `code` is None for an allow rule."""

    id: str
    code: Code | None
    message: template.Template


class _Constraint(NamedTuple):
    """A constraint as evaluation needs it; `check` tests type and bounds."""

    name: str
    check: Callable[[object], bool]


_EFFECTS = {"deny": Code.FORBIDDEN, "require_approval": Code.APPROVAL_REQUIRED, "allow": None}


class Policy:
    """A compiled policy: `bundle`, `sha256` of its payload, `signals` ascending by name.

    `read_usual` reads and checks the parameters of a usual request, see `usual`.
    """

    __slots__ = (
        "_asks",
        "_constraints",
        "_key",
        "_program",
        "_rules",
        "_signal_checks",
        "_types",
        "bundle",
        "read_usual",
        "sha256",
        "signals",
    )

    def __init__(self, bundle: Bundle, payload_sha256: bytes, expressions: Expressions) -> None:
        """Take judged expressions; use `compile_policy`."""
        self.bundle = bundle
        self.sha256 = payload_sha256
        self.signals = tuple(
            SignalDeclaration(
                item.name,
                frozenset(item.issuers),
                item.subject,
                item.max_age_ms,
                item.default,
                item.default is not None,
            )
            for item in bundle.signals
        )
        self.read_usual = usual_reader(bundle)
        self._asks = AskChecker(bundle)
        self._key = KeyShape(bundle)
        self._program = Program(bundle, expressions)
        self._signal_checks = {
            item.name: boundary.signal_check(item.type) for item in bundle.signals
        }
        self._types = {f"request.{item.name}": item.type for item in bundle.parameters}
        self._types |= {f"signal.{item.name}": item.type for item in bundle.signals}
        self._rules = tuple(
            _Rule(rule.id, _EFFECTS[rule.effect], template.parse(rule.message))
            for rule in bundle.rules
        )
        self._constraints = tuple(
            _Constraint(item.name, boundary.check_of(item.type)) for item in bundle.constraints
        )

    def check_ask(self, request: ActionRequest) -> AskCheck:
        """Check the ask against the declarations (`bad-input.md` §1 step 3).

        Expects parameters strictly ascending by name. Findings have phase ADMIT: parameters by
        name, then the resource, which is judged only if its template's parameters passed.
        """
        return self._asks.check(request)

    def admission_key(self, inputs: Mapping[str, Value]) -> AdmissionKey:
        """Return the admission key and the routing key of inputs that `check_ask` passed."""
        return self._key.key_of(inputs)

    def check_key_time(self, inputs: Mapping[str, Value], append_time_ms: int) -> Reason | None:
        """Compare each date part of the key with the UTC date of append time.

        Returns STALE for an earlier, FROM_FUTURE for a later date, phase ADMIT; None when all are
        equal or there is none. Append time must lie in the years 1000 to 9999.
        """
        return self._key.check_time(inputs, append_time_ms)

    def check_signal(self, name: str, value: Value) -> Code | None:
        """Check the value of a declared signal, named without prefix.

        Returns SIGNAL_INVALID for a wrong type, SIGNAL_OUT_OF_BOUNDS for bounds, enum, length or
        characters, None for a good value.
        """
        return self._signal_checks[name](value)

    def evaluate(
        self,
        inputs: Mapping[str, Value],
        *,
        actor: str,
        action: str,
        resource: str,
        now_ms: int,
    ) -> Evaluation:
        """Evaluate variables, then all rules, then constraints (`bad-input.md` §1 steps 9, 10).

        `inputs` holds every declared parameter and signal, checked. `now_ms` is the record's append
        time and lies in the years 1000 to 9999. Reasons have phase EVALUATE: the erring variable;
        else every erring rule; else every deny and approval demand that fired, in document order;
        else NO_PERMIT; else every erring constraint. Approvals are never satisfied yet.
        """
        assert "\0" not in actor + action + resource, "the caller judges the fields of a request"
        program = self._program
        outcome = program.run(program.arguments(inputs, actor, action, resource, now_ms))
        if outcome.erring_variable >= 0 or outcome.erring_rules:
            return Evaluation(self._errors(outcome), (), "")
        reasons: list[Reason] = []
        allowed_by = ""
        for rule in compress(self._rules, outcome.fired):
            if rule.code is not None:
                fixed = {"actor": actor, "action": action, "resource": resource}
                message = self._message(rule, fixed, inputs, outcome)
                reasons.append(Reason(rule.code, Phase.EVALUATE, rule.id, "", message))
            elif not allowed_by:
                allowed_by = rule.id
        if reasons:
            return Evaluation(tuple(reasons), (), allowed_by)
        if not allowed_by:
            return _NO_PERMIT
        return self._constrained(outcome, allowed_by)

    def _errors(self, outcome: Outcome) -> tuple[Reason, ...]:
        if outcome.erring_variable >= 0:
            name = self.bundle.variables[outcome.erring_variable].name
            return (Reason(Code.POLICY_ERROR, Phase.EVALUATE, field=name),)
        return tuple(
            Reason(Code.POLICY_ERROR, Phase.EVALUATE, rule=self._rules[index].id)
            for index in outcome.erring_rules
        )

    def _message(
        self,
        rule: _Rule,
        fixed: Mapping[str, str],
        inputs: Mapping[str, Value],
        outcome: Outcome,
    ) -> str:
        names = rule.message.names
        texts = {name: self._text(name, fixed, inputs, outcome) for name in names}
        return template.render(rule.message, texts)

    def _text(
        self,
        name: str,
        fixed: Mapping[str, str],
        inputs: Mapping[str, Value],
        outcome: Outcome,
    ) -> str:
        if name in fixed:
            return fixed[name]
        if name in inputs:
            return boundary.text_of(self._types[name], inputs[name])
        names = [f"variables.{variable.name}" for variable in self.bundle.variables]
        value = outcome.variables[names.index(name)]
        return str(value).lower() if type(value) is bool else str(value)

    def _constrained(self, outcome: Outcome, allowed_by: str) -> Evaluation:
        constraints = []
        reasons = []
        for constraint, result in zip(self._constraints, outcome.constraints, strict=True):
            value = _constraint_value(result)
            if value is None or not constraint.check(value):
                reasons.append(Reason(Code.POLICY_ERROR, Phase.EVALUATE, field=constraint.name))
            else:
                constraints.append((constraint.name, value))
        if reasons:
            return Evaluation(tuple(reasons), (), allowed_by)
        return Evaluation((), tuple(constraints), allowed_by)


_SCALARS = (bool, int, str)
_NO_PERMIT = Evaluation((Reason(Code.NO_PERMIT, Phase.EVALUATE),), (), "")


def compile_policy(bundle: Bundle, payload_sha256: bytes) -> Policy:
    """Compile a bundle that `parse_bundle` read from the payload with this digest.

    Raises `EngineUnavailable` when the bundle asks for another engine, `AstDiffers` when this build
    reads an expression otherwise than the packer's (both stop a partition), `BundleInvalid` with
    every fault of the expressions.
    """
    _require_engine(bundle)
    expressions = read_expressions(bundle)
    _require_same_trees(bundle, expressions)
    _require_good(bundle, expressions)
    return Policy(bundle, payload_sha256, expressions)


def expression_digests(draft: Bundle) -> Digests:
    """Return the digests that the packer writes as `ast`, for a draft that `read_draft` read.

    Raises `BundleInvalid` with every fault of the expressions, `EngineUnavailable`.
    """
    _require_engine(draft)
    expressions = read_expressions(draft)
    _require_good(draft, expressions)
    return Digests(
        _digests(expressions.variables),
        _digests(expressions.rules),
        _digests(expressions.constraints),
    )


def _digests(reads: tuple[Read, ...]) -> tuple[str, ...]:
    return tuple(digest(read.tree) for read in reads)


def _require_engine(bundle: Bundle) -> None:
    if bundle.engine != limits.ENGINE:
        raise EngineUnavailable(f"expected engine `{limits.ENGINE}`, got `{bundle.engine}`")


def _require_same_trees(bundle: Bundle, expressions: Expressions) -> None:
    packed = [member.ast for member in bundle.variables]
    packed += [member.ast for member in bundle.rules]
    packed += [member.ast for member in bundle.constraints]
    for expected, read in zip(packed, every(expressions), strict=True):
        found = digest(read.tree)
        if expected != found:
            raise AstDiffers(f"{place(read.path)}: expected `{expected}`, got `{found}`")


def _require_good(bundle: Bundle, expressions: Expressions) -> None:
    issues = judge_expressions(bundle, expressions)
    if not issues:
        size = entry_bytes_max(bundle, expressions)
        if size > limits.ENTRY_BYTES_MAX:
            text = f"an entry may take {size} bytes, at most {limits.ENTRY_BYTES_MAX}"
            issues = (Issue(("inputs",), text, "lower `max_len`, `max_items` or messages"),)
    if issues:
        raise BundleInvalid(issues)


def _constraint_value(result: object) -> Value | None:
    """Return an engine's value as one of ours, None for an error; its check tests the type."""
    if isinstance(result, _SCALARS):
        return result
    return tuple(result) if isinstance(result, list) else None
