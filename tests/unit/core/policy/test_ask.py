import pytest

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import Evaluated, Value
from tests.unit.core.policy import loan

POLICY = loan.policy_of()


def reason(code: Code, field: str) -> Reason:
    return Reason(code, Phase.ADMIT, field=field)


def with_default(**kind: object) -> dict[str, object]:
    document = loan.changed()
    document["inputs"].insert(0, {"name": "request.a", **kind})
    return document


def test_a_good_ask_gives_its_inputs_by_name() -> None:
    check = POLICY.check_ask(loan.request())

    assert check.inputs == {f"request.{name}": value for name, value in loan.ASK.items()}
    assert check.evaluated == tuple(
        Evaluated(f"request.{name}", "ask", value) for name, value in sorted(loan.ASK.items())
    )
    assert check.reasons == ()
    assert [type(item) for item in check.evaluated] == [Evaluated] * 5


def test_every_finding_is_told_by_name_and_what_passed_is_kept() -> None:
    parameters: dict[str, Value] = {
        "aardvark": 1,
        "applicant": "ann",
        "country": "XX",
        "loan_amount": True,
        "loan_id": "L-1",
        "zebra": "z",
    }

    check = POLICY.check_ask(loan.request(parameters))

    assert check.reasons == (
        reason(Code.PARAMETER_UNDECLARED, "aardvark"),
        reason(Code.PARAMETER_INVALID, "country"),
        reason(Code.PARAMETER_INVALID, "loan_amount"),
        reason(Code.PARAMETER_MISSING, "term_months"),
        reason(Code.PARAMETER_UNDECLARED, "zebra"),
    )
    assert check.inputs == {"request.applicant": "ann", "request.loan_id": "L-1"}
    assert [item.name for item in check.evaluated] == ["request.applicant", "request.loan_id"]


@pytest.mark.parametrize("resource", ["", "loan/L-2", "loan/L-1 ", "LOAN/L-1", "loan/"])
def test_another_resource_is_a_mismatch(resource: str) -> None:
    check = POLICY.check_ask(loan.request(resource=resource))

    assert check.reasons == (reason(Code.RESOURCE_MISMATCH, "resource"),)


def test_the_resource_is_judged_only_by_parameters_that_passed() -> None:
    check = POLICY.check_ask(loan.request({**loan.ASK, "loan_id": "l-1"}, resource="x"))
    beside = POLICY.check_ask(loan.request({**loan.ASK, "country": "XX"}, resource="x"))

    assert check.reasons == (reason(Code.PARAMETER_INVALID, "loan_id"),)
    assert beside.reasons == (
        reason(Code.PARAMETER_INVALID, "country"),
        reason(Code.RESOURCE_MISMATCH, "resource"),
    )


@pytest.mark.parametrize("value", ["L\0", "L-1\n", "l-1", "", "L" * 41, "Ⅼ-1"])
def test_a_text_outside_its_characters_is_invalid(value: str) -> None:
    check = POLICY.check_ask(loan.request({**loan.ASK, "loan_id": value}, resource=f"loan/{value}"))

    assert check.reasons == (reason(Code.PARAMETER_INVALID, "loan_id"),)


def test_an_absent_parameter_takes_its_default() -> None:
    policy = loan.policy_of(with_default(type="bool", default=False))

    check = policy.check_ask(loan.request())
    given = policy.check_ask(loan.request({**loan.ASK, "a": True}))

    assert check.reasons == given.reasons == ()
    assert check.evaluated[0] == Evaluated("request.a", "default", False)
    assert given.evaluated[0] == Evaluated("request.a", "ask", True)
    assert (check.inputs["request.a"], given.inputs["request.a"]) == (False, True)


def test_a_template_shows_numbers_and_bytes_as_text() -> None:
    document = with_default(type="bytes", min_len=1, max_len=2)
    document["resource"] = {"template": "{request.a}/{request.term_months}/{request.country}"}
    policy = loan.policy_of(document)
    parameters = {**loan.ASK, "a": b"\x00\xff"}

    assert policy.check_ask(loan.request(parameters, resource="00ff/48/DE")).reasons == ()
    assert policy.check_ask(loan.request(parameters, resource="00FF/48/DE")).reasons == (
        reason(Code.RESOURCE_MISMATCH, "resource"),
    )


def test_a_resource_may_be_an_input_of_its_own() -> None:
    document = loan.changed(resource={"input": {"type": "enum", "values": ["a", "b"]}})
    document["rules"].append(loan.deny("b-closed", 'resource == "b"'))
    policy = loan.policy_of(document)

    assert policy.check_ask(loan.request(resource="b")).reasons == ()
    assert policy.check_ask(loan.request(resource="c")).reasons == (
        reason(Code.RESOURCE_MISMATCH, "resource"),
    )


def test_a_policy_without_parameters_but_its_key_is_checked() -> None:
    document = loan.changed(
        inputs=[loan.text("request.id")],
        resource={"template": "{request.id}"},
        variables=[],
        rules=[loan.allow("all", "true")],
    )
    document["key"]["parts"] = ["id"]
    document["constraints"]["values"] = []

    assert loan.policy_of(document).check_ask(loan.request({"id": "x"}, resource="x")).reasons == ()
    assert loan.policy_of(document).check_ask(loan.request({}, resource="x")).reasons == (
        reason(Code.PARAMETER_MISSING, "id"),
    )
