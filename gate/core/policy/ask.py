"""Step 3: the ask against the declarations, parameter by parameter; `usual` is the quick way."""

from collections.abc import Mapping
from typing import NamedTuple

from gate.core.policy import template
from gate.core.policy.boundary import check_of, text_of
from gate.core.policy.declaration import Parameter
from gate.core.policy.model import Bundle
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import ActionRequest, Evaluated, Value


class AskCheck(NamedTuple):
    """Step 3's result: `inputs` is keyed `request.<name>` and includes defaults."""

    inputs: dict[str, Value]
    evaluated: tuple[Evaluated, ...]
    reasons: tuple[Reason, ...]


class AskChecker:
    """Checks asks against one policy's declarations."""

    __slots__ = ("_checks", "_parameters", "_resource_check", "_template")

    def __init__(self, bundle: Bundle) -> None:
        """Generate the check of each value."""
        self._parameters: Mapping[str, Parameter] = {item.name: item for item in bundle.parameters}
        self._checks = {item.name: check_of(item.type) for item in bundle.parameters}
        kind = bundle.resource_input
        self._resource_check = check_of(kind) if kind is not None else None
        self._template = template.parse(bundle.resource_template)

    def check(self, request: ActionRequest) -> AskCheck:
        """Check an ask whose parameters are strictly ascending by name.

        Every finding is given: parameters by name, then the resource.
        """
        given = dict(request.parameters)
        inputs: dict[str, Value] = {}
        evaluated: list[Evaluated] = []
        reasons: list[Reason] = []
        for name in sorted(given.keys() | self._parameters.keys()):
            declared = self._parameters.get(name)
            if declared is None:
                reasons.append(Reason(Code.PARAMETER_UNDECLARED, Phase.ADMIT, field=name))
                continue
            source = "ask" if name in given else "default"
            value = given.get(name, declared.default)
            if value is None:
                reasons.append(Reason(Code.PARAMETER_MISSING, Phase.ADMIT, field=name))
            elif source == "ask" and not self._checks[name](value):
                reasons.append(Reason(Code.PARAMETER_INVALID, Phase.ADMIT, field=name))
            else:
                inputs[f"request.{name}"] = value
                evaluated.append(Evaluated(f"request.{name}", source, value))
        if not self._resource_fits(request.resource, inputs):
            reasons.append(Reason(Code.RESOURCE_MISMATCH, Phase.ADMIT, field="resource"))
        return AskCheck(inputs, tuple(evaluated), tuple(reasons))

    def _resource_fits(self, resource: str, inputs: Mapping[str, Value]) -> bool:
        """Judge the resource, unless a parameter of its template is not there to judge by."""
        if self._resource_check is not None:
            return self._resource_check(resource)
        texts = {}
        for name in self._template.names:
            if name not in inputs:
                return True
            declared = self._parameters[name.removeprefix("request.")]
            texts[name] = text_of(declared.type, inputs[name])
        return resource == template.render(self._template, texts)
