import hashlib
from typing import Any

import pytest

from gate.core import jcs, limits
from gate.core.policy.bundle import parse_bundle, read_draft
from gate.core.policy.compiled import (
    Evaluation,
    Policy,
    SignalDeclaration,
    compile_policy,
    expression_digests,
)
from gate.core.policy.entry_size import entry_bytes_max
from gate.core.policy.expressions import read_expressions
from gate.core.policy.issues import AstDiffers, BundleInvalid, EngineUnavailable, Issue, place
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Value
from tests.unit.core.policy import loan

POLICY = loan.policy_of()


def evaluate(policy: Policy, inputs: dict[str, Value], **changes: Any) -> Evaluation:
    return policy.evaluate(
        inputs,
        **{
            "actor": "ann",
            "action": "loan.approve",
            "resource": "loan/L-1",
            "now_ms": loan.NOW_MS,
            **changes,
        },
    )


def reason(code: Code, rule: str = "", field: str = "", message: str = "") -> Reason:
    return Reason(code, Phase.EVALUATE, rule, field, message)


def issues_of(document: loan.Document) -> list[Issue]:
    with pytest.raises(BundleInvalid) as caught:
        expression_digests(read_draft(document))
    return list(caught.value.issues)


def faults_of(document: loan.Document) -> list[str]:
    return [f"{place(issue.path)}: {issue.message}" for issue in issues_of(document)]


def with_rule(expr: str) -> loan.Document:
    return loan.changed(rules=[*loan.LOAN["rules"], loan.deny("extra", expr)])


def test_the_example_of_the_requirements_is_approved() -> None:
    assert evaluate(POLICY, loan.inputs()) == Evaluation((), (("max_amount", 15000),), "prime")


def test_a_score_one_below_is_not_permitted() -> None:
    found = evaluate(POLICY, {**loan.inputs(), "signal.credit_score": 699})

    assert found == Evaluation((reason(Code.NO_PERMIT),), (), "")


def test_all_that_is_wrong_is_told_in_document_order() -> None:
    inputs = {
        **loan.inputs(country="KP", loan_amount=20001),
        "signal.kyc_passed": False,
        "signal.existing_debt": 10_000_000,
    }

    assert evaluate(POLICY, inputs) == Evaluation(
        (
            reason(Code.FORBIDDEN, "sanctioned-country", "", "Loans to KP are not permitted."),
            reason(
                Code.FORBIDDEN, "kyc-missing", "", "The applicant has not passed identity checks."
            ),
            reason(
                Code.FORBIDDEN,
                "over-indebted",
                "",
                "Total exposure 10020001 EUR is above 250000 EUR.",
            ),
            reason(
                Code.APPROVAL_REQUIRED,
                "large-loan",
                "",
                "Loans above 20000 EUR need a credit officer.",
            ),
        ),
        (),
        "prime",
    )


def test_the_outcome_does_not_depend_on_the_order_of_rules() -> None:
    turned = loan.policy_of(loan.changed(rules=loan.LOAN["rules"][::-1]))
    for country, score in (("KP", 720), ("DE", 720), ("DE", 640), ("DE", 300)):
        inputs = {**loan.inputs(country=country), "signal.credit_score": score}
        one, other = evaluate(POLICY, inputs), evaluate(turned, inputs)

        assert sorted(one.reasons) == sorted(other.reasons)
        assert one.constraints == other.constraints


def test_an_erring_variable_ends_the_evaluation() -> None:
    document = loan.changed()
    document["variables"] = [
        {"name": "good", "expr": "request.loan_amount"},
        {"name": "ratio", "expr": "1 / (request.term_months - 48)"},
        {"name": "worse", "expr": "variables.ratio + 9223372036854775807"},
    ]
    document["rules"] = [
        loan.deny("odd", "1 / (request.term_months - 48) == 1"),
        loan.allow("all", "variables.good > 0"),
    ]

    found = evaluate(loan.policy_of(document), loan.inputs())

    assert found == Evaluation((reason(Code.POLICY_ERROR, field="ratio"),), (), "")


def test_every_erring_rule_is_told_and_denies_though_another_allows() -> None:
    document = loan.changed()
    document["rules"] += [
        loan.deny("first", "1 / (request.term_months - 48) == 1"),
        loan.allow("second", "request.loan_amount * 9223372036854775807 > 0"),
    ]

    found = evaluate(loan.policy_of(document), loan.inputs(country="KP"))

    assert found == Evaluation(
        (reason(Code.POLICY_ERROR, "first"), reason(Code.POLICY_ERROR, "second")), (), ""
    )


