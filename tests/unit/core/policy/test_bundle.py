import copy
from collections.abc import Callable
from typing import Any

import pytest

from gate.core import jcs
from gate.core.policy.bundle import parse_bundle, read_draft
from gate.core.policy.declaration import EnumType, IntType, Parameter, Signal, StringType
from gate.core.policy.issues import BundleInvalid, place
from gate.core.policy.model import ApprovalDemand, Constraint, Rule
from tests.unit.core.policy import loan

Change = Callable[[dict[str, Any]], object]


def faults(document: object) -> list[str]:
    """Return `place: message` of every fault of a draft."""
    with pytest.raises(BundleInvalid) as caught:
        read_draft(document)
    return [f"{place(issue.path)}: {issue.message}" for issue in caught.value.issues]


def fault_after(change: Change) -> str:
    document = copy.deepcopy(loan.LOAN)
    change(document)
    found = faults(document)
    assert len(found) == 1, found
    return found[0]


def test_a_bundle_is_read_whole() -> None:
    payload = loan.pack(loan.LOAN)
    packed = loan.with_digests(loan.LOAN)

    bundle = parse_bundle(payload)

    assert (bundle.policy, bundle.version, bundle.sequence) == ("loan-approval", "1.0.3", 7)
    assert bundle.governs == ("loan.approve",)
    assert bundle.parameters[:2] == (
        Parameter(name="applicant", type=StringType(min_len=1, max_len=64), default=None),
        Parameter(
            name="country", type=EnumType(values=("DE", "FR", "IR", "KP", "NL")), default=None
        ),
    )
    assert bundle.parameters[3].type == StringType(
        min_len=1, max_len=40, chars="-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    )
    assert bundle.signals[0] == Signal(
        name="credit_score",
        type=IntType(minimum=300, maximum=850),
        default=None,
        issuers=("credit-bureau",),
        subject="applicant",
        max_age_ms=loan.DAY_MS,
    )
    assert bundle.rules[3] == Rule(
        id="large-loan",
        effect="require_approval",
        expr="request.loan_amount > 20000",
        ast=packed["rules"][3]["ast"],
        message="Loans above 20000 EUR need a credit officer.",
        remedy="gate approve --role credit-officer",
        approval=ApprovalDemand(role="credit-officer", count=1, max_age_ms=259_200_000),
    )
    assert bundle.constraints == (
        Constraint(
            name="max_amount",
            type=IntType(minimum=1, maximum=100_000),
            expr="request.loan_amount",
            ast=packed["constraints"]["values"][0]["ast"],
        ),
    )
    assert (bundle.key_space, bundle.key_generation, bundle.key_parts) == ("loans", 1, ("loan_id",))


def test_a_payload_must_carry_every_digest_a_draft_need_not() -> None:
    draft = jcs.canonical(loan.LOAN)

    assert read_draft(loan.LOAN).rules[0].ast == ""
    with pytest.raises(BundleInvalid) as caught:
        parse_bundle(draft)

    assert {issue.message for issue in caught.value.issues} == {"`ast` is missing"}
    assert len(caught.value.issues) == 8


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "expected an object, got an array"),
        (b'{"format": "gate-policy-bundle/1"}', "not in canonical form"),
        (b'{"a":1,"a":2}', "stands twice"),
        (b'{"a":1.5}', "not an integer"),
        (b'"' + b"a" * 98_304 + b'"', "too long"),
    ],
)
def test_a_payload_that_is_not_canonical_json_is_refused(payload: bytes, message: str) -> None:
    with pytest.raises(BundleInvalid, match=message):
        parse_bundle(payload)


@pytest.mark.parametrize("member", sorted(loan.LOAN))
def test_every_member_is_mandatory(member: str) -> None:
    document = copy.deepcopy(loan.LOAN)
    del document[member]

    assert f"bundle: `{member}` is missing" in faults(document)


@pytest.mark.parametrize("member", sorted(loan.LOAN))
def test_every_member_has_its_type(member: str) -> None:
    found = faults(loan.changed(**{member: 7}))

    assert any(
        line.startswith(f"{member}: expected") and "got an integer" in line for line in found
    )


