"""The real input is read exactly, or refused with its line."""

import pytest

from gate.demo.applications import Application, read_applications, real_applications

HEADER = (
    "application,debt_to_income_bp,housing_to_income_bp,loan_to_value_bp,consumer_credit_score,"
    "mortgage_credit_score,public_bad_record,denied_mortgage_insurance,self_employed,condominium,"
    "bank_denied"
)


def test_all_2380_applications_come_with_the_package() -> None:
    applications = real_applications()
    assert len(applications) == 2380
    assert [application.number for application in applications] == list(range(1, 2381))
    assert sum(application.bank_denied for application in applications) == 285


def test_a_row_is_read_exactly() -> None:
    assert real_applications()[2] == Application(
        number=3,
        debt_to_income_bp=3720,
        housing_to_income_bp=2480,
        loan_to_value_bp=9204,
        consumer_credit_score=1,
        mortgage_credit_score=2,
        public_bad_record=False,
        denied_mortgage_insurance=False,
        self_employed=False,
        condominium=False,
        bank_denied=False,
    )


def test_an_application_has_a_name_of_fixed_form() -> None:
    application = real_applications()[2]
    assert (application.id, application.applicant) == ("APP-0003", "applicant-0003")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("1,22.1,2210,8000,5,2,0,0,0,0,0", "invalid literal for int() with base 10: '22.1'"),
        ("1,2210,2210,8000,5,2,2,0,0,0,0", "expected a flag 0 or 1, got `2`"),
        ("1,2210,2210,8000,5,2,0,0,0,0", "expected a flag 0 or 1, got `None`"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(row: str, fault: str) -> None:
    good = "1,2210,2210,8000,5,2,0,0,0,0,0"
    with pytest.raises(ValueError) as refused:
        read_applications([HEADER, good, row])
    assert str(refused.value) == f"applications, line 3: {fault}"


def test_a_missing_column_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2: 'bank_denied'"):
        read_applications([HEADER.removesuffix(",bank_denied"), "1,2210,2210,8000,5,2,0,0,0,0"])