def test_an_error_that_the_language_absorbs_is_none() -> None:
    document = with_rule("1 / (request.term_months - 48) == 1 && request.loan_amount < 0")

    assert evaluate(loan.policy_of(document), loan.inputs()).reasons == ()


@pytest.mark.parametrize("expr", ["request.loan_amount / 0", "request.loan_amount * 7", "0"])
def test_a_constraint_that_errs_or_leaves_its_bounds_denies(expr: str) -> None:
    document = loan.changed()
    document["constraints"]["values"][0]["expr"] = expr
    policy = loan.policy_of(document)

    assert evaluate(policy, loan.inputs()) == Evaluation(
        (reason(Code.POLICY_ERROR, field="max_amount"),), (), "prime"
    )
    assert evaluate(policy, loan.inputs(country="KP")).reasons == (
        reason(Code.FORBIDDEN, "sanctioned-country", "", "Loans to KP are not permitted."),
    )


def test_constraints_have_their_declared_types() -> None:
    document = loan.changed()
    document["inputs"].insert(
        4,
        {
            "name": "request.tags",
            "type": "list",
            "of": "string",
            "max_items": 3,
            "min_len": 1,
            "max_len": 5,
        },
    )
    document["constraints"]["values"] = [
        {"name": "country", "type": "enum", "values": ["DE"], "expr": "request.country"},
        {"name": "is_small", "type": "bool", "expr": "request.loan_amount < 20000"},
        {
            "name": "tags",
            "type": "list",
            "of": "string",
            "max_items": 2,
            "min_len": 1,
            "max_len": 5,
            "expr": "request.tags",
        },
        {"name": "who", "type": "string", "min_len": 1, "max_len": 64, "expr": "actor"},
    ]
    policy = loan.policy_of(document)

    assert evaluate(policy, loan.inputs(tags=("a", "b"))).constraints == (
        ("country", "DE"),
        ("is_small", True),
        ("tags", ("a", "b")),
        ("who", "ann"),
    )
    assert evaluate(policy, loan.inputs(country="FR", tags=("a", "b", "c"))).reasons == (
        reason(Code.POLICY_ERROR, field="country"),
        reason(Code.POLICY_ERROR, field="tags"),
    )


def test_rules_see_the_whole_ask_and_append_time() -> None:
    document = loan.changed(
        rules=[
            loan.allow(
                "all",
                'actor == "ann" && action == "loan.approve" && resource == "loan/L-1"'
                ' && now == timestamp("2026-06-01T12:00:00Z")',
            )
        ]
    )
    policy = loan.policy_of(document)

    assert evaluate(policy, loan.inputs()).reasons == ()
    for change in (
        {"actor": "bob"},
        {"action": "loan.deny"},
        {"resource": "loan/L-2"},
        {"now_ms": loan.NOW_MS + 1},
    ):
        assert evaluate(policy, loan.inputs(), **change).reasons == (reason(Code.NO_PERMIT),)


def test_bytes_are_seen_as_hexadecimal_and_times_as_timestamps() -> None:
    document = loan.changed()
    document["inputs"] = sorted(
        [
            *document["inputs"],
            {"name": "request.at", "type": "timestamp"},
            {"name": "request.digest", "type": "bytes", "min_len": 2, "max_len": 2},
            {"name": "request.day", "type": "date"},
        ],
        key=lambda item: item["name"],
    )
    document["rules"] = [
        loan.allow(
            "all",
            'request.digest == "00ff" && request.day.startsWith("2026-")'
            ' && now - request.at == duration("1500ms")',
        )
    ]
    policy = loan.policy_of(document)
    inputs = loan.inputs(at=loan.NOW_MS - 1500, day="2026-06-01", digest=b"\x00\xff")

    assert evaluate(policy, inputs).reasons == ()
    assert evaluate(policy, {**inputs, "request.digest": b"\x00\xfe"}).reasons == (
        reason(Code.NO_PERMIT),
    )


def test_a_message_shows_every_kind_of_name() -> None:
    document = loan.changed(
        variables=[
            {"name": "is_large", "expr": "request.loan_amount > 1"},
            {"name": "who", "expr": "request.applicant"},
        ],
        rules=[
            loan.deny(
                "no",
                "true",
                "{actor} {action} {resource} {request.loan_amount} {signal.kyc_passed} "
                "{variables.is_large} {variables.who}",
            ),
            loan.allow("all", "true"),
        ],
    )

    assert evaluate(loan.policy_of(document), loan.inputs()).reasons == (
        reason(Code.FORBIDDEN, "no", "", "ann loan.approve loan/L-1 15000 true true ann"),
    )


def test_nul_never_reaches_the_engine() -> None:
    with pytest.raises(AssertionError):
        evaluate(POLICY, loan.inputs(), actor="ann\0")


