"""Which kind of file somebody gave: a policy, a test file, a request, or something signed.

So that the wrong file is named in one line, instead of a fault for each of its members.
"""

from gate.authoring.faults import Lines, SourceInvalid
from gate.authoring.yaml_source import Mapping, Node, Scalar

POLICY_FORMAT = "gate-policy/1"
TESTS_FORMAT = "gate-policy-tests/1"

POLICY = f"a policy (`{POLICY_FORMAT}`)"
TESTS = f"a test file (`{TESTS_FORMAT}`)"
REQUEST = "a request"

_BY_FORMAT = {POLICY_FORMAT: POLICY, TESTS_FORMAT: TESTS}


def check_kind(root: Node, lines: Lines, expected: str) -> None:
    """Raise `SourceInvalid`, one fault of one line, when the file is clearly of another kind."""
    found = _kind(root)
    if found is not None and found != expected:
        fault = lines.fault(root.place.line, root.place.column, _text(found, expected))
        raise SourceInvalid([fault._replace(excerpt="")])


def _text(found: str, expected: str) -> str:
    return f"this is {found}, expected {expected}"


def _kind(root: Node) -> str | None:
    if not isinstance(root, Mapping):
        return None
    members = {name.text: value for name, value in root.entries}
    written = members.get("format")
    if isinstance(written, Scalar):
        return _BY_FORMAT.get(written.text)
    if "payloadType" in members and "signatures" in members:
        return "a signed envelope"
    return REQUEST if {"actor", "action"} <= members.keys() else None