def put(*path: str | int, value: object) -> Change:
    def change(document: dict[str, Any]) -> None:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (put("colour", value=1), "bundle: unknown member `colour`"),
        (put("rules", 0, "priority", value=1), "rules[0]: unknown member `priority`"),
        (put("rules", 4, "message", value="x"), "rules[4]: unknown member `message`"),
        (put("rules", 0, "approval", value={}), "rules[0]: unknown member `approval`"),
        (put("inputs", 0, "disclose", value="hidden"), "inputs[0]: unknown member `disclose`"),
        (put("inputs", 1, "max_len", value=3), "inputs[1]: unknown member `max_len`"),
        (put("inputs", 0, "issuers", value=["x"]), "inputs[0]: unknown member `issuers`"),
        (
            put("format", value="gate-policy-bundle/2"),
            "format: expected one of gate-policy-bundle/1, got `gate-policy-bundle/2`",
        ),
        (put("version", value="1.0"), "version: `1.0` has the wrong form"),
        (put("version", value="1.0.٣"), "version: `1.0.\\u0663` has the wrong form"),
        (put("policy", value="Loan"), "policy: `Loan` has the wrong form"),
        (put("domain", value="a/b"), "domain: `a/b` has the wrong form"),
        (put("owner", value=""), "owner: expected 1 to 256 bytes, got 0"),
        (put("sequence", value="0"), "sequence: expected 1 to 9223372036854775807, got 0"),
        (put("sequence", value="07"), "sequence: expected a decimal integer, got `07`"),
        (put("sequence", value="٧"), "sequence: expected a decimal integer, got `\\u0667`"),
        (
            put("sequence", value="9223372036854775808"),
            "sequence: expected 1 to 9223372036854775807, got 9223372036854775808",
        ),
        (put("sequence", value=7), "sequence: expected a string, got an integer"),
        (put("governs", value=[]), "governs: expected 1 to 64 items, got 0"),
        (put("governs", value=["b", "a"]), "governs: expected ascending names"),
        (put("governs", value=["a", "a"]), "governs[1]: `a` stands twice"),
        (put("governs", value=["Loan"]), "governs[0]: `Loan` has the wrong form"),
        (put("valid", "until_ms", value="1767225600000"), "valid: expected `from` before `until`"),
        (put("requester", value="opn"), "requester: expected one of signed, open, got `opn`"),
        (
            put("requester", value="open"),
            "rules[3].effect: an open policy cannot ask for approvals",
        ),
        (put("previous", value="00"), "previous: `00` has the wrong form"),
        (put("resource", value={}), "resource: expected either `template` or `input`"),
        (
            put("resource", "input", value={"type": "enum", "values": ["a"]}),
            "resource: expected either `template` or `input`",
        ),
        (
            put("resource", value={"input": {"type": "int", "min": "1", "max": "2"}}),
            "resource.input.type: expected one of string, enum, got `int`",
        ),
        (put("resource", "template", value="loan"), "resource.template: the resource names no"),
        (
            put("resource", "template", value="{request.x}"),
            "resource.template: `{request.x}` is not",
        ),
        (put("resource", "template", value="{actor}"), "resource.template: `{actor}` is not"),
        (put("resource", "template", value="{a"), "resource.template: braces do not pair"),
        (put("key", "parts", value=["x"]), "key.parts[0]: `x` is not a declared parameter"),
        (put("key", "parts", value=[]), "key.parts: expected 1 to 8 items, got 0"),
        (put("key", "generation", value="0"), "key.generation: expected 1 to"),
        (put("key", "space", value="Loans"), "key.space: `Loans` has the wrong form"),
        (put("inputs", 2, "min", value="100001"), "inputs[2].min: expected at most `max`"),
        (put("inputs", 2, "min", value=1), "inputs[2].min: expected a string, got an integer"),
        (put("inputs", 2, "default", value="0"), "inputs[2].default: the default does not fit"),
        (put("inputs", 2, "default", value=None), "inputs[2].default: expected a value, got null"),
        (put("inputs", 1, "default", value="XX"), "inputs[1].default: the default does not fit"),
        (put("inputs", 0, "min_len", value=65), "inputs[0].min_len: expected at most `max_len` 64"),
        (put("inputs", 0, "min_len", value=True), "inputs[0].min_len: expected an integer, got a"),
        (
            put("inputs", 0, "max_len", value=8193),
            "inputs[0].max_len: expected 0 to 8192, got 8193",
        ),
        (put("inputs", 0, "chars", value="Z-A"), "inputs[0].chars: range `Z-A` is empty"),
        (put("inputs", 0, "chars", value="a-é"), "inputs[0].chars: `a-\\xe9` has characters that"),
        (put("inputs", 0, "type", value="float"), "inputs[0].type: expected one of string, int"),
        (put("inputs", 1, "values", value=["a", "a"]), "inputs[1].values[1]: `a` stands twice"),
        (put("inputs", 0, "name", value="request.x y"), "inputs[0].name: `x y` cannot be a name"),
        (put("inputs", 5, "issuers", value=[]), "inputs[5].issuers: expected 1 to 16 items, got 0"),
        (
            put("inputs", 5, "subject", value="term_months"),
            "inputs[5].subject: subject `term_months`",
        ),
        (put("inputs", 5, "max_age_ms", value="-1"), "inputs[5].max_age_ms: expected 0 to"),
        (
            put("inputs", 7, "name", value="other.x"),
            "inputs[7].name: expected `request.` or `signal.`, got `other.x`",
        ),
        (put("variables", 0, "name", value="key"), "variables[0].name: `key` is reserved"),
        (
            put("rules", 1, "id", value="sanctioned-country"),
            "rules[1].id: `sanctioned-country` stands",
        ),
        (put("rules", 0, "effect", value="forbid"), "rules[0].effect: expected one of deny"),
        (put("rules", 0, "expr", value="a\0b"), "rules[0].expr: `a\\x00b` has control"),
        (put("rules", 0, "expr", value="1" * 4097), "rules[0].expr: expected 1 to 4096 bytes"),
        (
            put("rules", 0, "message", value="{request.x}"),
            "rules[0].message: `{request.x}` is not a",
        ),
        (put("rules", 0, "message", value="}{"), "rules[0].message: braces do not pair"),
        (
            put("rules", 0, "message", value="x" * 1025),
            "rules[0].message: expected 1 to 1024 bytes",
        ),
        (put("rules", 0, "message", value="a\u202eb"), "rules[0].message: `a\\u202eb` has control"),
        (
            put("rules", 3, "approval", "count", value=0),
            "rules[3].approval.count: expected 1 to 16",
        ),
        (put("constraints", "valid_for_ms", value="0"), "constraints.valid_for_ms: expected 1 to"),
    ],
)
def test_one_fault_is_one_issue_at_its_place(change: Change, fault: str) -> None:
    assert fault_after(change).startswith(fault)


