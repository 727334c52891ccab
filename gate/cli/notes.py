"""What the tools add to a reason: the rule's remedy, and what was declared beside what was found.

Looked up in the policy at hand; without one there is nothing to add.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gate.authoring.shape import shown
from gate.authoring.typed import declared_text, filled, value_text
from gate.core.policy.bundle import Bundle
from gate.core.policy.declaration import DeclaredType
from gate.core.reasons import Code, Reason
from gate.core.values import Parameters, Value

_KINDS = {bool: "flag", int: "number", str: "text", tuple: "list", bytes: "bytes"}
_VALUE_CHARACTERS_MAX = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """The policy that was judged by, if it is at hand, and the ask."""

    bundle: Bundle | None = None
    parameters: Parameters = ()
    resource: str = ""
    signals: Mapping[str, Value] = field(default_factory=dict)

    def remedy(self, reason: Reason) -> str:
        """Return what the policy's author says can be done; empty if nothing."""
        rules = () if self.bundle is None else self.bundle.rules
        return next((rule.remedy for rule in rules if reason.rule == rule.id), "")

    def detail(self, reason: Reason) -> str:
        """Return what was expected, and what was got; safe on a terminal; empty if unknown."""
        if self.bundle is None:
            return ""
        if reason.code is Code.RESOURCE_MISMATCH:
            return self._resource(self.bundle)
        parameters = {item.name: item.type for item in self.bundle.parameters}
        signals = {item.name: item.type for item in self.bundle.signals}
        match reason.code:
            case Code.PARAMETER_MISSING | Code.PARAMETER_INVALID:
                return _compared(reason.field, parameters, dict(self.parameters))
            case Code.SIGNAL_MISSING | Code.SIGNAL_INVALID | Code.SIGNAL_OUT_OF_BOUNDS:
                return _compared(reason.field, signals, self.signals)
            case Code.PARAMETER_UNDECLARED:
                known = ", ".join(f"`{name}`" for name in parameters)
                return f"declared are {known}"
        return ""

    def _resource(self, bundle: Bundle) -> str:
        if bundle.resource_input is not None:
            return f"expected {declared_text(bundle.resource_input)}, got {shown(self.resource)}"
        wanted = filled(bundle.resource_template, self.parameters)
        return f"expected {shown(wanted)}, got {shown(self.resource)}"


def _compared(name: str, declared: Mapping[str, DeclaredType], given: Mapping[str, Value]) -> str:
    if name not in declared:
        return ""
    expected = f"expected {declared_text(declared[name])}"
    if name not in given:
        return expected
    value = given[name]
    text = value_text(value)
    if len(text) > _VALUE_CHARACTERS_MAX:
        text = text[:_VALUE_CHARACTERS_MAX] + "…"
    return f"{expected}, got the {_KINDS[type(value)]} {shown(text)}"
