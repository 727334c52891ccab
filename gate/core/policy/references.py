"""What the members of a bundle must mean to one another, expressions aside.

Judged on a bundle whose shape is right; what needs the expressions' trees is judged by `compiled`.
"""

from collections.abc import Iterator

from gate.core import limits
from gate.core.jcs import quoted
from gate.core.policy import template
from gate.core.policy.boundary import text_bytes_max
from gate.core.policy.declaration import (
    BoolType,
    BytesType,
    DateType,
    DeclaredType,
    EnumType,
    IntType,
    ListType,
    StringType,
    TimestampType,
)
from gate.core.policy.issues import Issue, Path
from gate.core.policy.model import Bundle

_KEY_TYPES = (StringType, EnumType, IntType, BytesType, DateType, BoolType, TimestampType)
_RECORD_KEY_TYPES = (StringType, EnumType, IntType, BytesType, DateType)


def judge_references(bundle: Bundle) -> list[Issue]:
    """Return every fault between members, in no order."""
    issues = [*_times(bundle), *_key(bundle), *_subjects(bundle), *_resource(bundle)]
    issues += _messages(bundle)
    if not any(rule.effect == "allow" for rule in bundle.rules):
        issues.append(
            Issue(("rules",), "no rule allows: every request would be denied", "add an allow rule")
        )
    if bundle.requester == "open":
        issues += [
            Issue(
                ("rules", index, "effect"),
                "an open policy cannot ask for approvals: nobody knows who the requester is",
                "set `requester: signed`, or deny instead",
            )
            for index, rule in enumerate(bundle.rules)
            if rule.effect == "require_approval"
        ]
    return issues


def _times(bundle: Bundle) -> Iterator[Issue]:
    if bundle.valid_from_ms >= bundle.valid_until_ms:
        yield Issue(("valid",), "expected `from` before `until`", "the end is not included")


def _key(bundle: Bundle) -> Iterator[Issue]:
    parameters = {parameter.name: parameter.type for parameter in bundle.parameters}
    for index, part in enumerate(bundle.key_parts):
        path: Path = ("key", "parts", index)
        kind = parameters.get(part)
        if kind is None:
            yield Issue(path, f"`{part}` is not a declared parameter", "parts are parameters")
        elif not isinstance(kind, _KEY_TYPES):
            yield Issue(path, f"`{part}` is a list, which no key can hold", "take another part")
        elif index == 0:
            yield from _record_key(part, kind, path)


def _record_key(part: str, kind: DeclaredType, path: Path) -> Iterator[Issue]:
    if not isinstance(kind, _RECORD_KEY_TYPES):
        yield Issue(
            path,
            f"`{part}` cannot be the first part, which is the Kafka record key",
            "take a string, enum, int, bytes or date",
        )
    elif text_bytes_max(kind) > limits.KEY_BYTES_MAX:
        yield Issue(
            path,
            f"`{part}` may be longer than a Kafka record key: at most {limits.KEY_BYTES_MAX} bytes",
            "lower its `max_len`",
        )
    elif isinstance(kind, StringType | BytesType) and kind.min_len == 0:
        yield Issue(path, f"`{part}` may be empty", "set its `min_len` to 1 or more")


def _subjects(bundle: Bundle) -> Iterator[Issue]:
    texts = {
        parameter.name
        for parameter in bundle.parameters
        if isinstance(parameter.type, StringType | EnumType)
    }
    for signal in bundle.signals:
        if signal.subject not in texts:
            yield Issue(
                ("inputs", len(bundle.parameters) + bundle.signals.index(signal), "subject"),
                f"subject `{signal.subject}` of `signal.{signal.name}` is not a declared string or "
                "enum parameter",
                "a subject is the parameter that names whom the signal is about",
            )


def _resource(bundle: Bundle) -> Iterator[Issue]:
    if not bundle.resource_template:
        return
    path: Path = ("resource", "template")
    kinds = {f"request.{parameter.name}": parameter.type for parameter in bundle.parameters}
    try:
        parsed = template.parse(bundle.resource_template)
    except template.TemplateInvalid as error:
        yield Issue(path, str(error))
        return
    if not parsed.names:
        yield Issue(
            path, "the resource names no parameter", "such as `loan/{request.loan_id}`; or `input`"
        )
    for name in parsed.names:
        if name not in kinds or isinstance(kinds[name], ListType):
            yield Issue(
                path,
                f"{quoted('{' + name + '}')} is not a declared parameter with a text",
                "name a parameter that is not a list",
            )


def _messages(bundle: Bundle) -> Iterator[Issue]:
    known = {"actor", "action", "resource"}
    known |= {f"variables.{variable.name}" for variable in bundle.variables}
    for prefix, declared in (("request", bundle.parameters), ("signal", bundle.signals)):
        known |= {
            f"{prefix}.{item.name}" for item in declared if not isinstance(item.type, ListType)
        }
    for index, rule in enumerate(bundle.rules):
        path: Path = ("rules", index, "message")
        try:
            parsed = template.parse(rule.message)
        except template.TemplateInvalid as error:
            yield Issue(path, str(error))
            continue
        for name in parsed.names:
            if name not in known:
                yield Issue(
                    path,
                    f"{quoted('{' + name + '}')} is not a declared name with a text",
                    "name an input or variable that is not a list",
                )