@pytest.mark.parametrize(
    "name", ["decision", "outcome", "policy", "now", "key", "in", "true", "request"]
)
def test_reserved_names_are_refused(name: str) -> None:
    document = loan.changed()
    document["inputs"].insert(0, loan.signal(name, "x", type="bool"))
    document["inputs"].sort(key=lambda item: item["name"])

    assert any(f"`{name}` is reserved" in line for line in faults(document))


def test_all_faults_are_told_in_document_order_of_lists() -> None:
    document = loan.changed(version="x", owner="")
    document["rules"][5]["effect"] = "forbid"
    document["rules"][1]["id"] = "X"
    del document["inputs"][0]["max_len"]

    assert faults(document) == [
        "inputs[0]: `max_len` is missing",
        "owner: expected 1 to 256 bytes, got 0",
        "rules[1].id: `X` has the wrong form",
        "rules[5].effect: expected one of deny, require_approval, allow, got `forbid`",
        "version: `x` has the wrong form",
    ]


def test_a_policy_that_allows_nothing_is_refused() -> None:
    document = loan.changed(rules=loan.LOAN["rules"][:4])

    assert faults(document) == ["rules: no rule allows: every request would be denied"]


def test_an_unknown_member_is_met_with_a_suggestion() -> None:
    document = loan.changed()
    document["rules"][0]["mesage"] = document["rules"][0].pop("message")

    with pytest.raises(BundleInvalid) as caught:
        read_draft(document)

    assert "did you mean `message`?" in {issue.hint for issue in caught.value.issues}


def test_each_type_of_input_is_read_with_its_default() -> None:
    document = loan.changed()
    document["inputs"] = sorted(
        [
            *document["inputs"],
            {"name": "request.a", "type": "bool", "default": False},
            {"name": "request.b", "type": "bytes", "min_len": 0, "max_len": 2, "default": "00ff"},
            {"name": "request.c", "type": "date", "default": "2024-02-29"},
            {"name": "request.d", "type": "timestamp", "default": "-1"},
            {
                "name": "request.e",
                "type": "list",
                "of": "string",
                "max_items": 2,
                "min_len": 1,
                "max_len": 3,
                "default": ["a", "b"],
            },
        ],
        key=lambda item: item["name"],
    )

    bundle = read_draft(document)

    defaults = {item.name: item.default for item in bundle.parameters if item.default is not None}
    assert defaults == {"a": False, "b": b"\x00\xff", "c": "2024-02-29", "d": -1, "e": ("a", "b")}


@pytest.mark.parametrize("kind", ["bool", "timestamp"])
def test_the_record_key_must_have_a_text(kind: str) -> None:
    document = loan.changed()
    document["inputs"].insert(0, {"name": "request.a", "type": kind})
    document["key"]["parts"] = ["a"]

    assert faults(document) == [
        "key.parts[0]: `a` cannot be the first part, which is the Kafka record key"
    ]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((0, 40), "`loan_id` may be empty"),
        ((1, 1025), "`loan_id` may be longer than a Kafka record key"),
    ],
)
def test_the_record_key_is_neither_empty_nor_too_long(
    lengths: tuple[int, int], message: str
) -> None:
    document = loan.changed()
    document["inputs"][3]["min_len"], document["inputs"][3]["max_len"] = lengths

    assert message in faults(document)[0]


def test_lists_are_bounded() -> None:
    many = [loan.allow(f"r{index}", "true") for index in range(129)]
    assert "rules: expected 1 to 128 items, got 129" in faults(loan.changed(rules=many))

    inputs = [loan.integer(f"request.p{index:03}", 0, 1) for index in range(65)]
    inputs.append(loan.text("request.q"))
    document = loan.changed(
        inputs=inputs, resource={"template": "{request.q}"}, rules=[loan.allow("a", "true")]
    )
    document["key"]["parts"] = ["q"]
    assert "inputs: expected at most 64 of a kind" in faults(document)
