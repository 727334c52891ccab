"""How large an entry this policy can make, at worst.

A decision whose entry would be over 32 KiB is denied for that alone, so a policy that could come
there is refused when it is checked. Counts are upper bounds of the Avro encoding.
"""

from typing import Final

from gate.core import limits
from gate.core.policy import template
from gate.core.policy.boundary import text_bytes_max
from gate.core.policy.declaration import DeclaredType, EnumType, ListType, StringType
from gate.core.policy.expressions import Expressions, names_in
from gate.core.policy.model import Bundle, Rule
from gate.core.policy.tree import Const, Node, children

_LONG: Final = 10
_LENGTH: Final = 3
_DIGEST: Final = 32
_KEY_ID: Final = 32 + _LENGTH
_TOPIC_BYTES_MAX: Final = 249
_FIXED: Final = 512
"""Frame, enums, numbers, digests, salt, engine, version, counts of arrays."""
_FINDING: Final = 2 + 64 + 3 * _LENGTH
"""A reason that names an input and carries no message."""


def entry_bytes_max(bundle: Bundle, expressions: Expressions) -> int:
    """Return the most bytes that an entry under this policy can have."""
    reasons = max(_reasons(bundle, expressions), limits.REASONS_MAX * _FINDING)
    approved = sum(_named(item.name, item.type) for item in bundle.constraints) + sum(
        rule.approval.count * _approval(rule, rule.approval.role)
        for rule in bundle.rules
        if rule.approval is not None
    )
    return _identity(bundle) + _key(bundle) + _evaluated(bundle) + max(reasons, approved)


def _identity(bundle: Bundle) -> int:
    # request id, actor, action, resource, correlation id, gate
    outside = 6 * (limits.IDENTIFIER_BYTES_MAX + _LENGTH)
    own = len(bundle.domain) + len(bundle.policy) + 2 * _LENGTH
    return _FIXED + _TOPIC_BYTES_MAX + outside + own


def _key(bundle: Bundle) -> int:
    kinds = {parameter.name: parameter.type for parameter in bundle.parameters}
    parts = sum(5 + _value(kinds[name]) for name in bundle.key_parts)
    return _LENGTH + 10 + len(bundle.key_space) + 20 + parts


def _evaluated(bundle: Bundle) -> int:
    proof = _KEY_ID + _DIGEST + _LONG
    parameters = sum(_named(f"request.{item.name}", item.type) + 10 for item in bundle.parameters)
    signals = sum(
        _named(f"signal.{item.name}", item.type)
        + max(len(issuer.encode()) for issuer in item.issuers)
        + _LENGTH
        for item in bundle.signals
    )
    return parameters + signals + proof * (len(bundle.parameters) + len(bundle.signals))


def _named(name: str, kind: DeclaredType) -> int:
    return len(name) + 2 * _LENGTH + _value(kind)


def _value(kind: DeclaredType) -> int:
    """Return the most bytes of a value in the union, without its tag."""
    match kind:
        case ListType():
            return kind.max_items * (kind.item.max_len + _LENGTH) + 2 * _LENGTH
        case StringType() | EnumType():
            return text_bytes_max(kind) + _LENGTH
        case _:
            return max(_LONG, text_bytes_max(kind)) + _LENGTH


def _approval(rule: Rule, role: str) -> int:
    holder = limits.IDENTIFIER_BYTES_MAX
    return len(rule.id) + len(role) + holder + _KEY_ID + _DIGEST + 3 * _LENGTH


def _reasons(bundle: Bundle, expressions: Expressions) -> int:
    """Return the most that the largest reasons of an evaluation can come to."""
    sizes = _text_sizes(bundle, expressions)
    each = sorted(
        (
            2 + len(rule.id) + 3 * _LENGTH + template.bytes_max(template.parse(rule.message), sizes)
            for rule in bundle.rules
            if rule.effect != "allow"
        ),
        reverse=True,
    )
    return sum(each[: limits.REASONS_MAX])


def _text_sizes(bundle: Bundle, expressions: Expressions) -> dict[str, int]:
    """Return, for each name that a message may show, the most bytes of its text."""
    sizes = dict.fromkeys(("actor", "action", "resource"), limits.IDENTIFIER_BYTES_MAX)
    for prefix, declared in (("request", bundle.parameters), ("signal", bundle.signals)):
        sizes |= {f"{prefix}.{item.name}": text_bytes_max(item.type) for item in declared}
    for variable, read in zip(bundle.variables, expressions.variables, strict=True):
        name = f"variables.{variable.name}"
        kind = expressions.types[name]
        sizes[name] = {"bool": 5, "int": 20}.get(kind) or _text_of_tree(read.expanded, sizes)
    return sizes


def _text_of_tree(tree: Node, sizes: dict[str, int]) -> int:
    """Return the most bytes of any text in the tree: no function makes longer ones."""
    known = [sizes[name] for name in names_in(tree) if name in sizes]
    return max([0, *known, *_literals(tree)])


def _literals(tree: Node) -> list[int]:
    own = [len(str(tree.value).encode())] if isinstance(tree, Const) else []
    return own + [size for child in children(tree) for size in _literals(child)]