def test_the_policy_names_its_signals() -> None:
    assert POLICY.signals[0] == SignalDeclaration(
        "credit_score", frozenset({"credit-bureau"}), "applicant", loan.DAY_MS, None, False
    )
    assert [item.name for item in POLICY.signals] == ["credit_score", "existing_debt", "kyc_passed"]
    assert POLICY.check_signal("credit_score", 300) is None
    assert POLICY.check_signal("credit_score", 299) is Code.SIGNAL_OUT_OF_BOUNDS
    assert POLICY.check_signal("credit_score", "720") is Code.SIGNAL_INVALID
    assert POLICY.check_signal("kyc_passed", 1) is Code.SIGNAL_INVALID


def test_a_default_of_false_is_a_default() -> None:
    document = loan.changed()
    document["inputs"][7]["default"] = False

    signal = loan.policy_of(document).signals[2]

    assert (signal.default, signal.has_default) == (False, True)


def test_another_engine_stops() -> None:
    payload = jcs.canonical({**loan.with_digests(loan.LOAN), "engine": "gate-engine/2"})

    with pytest.raises(EngineUnavailable, match="expected engine `gate-engine/1`"):
        compile_policy(parse_bundle(payload), hashlib.sha256(payload).digest())


@pytest.mark.parametrize("member", ["variables", "rules", "constraints"])
def test_a_digest_that_differs_stops(member: str) -> None:
    packed = loan.with_digests(loan.LOAN)
    items = packed[member]["values"] if member == "constraints" else packed[member]
    items[0]["ast"] = "00" * 32
    payload = jcs.canonical(packed)

    with pytest.raises(AstDiffers, match=r"expr: expected `00"):
        compile_policy(parse_bundle(payload), hashlib.sha256(payload).digest())


@pytest.mark.parametrize(
    ("expr", "message", "line", "column"),
    [
        ("request.loan_amount >", "syntax error: mismatched input", 1, 22),
        ("true &&\n  request.amount > 1", "undeclared reference to `request.amount`", 2, 10),
        ("request.loan_amount", "expected an expression of type bool, got int", 1, 1),
        ("request.country < 'a'", "found no matching overload", 1, 17),
        ("true &&\n request.country.matches('(')", "`(` is not a valid pattern", 2, 26),
        ("now - duration('1y') < now", "`1y` is not a valid duration", 1, 16),
        ("now - duration('900000h') < now", "`900000h` is not a valid duration", 1, 16),
        ("timestamp('2026-13-01T00:00:00Z') < now", "`2026-13-01T00:00:00Z` is not a valid", 1, 11),
        ("request.country.matches('\\u0000')", "a literal has control or direction", 1, 25),
        ("true || 1.5 == 1.0", "literals other than bool, int and string", 1, 9),
        ("[request.country].all(now, true)", "`now` cannot be the variable of `all`", 1, 22),
    ],
)
def test_a_fault_has_its_line_and_column(expr: str, message: str, line: int, column: int) -> None:
    issue = issues_of(with_rule(expr))[0]

    assert issue.message.startswith(message)
    assert (issue.path, issue.line, issue.column) == (("rules", 6, "expr"), line, column)


def test_a_misspelt_name_is_met_with_a_suggestion() -> None:
    issue = issues_of(with_rule("request.loan_amuont > 1"))[0]

    assert issue.hint == "did you mean `request.loan_amount`?"


def test_a_faulty_variable_is_told_once() -> None:
    document = loan.changed(variables=[{"name": "exposure", "expr": "signal.debt + 1"}])

    assert faults_of(document) == [
        "variables[0].expr: undeclared reference to `signal.debt`",
    ]


def test_faults_of_several_expressions_are_told_together() -> None:
    document = with_rule("request.x == 1")
    document["rules"][0]["expr"] = "request.y == 1"
    document["constraints"]["values"][0]["expr"] = "request.z"

    assert faults_of(document) == [
        "rules[0].expr: undeclared reference to `request.y`",
        "rules[6].expr: undeclared reference to `request.x`",
        "constraints.values[0].expr: undeclared reference to `request.z`",
    ]


def test_a_variable_may_not_use_a_later_one() -> None:
    document = loan.changed()
    document["variables"].insert(0, {"name": "early", "expr": "variables.exposure + 1"})

    assert "variables[0].expr: undeclared reference to `variables.exposure`" in faults_of(document)


def test_several_actions_must_be_told_apart() -> None:
    document = loan.changed(governs=["loan.approve", "loan.extend"])

    assert faults_of(document) == [
        "governs: a policy that governs more than one action must read `action` in its rules"
    ]
    document["variables"].append({"name": "is_new", "expr": 'action == "loan.approve"'})
    document["rules"].append(loan.deny("extend", "!variables.is_new"))
    expression_digests(read_draft(document))


