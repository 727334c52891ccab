"""The real input: mortgage applications of Boston, 1990 (`data/README.md`).

Promises that a row is read exactly or refused: ratios are integers in basis points, scores are
integers, flags are 0 or 1. Leaves to others: what is asked for a row, and what the answer is.
"""

import csv
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import NamedTuple

_FLAGS = frozenset({"0", "1"})


class Application(NamedTuple):
    """One row. Ratios are in basis points: 2210 is 22.1 %; scores: 1 is best."""

    number: int
    debt_to_income_bp: int
    housing_to_income_bp: int
    loan_to_value_bp: int
    consumer_credit_score: int
    mortgage_credit_score: int
    public_bad_record: bool
    denied_mortgage_insurance: bool
    self_employed: bool
    condominium: bool
    bank_denied: bool

    @property
    def id(self) -> str:
        """Name the application; record key and first part of the admission key."""
        return f"APP-{self.number:04}"

    @property
    def applicant(self) -> str:
        """Name the applicant, whom the data set does not name."""
        return f"applicant-{self.number:04}"


def real_applications() -> tuple[Application, ...]:
    """Return the 2,380 applications that come with the package, in their order."""
    text = (files("gate.demo") / "data" / "boston-hmda.csv").read_text(encoding="utf-8")
    return read_applications(text.splitlines())


def read_applications(lines: Iterable[str]) -> tuple[Application, ...]:
    """Return the applications of CSV lines with a header. Raises `ValueError` naming the line."""
    rows = csv.DictReader(lines, strict=True)
    return tuple(_application(row, line) for line, row in enumerate(rows, 2))


def _application(row: Mapping[str, str], line: int) -> Application:
    try:
        return Application(
            number=int(row["application"]),
            debt_to_income_bp=int(row["debt_to_income_bp"]),
            housing_to_income_bp=int(row["housing_to_income_bp"]),
            loan_to_value_bp=int(row["loan_to_value_bp"]),
            consumer_credit_score=int(row["consumer_credit_score"]),
            mortgage_credit_score=int(row["mortgage_credit_score"]),
            public_bad_record=_flag(row["public_bad_record"]),
            denied_mortgage_insurance=_flag(row["denied_mortgage_insurance"]),
            self_employed=_flag(row["self_employed"]),
            condominium=_flag(row["condominium"]),
            bank_denied=_flag(row["bank_denied"]),
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"applications, line {line}: {fault}") from fault


def _flag(text: str) -> bool:
    if text not in _FLAGS:
        raise ValueError(f"expected a flag 0 or 1, got `{text}`")
    return text == "1"
