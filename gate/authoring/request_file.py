"""Action requests in files, for people: `gate submit` and `gate decide`.

A file is JSON (its name ends in `.json`) or YAML:

    {request_id?, actor, action, resource, parameters: {name: value}, signals?: {name: value},
     attestations?: [{statement: base64, key_id, signature: base64}],
     issued_at?, expires_at?, correlation_id?}

YAML is read as strings only, so a policy must type its parameters. JSON says itself what is a
number, a flag, a text or a list; `{"bytes": "base64"}` stands for bytes; a policy only turns the
text of a declared timestamp into milliseconds. Bounds are not judged here: that is the gate's.
"""

import json
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any

from gate.authoring import kinds
from gate.authoring.faults import Fault, Lines, SourceInvalid
from gate.authoring.kinds import check_kind
from gate.authoring.quantities import moment_ms, whole
from gate.authoring.shape import (
    AnyValue,
    ListOf,
    Member,
    Moment,
    NamedOf,
    Path,
    Read,
    Record,
    Text,
    read_shape,
    shown,
    suggestion,
)
from gate.authoring.typed import declared_text, declared_value, texts
from gate.authoring.yaml_source import Mapping, Node, Scalar, Sequence, read_yaml
from gate.core import jcs
from gate.core.limits import ARRAY_ITEMS_MAX, ATTESTATIONS_MAX
from gate.core.policy.bundle import Bundle
from gate.core.policy.declaration import DeclaredType, TimestampType
from gate.core.signature import SIGNATURE_BYTES
from gate.core.values import Attestation, Parameters, Value