def test_a_resource_input_must_be_read() -> None:
    document = loan.changed(resource={"input": loan.text("x")})
    del document["resource"]["input"]["name"]

    assert faults_of(document) == [
        "resource.input: no rule reads `resource`: whatever it names would be approved"
    ]


def test_variables_within_variables_cannot_explode() -> None:
    document = loan.changed(
        variables=[{"name": "v0", "expr": "request.loan_amount"}]
        + [
            {"name": f"v{index}", "expr": f"variables.v{index - 1} + variables.v{index - 1}"}
            for index in range(1, 32)
        ],
        rules=[loan.allow("all", "variables.v31 > 0")],
    )

    assert faults_of(document)[0].startswith("variables[14].expr: with its variables in place")


def test_depth_is_counted_with_variables_in_place() -> None:
    document = loan.changed(
        variables=[{"name": "v0", "expr": "request.loan_amount"}]
        + [{"name": f"v{n}", "expr": f"variables.v{n - 1} + 1"} for n in range(1, 26)],
        rules=[loan.allow("all", "variables.v25 > 0")],
    )

    assert "with its variables in place, expected at most 24 levels" in faults_of(document)[0]


def listed(max_items: int, *rules: loan.Document) -> loan.Document:
    document = loan.changed(rules=list(rules))
    document["inputs"].insert(
        4,
        {
            "name": "request.tags",
            "type": "list",
            "of": "string",
            "max_items": max_items,
            "min_len": 1,
            "max_len": 5,
        },
    )
    return document


LOOPS = "request.tags.all(x, request.tags.all(y, x == y || x != y))"


def test_loops_are_counted_over_the_whole_policy() -> None:
    allowed = [loan.allow(f"r{index}", LOOPS) for index in range(15)]

    assert expression_digests(read_draft(listed(10, *allowed)))
    assert faults_of(listed(64, *allowed[:1])) == [
        "rules: evaluation may visit 41286 nodes, at most 20000",
        "rules: evaluation may loop 4160 times, at most 4000",
    ]


def test_what_the_static_cost_permits_the_engine_can_do() -> None:
    rules = [
        loan.allow(f"r{n}", "request.tags.all(x, request.tags.all(y, true))") for n in range(4)
    ]
    policy = loan.policy_of(listed(30, *rules))

    found = evaluate(policy, loan.inputs(tags=("a",) * 30))

    assert found.reasons == ()


@pytest.mark.parametrize(
    "expr",
    [
        "request.term_months" + " + 1" * 22 + " > 0",
        "(" * 22 + "request.term_months" + " + 1)" * 22 + " > 0",
        "0 < " + "(1 + " * 22 + "1" + ")" * 22,
        "!(" * 22 + "signal.kyc_passed" + ")" * 22,
        "0 < (" + "signal.kyc_passed ? 1 : " * 22 + "2)",
        "request.country in (" + "signal.kyc_passed ? ['a'] : " * 21 + "['b'])",
        " && ".join(["signal.kyc_passed"] * 100),
        "0 < " + "-(" * 22 + "request.term_months" + ")" * 22,
    ],
)
def test_what_depth_permits_also_runs_as_one_list(expr: str) -> None:
    policy = loan.policy_of(loan.changed(rules=[loan.allow("all", "true"), loan.deny("x", expr)]))

    assert evaluate(policy, loan.inputs()).reasons[0:1] in {
        (),
        (reason(Code.FORBIDDEN, "x", "", "No."),),
    }


def test_an_entry_that_could_be_too_large_is_refused() -> None:
    document = loan.changed()
    document["inputs"][0]["max_len"] = 8192
    document["inputs"][4] = loan.text("request.other", max_len=8192)
    document["rules"] = [
        loan.deny("a", "true", "{request.applicant}"),
        loan.deny("b", "true", "{request.applicant}"),
        loan.allow("all", "true"),
    ]

    assert faults_of(document)[0].startswith("inputs: an entry may take")


def test_the_worst_entry_is_counted_from_above() -> None:
    bundle = read_draft(loan.LOAN)
    size = entry_bytes_max(bundle, read_expressions(bundle))

    assert 2000 < size < limits.ENTRY_BYTES_MAX // 4


def test_a_message_cannot_show_what_has_no_text() -> None:
    document = loan.changed()
    document["variables"][0]["expr"] = "now"
    document["rules"][2]["expr"] = "variables.exposure > now"

    assert faults_of(document) == [
        "rules[2].message: `{variables.exposure}` is a timestamp, which has no text"
    ]
