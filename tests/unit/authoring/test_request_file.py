"""Requests in files: JSON says its types, YAML takes the policy's."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gate.authoring
from gate.authoring.check import check_source
from gate.authoring.faults import SourceInvalid
from gate.authoring.request_file import RequestFile, read_request_file
from gate.core.policy.bundle import Bundle
from gate.core.values import Attestation

EXAMPLES = Path(gate.authoring.__file__).parent / "examples"
YAML = """\
actor: ann
action: loan.approve
resource: loan/L-1
parameters: {loan_id: L-1, applicant: ann, loan_amount: 15000, term_months: 48, country: NL}
"""
ASK: dict[str, Any] = {
    "actor": "ann",
    "action": "loan.approve",
    "resource": "loan/L-1",
    "parameters": {"loan_id": "L-1", "loan_amount": 15000},
}


def loan() -> Bundle:
    file = EXAMPLES / "loan-approval.policy.yaml"
    return check_source(file.read_bytes(), file.name).bundle


def read_json(document: dict[str, Any], policy: Bundle | None = None) -> RequestFile:
    data = json.dumps(document, indent="\t").encode()
    return read_request_file(data, "r.json", policy=policy, allows_signals=True)


def refused(
    text: str, name: str = "r.yaml", *, policy: Bundle | None = None, allows_signals: bool = True
) -> list[tuple[int, int, str]]:
    with pytest.raises(SourceInvalid) as caught:
        read_request_file(text.encode(), name, policy=policy, allows_signals=allows_signals)
    return [(fault.line, fault.column, fault.message) for fault in caught.value.faults]


def test_yaml_takes_the_types_of_the_policy() -> None:
    text = YAML + "signals: {credit_score: 720, kyc_passed: true}\n"
    read = read_request_file(text.encode(), "r.yaml", policy=loan(), allows_signals=True)
    assert read == RequestFile(
        request_id=None,
        actor="ann",
        action="loan.approve",
        resource="loan/L-1",
        parameters=(
            ("applicant", "ann"),
            ("country", "NL"),
            ("loan_amount", 15000),
            ("loan_id", "L-1"),
            ("term_months", 48),
        ),
        signals={"credit_score": 720, "kyc_passed": True},
        attestations=(),
        issued_at_ms=None,
        expires_at_ms=None,
        correlation_id="",
    )


def test_json_says_its_types() -> None:
    parameters = {
        "a": 1,
        "b": True,
        "c": "1",
        "d": ["x", "true"],
        "e": {"bytes": "AP8="},
        "f": -(2**63),
        "g": "\U0001f600 / \u00e9",
        "h": [],
    }
    read = read_json(ASK | {"parameters": parameters})
    assert read.parameters == (
        ("a", 1),
        ("b", True),
        ("c", "1"),
        ("d", ("x", "true")),
        ("e", b"\x00\xff"),
        ("f", -(2**63)),
        ("g", "\U0001f600 / \u00e9"),
        ("h", ()),
    )
    assert [type(value) for _, value in read.parameters[:2]] == [int, bool]


def test_times_and_names_are_read() -> None:
    more = {
        "request_id": "r-1",
        "issued_at": "1970-01-01T00:00:01Z",
        "expires_at": "1970-01-01T00:00:02Z",
        "correlation_id": "c-1",
    }
    read = read_json(ASK | more)
    assert (read.request_id, read.issued_at_ms, read.expires_at_ms, read.correlation_id) == (
        "r-1",
        1000,
        2000,
        "c-1",
    )


def test_attestations_are_base64() -> None:
    item = {
        "statement": base64.b64encode(b"claim").decode(),
        "key_id": "k",
        "signature": base64.b64encode(bytes(64)).decode(),
    }
    assert read_json(ASK | {"attestations": [item]}).attestations == (
        Attestation(b"claim", "k", bytes(64)),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"statement": "?"}, "`statement`: expected base64 with padding (RFC 4648)"),
        ({"signature": "AAAA"}, "expected 64 bytes, got 3"),
        ({"key_id": ""}, "expected a text, got ``"),
    ],
)
def test_a_faulty_attestation_is_refused(change: dict[str, str], message: str) -> None:
    item = {
        "statement": "AAAA",
        "key_id": "k",
        "signature": base64.b64encode(bytes(64)).decode(),
    } | change
    text = json.dumps(ASK | {"attestations": [item]})
    assert [found[2] for found in refused(text, "r.json")] == [message]


def test_yaml_without_a_policy_is_refused() -> None:
    found = refused(YAML)
    assert found[0] == (4, 23, "type of `loan_id` is not known: YAML has texts only")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            YAML.replace("15000", "many"),
            (4, 57),
            "`loan_amount`: expected int from 1 to 100000 EUR, got `many`",
        ),
        (
            YAML.replace("country", "land"),
            (4, 81),
            "`land` is not declared by policy `loan-approval`",
        ),
        (YAML.replace("actor", "acter"), (1, 1), "member `actor` is missing"),
        (
            YAML + "signals: {credit: 1}\n",
            (5, 11),
            "`credit` is not declared by policy `loan-approval`",
        ),
    ],
)
def test_faulty_yaml_is_refused_at_its_place(
    text: str, place: tuple[int, int], message: str
) -> None:
    assert (*place, message) in refused(text, policy=loan())


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"actor": "ann",\n "action": }', (2, 12)),
        ('{"actor": "a",\n "actor": "b"}', (2, 2)),
        ('{"actor": 5,\n "action": "a.b", "resource": "r", "parameters": {}}', (1, 11)),
        ('{"actor": "a", "action": "a.b", "resource": "r",\n"parameters": {"x": 1.5}}', (2, 21)),
        ('{"actor": "a", "action": "a.b", "resource": "r",\n"parameters": {"x": null}}', (2, 21)),
        ('{"actor": "a", "action": "a.b", "resource": "r",\n"parameters": {"x": NaN}}', (2, 21)),
        (
            (
                '{"actor": "a", "action": "a.b", "resource": "r",\n'
                '"parameters": {"x": 9223372036854775808}}'
            ),
            (2, 21),
        ),
        ('{"actor": "a", "action": "a.b", "resource": "r",\n"parameters": {"x": [1]}}', (2, 21)),
        (
            (
                '{"actor": "a", "action": "a.b", "resource": "r",\n'
                '"parameters": {"x": {"bytes": "?"}}}'
            ),
            (2, 21),
        ),
        ("[" * 100_000, (1, 1)),
        ('{"a": ' + "9" * 10_000 + "}", (1, 1)),
    ],
)
def test_faulty_json_is_refused_at_its_place(text: str, place: tuple[int, int]) -> None:
    assert place in [found[:2] for found in refused(text, "r.json")]


def test_who_submits_can_not_assume_signals() -> None:
    text = json.dumps(ASK | {"signals": {}})
    assert [found[2] for found in refused(text, "r.json", allows_signals=False)] == [
        "signals can not be assumed here"
    ]


def test_a_declared_timestamp_is_written_as_a_time_in_json_too() -> None:
    source = (EXAMPLES / "loan-approval.policy.yaml").read_bytes()
    source = source.replace(b"request:\n", b"request:\n  made: {type: timestamp}\n", 1)
    policy = check_source(source, "p.yaml").bundle
    document = ASK | {"parameters": {"made": "1970-01-01T00:00:01Z"}}
    assert read_json(document, policy).parameters == (("made", 1000),)


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text(
            st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp", "Cn"]), max_size=8
        ),
        max_size=4,
    )
)
def test_json_values_are_read_as_they_are(parameters: dict[str, Any]) -> None:
    read = read_json(ASK | {"parameters": parameters})
    assert dict(read.parameters) == parameters
    assert [type(value) for _, value in read.parameters] == [
        type(parameters[name]) for name in sorted(parameters)
    ]


def read_or_faults(data: bytes, name: str) -> object:
    """Return what was read, or the faults; any other exception is the test's failure."""
    try:
        return read_request_file(data, name, policy=None, allows_signals=True)
    except SourceInvalid as error:
        return error.faults


@given(
    st.text('{}[]":,\\ant0', max_size=30).map(str.encode) | st.binary(max_size=30),
    st.sampled_from(["r.json", "r.yaml"]),
)
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    assert read_or_faults(data, name) != ()
