"""Step 3: the ask against the declarations.

The usual request has every declared parameter and no other, all good: one generated expression
says so and makes the inputs. Anything else goes the plain way, which names what is wrong. Both give
the same result for a good request.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gate.core.policy import template
from gate.core.policy.boundary import bounds_test, check_of, text_of, type_test
from gate.core.policy.declaration import DateType, EnumType, Parameter, StringType
from gate.core.policy.model import Bundle
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import ActionRequest, Evaluated, Value

_NO_STATEMENT = bytes(32)


class AskCheck(NamedTuple):
    """Step 3's result: `inputs` is keyed `request.<name>` and includes defaults."""

    inputs: dict[str, Value]
    evaluated: tuple[Evaluated, ...]
    reasons: tuple[Reason, ...]


class AskChecker:
    """Checks asks against one policy's declarations."""

    __slots__ = ("_checks", "_parameters", "_resource_check", "_template", "_usual")

    def __init__(self, bundle: Bundle) -> None:
        """Generate the check of the usual request."""
        self._parameters: Mapping[str, Parameter] = {item.name: item for item in bundle.parameters}
        self._checks = {item.name: check_of(item.type) for item in bundle.parameters}
        kind = bundle.resource_input
        self._resource_check = check_of(kind) if kind is not None else None
        self._template = template.parse(bundle.resource_template)
        self._usual = _usual_check(bundle)

    def check(self, request: ActionRequest) -> AskCheck:
        """Check an ask whose parameters are strictly ascending by name."""
        return self._usual(request) or self.check_each(request)

    def check_each(self, request: ActionRequest) -> AskCheck:
        """Check parameter by parameter and give every finding, by name; then the resource."""
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


def _usual_check(bundle: Bundle) -> Callable[[ActionRequest], AskCheck | None]:
    """Generate a function that returns the result of a usual request, else None."""
    objects: dict[str, Any] = {
        "new": tuple.__new__,
        "AskCheck": AskCheck,
        "Evaluated": Evaluated,
        "no_statement": _NO_STATEMENT,
    }
    lines = ["def usual(request):", " parameters = request.parameters"]
    lines.append(f" if len(parameters) != {len(bundle.parameters)}: return None")
    tests, inputs, evaluated = [], [], []
    for index, item in enumerate(bundle.parameters):
        value, name = f"v{index}", f"request.{item.name}"
        lines.append(f" n{index}, {value} = parameters[{index}]")
        tests.append(f"n{index} == {item.name!r} and {type_test(item.type, value)}")
        tests.append(bounds_test(item.type, value, objects))
        inputs.append(f"{name!r}: {value}")
        evaluated.append(f'new(Evaluated, ({name!r}, "ask", {value}, "", no_statement, 0)),')
    tests.append(_resource_test(bundle, objects))
    lines.append(f" if not ({' and '.join(tests)}): return None")
    result = f"({{{', '.join(inputs)}}}, ({' '.join(evaluated)}), ())"
    lines.append(f" return new(AskCheck, {result})")
    exec("\n".join(lines), objects)  # noqa: S102 - made of numbers and checked names
    usual: Callable[[ActionRequest], AskCheck | None] = objects["usual"]
    return usual


def _resource_test(bundle: Bundle, objects: dict[str, Any]) -> str:
    """Return generated code that compares the resource; values are named `v0`, `v1` and so on."""
    kind = bundle.resource_input
    if kind is not None:
        return bounds_test(kind, "request.resource", objects)
    parsed = template.parse(bundle.resource_template)
    objects["texts"] = parsed.texts
    objects["text_of"] = text_of
    code = "texts[0]"
    for position, name in enumerate(parsed.names):
        index = next(i for i, p in enumerate(bundle.parameters) if f"request.{p.name}" == name)
        text = f"v{index}"
        if not isinstance(bundle.parameters[index].type, StringType | EnumType | DateType):
            objects[f"k{index}"] = bundle.parameters[index].type
            text = f"text_of(k{index}, v{index})"
        code += f" + {text} + texts[{position + 1}]"
    return f"request.resource == {code}"