_BASE64 = "base64 with padding (RFC 4648)"
_TYPED_MEMBERS = ("parameters", "signals")
_ATTESTATION = Record(
    members={
        "statement": Member(kind=Text(doc=_BASE64), doc="the statement's bytes in base64"),
        "key_id": Member(kind=Text(), doc="the key that signed it"),
        "signature": Member(kind=Text(doc=_BASE64), doc="64 bytes in base64"),
    }
)
REQUEST = Record(
    members={
        "request_id": Member(kind=Text(), doc="one per submission", is_required=False),
        "actor": Member(kind=Text(), doc="who asks"),
        "action": Member(kind=Text(), doc="what is asked for, such as `loan.approve`"),
        "resource": Member(kind=Text(), doc="on what, such as `loan/L-1`"),
        "parameters": Member(
            kind=NamedOf(value=AnyValue(), entries_max=ARRAY_ITEMS_MAX), doc="values by name"
        ),
        "signals": Member(
            kind=NamedOf(value=AnyValue()), doc="assumed signals by name", is_required=False
        ),
        "attestations": Member(
            kind=ListOf(item=_ATTESTATION, items_max=ATTESTATIONS_MAX),
            doc="signed statements",
            is_required=False,
        ),
        "issued_at": Member(kind=Moment(), doc="when it was made", is_required=False),
        "expires_at": Member(kind=Moment(), doc="when it ceases to count", is_required=False),
        "correlation_id": Member(
            kind=Text(allows_empty=True), doc="a name that answers carry", is_required=False
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFile:
    """A request as written; `None` where the file leaves the choice to the tool."""

    request_id: str | None
    actor: str
    action: str
    resource: str
    parameters: Parameters
    signals: MappingOf[str, Value]
    attestations: tuple[Attestation, ...]
    issued_at_ms: int | None
    expires_at_ms: int | None
    correlation_id: str


def read_action(data: bytes, file: str) -> str:
    """Return the action that a request names. Raises `SourceInvalid` with all faults of form."""
    return str(_read(data, file).value["action"])


def read_request_file(
    data: bytes, file: str, *, policy: Bundle | None, allows_signals: bool
) -> RequestFile:
    """Read a request; `file` names it in faults and tells JSON from YAML.

    `allows_signals` is for `gate decide`: who submits attests, and cannot assume. Raises
    `SourceInvalid` with all faults.
    """
    read = _read(data, file)
    values = _Values(read=read, policy=policy, is_json=_is_json(file))
    parameters = values.all("parameters", {} if policy is None else _parameter_types(policy))
    signals = values.all("signals", {} if policy is None else _signal_types(policy))
    if "signals" in read.value and not allows_signals:
        values.fault(
            read.nodes["signals",], "signals can not be assumed here", "give `attestations` instead"
        )
    if values.is_json:
        values.refuse_unquoted()
    attestations = values.attestations()
    if values.faults:
        raise SourceInvalid(values.faults)
    return RequestFile(
        request_id=read.value.get("request_id"),
        actor=read.value["actor"],
        action=read.value["action"],
        resource=read.value["resource"],
        parameters=tuple(sorted(parameters.items())),
        signals=signals,
        attestations=attestations,
        issued_at_ms=read.value.get("issued_at"),
        expires_at_ms=read.value.get("expires_at"),
        correlation_id=read.value.get("correlation_id", ""),
    )


def _is_json(file: str) -> bool:
    return file.lower().endswith(".json")


def _read(data: bytes, file: str) -> Read:
    root, lines = _json_nodes(data, file) if _is_json(file) else read_yaml(data, file)
    check_kind(root, lines, kinds.REQUEST)
    return read_shape(root, REQUEST, lines)


def _json_nodes(data: bytes, file: str) -> tuple[Node, Lines]:
    """Read JSON as the part of YAML that it is: its grammar first, then the places of all."""
    try:
        json.loads(data.decode("utf-8", "replace"), parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        lines = Lines(file, error.doc)
        fault = lines.fault(error.lineno, error.colno, f"not JSON: {error.msg.lower()}")
        raise SourceInvalid([fault]) from error
    except RecursionError as error:
        raise SourceInvalid([Lines(file, "").fault(1, 1, "nested too deep")]) from error
    # A tab between tokens is white space in JSON, but not in YAML; inside texts JSON has none.
    return read_yaml(data.replace(b"\t", b" "), file)


def _parameter_types(policy: Bundle) -> dict[str, DeclaredType]:
    return {item.name: item.type for item in policy.parameters}


def _signal_types(policy: Bundle) -> dict[str, DeclaredType]:
    return {item.name: item.type for item in policy.signals}


@dataclass(slots=True, kw_only=True)
class _Values:
    """Types the values of one file, and collects faults."""

    read: Read
    policy: Bundle | None
    is_json: bool
    faults: list[Fault] = field(default_factory=list)

    def fault(self, node: Node, message: str, hint: str = "") -> None:
        place = node.place
        self.faults.append(self.read.lines.fault(place.line, place.column, message, hint))

    def refuse_unquoted(self) -> None:
        """Refuse numbers, flags and nulls of JSON where every member is a text."""
        for path, node in self.read.nodes.items():
            if isinstance(node, Scalar) and not node.style and path[0] not in _TYPED_MEMBERS:
                message = f"`{path[-1]}`: expected a text in quotes, got {shown(node.text)}"
                self.fault(node, message, "leave the member out" * (node.text == "null"))

    def all(self, member: str, types: MappingOf[str, DeclaredType]) -> dict[str, Value]:
        found = {}
        for name, node in self.read.value.get(member, {}).items():
            path: Path = (member, name)
            if self.is_json:
                value = self._json_value(node, types.get(name))
            else:
                value = self._yaml_value(node, path, types)
            if value is not None:
                found[name] = value
        return found

    def _yaml_value(
        self, node: Node, path: Path, types: MappingOf[str, DeclaredType]
    ) -> Value | None:
        name = str(path[-1])
        if self.policy is None:
            message = f"type of {shown(name)} is not known: YAML has texts only"
            self.fault(node, message, "name the policy that declares it, or write JSON")
            return None
        if name not in types:
            message = f"{shown(name)} is not declared by policy `{self.policy.policy}`"
            self.fault(self.read.names[path], message, suggestion(name, types))
            return None
        value = declared_value(node, types[name])
        if value is None:
            got = shown(node.text) if isinstance(node, Scalar) else "another form"
            self.fault(node, f"{shown(name)}: expected {declared_text(types[name])}, got {got}")
        return value

    def _json_value(self, node: Node, declared: DeclaredType | None) -> Value | None:
        value: Value | None
        match node:
            case Scalar(style='"'):
                is_time = isinstance(declared, TimestampType)
                value = moment_ms(node.text) if is_time else node.text
            case Scalar():
                value = {"true": True, "false": False}.get(node.text)
                value = whole(node.text) if value is None else value
            case Sequence():
                is_text = all(isinstance(item, Scalar) and item.style for item in node.items)
                value = texts(node) if is_text else None
            case Mapping():
                value = _json_bytes(node)
        if value is None:
            expected = "a number of 64 bits, a text, true, false, a list of texts or bytes"
            self.fault(node, f"expected {expected}", 'bytes are `{"bytes": "base64"}`')
        return value

    def attestations(self) -> tuple[Attestation, ...]:
        found = []
        for at, item in enumerate(self.read.value.get("attestations", [])):
            statement = self._base64(item, ("attestations", at, "statement"))
            signature = self._base64(item, ("attestations", at, "signature"))
            if len(signature) not in (0, SIGNATURE_BYTES):
                node = self.read.nodes["attestations", at, "signature"]
                self.fault(node, f"expected {SIGNATURE_BYTES} bytes, got {len(signature)}")
            found.append(Attestation(statement, item["key_id"], signature))
        return tuple(found)

    def _base64(self, item: MappingOf[str, Any], path: Path) -> bytes:
        try:
            return jcs.decode_base64(item[str(path[-1])])
        except jcs.JsonInvalid:
            self.fault(self.read.nodes[path], f"`{path[-1]}`: expected {_BASE64}")
            return b""


def _json_bytes(node: Mapping) -> bytes | None:
    if [name.text for name, _ in node.entries] != ["bytes"]:
        return None
    value = node.entries[0][1]
    if not isinstance(value, Scalar) or value.style != '"':
        return None
    try:
        return jcs.decode_base64(value.text)
    except jcs.JsonInvalid:
        return None
