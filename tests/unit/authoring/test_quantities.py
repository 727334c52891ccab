"""Numbers, durations, times: one spelling each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.authoring.quantities import (
    INT64_MAX,
    INT64_MIN,
    duration_ms,
    duration_text,
    is_date,
    moment_ms,
    moment_text,
    whole,
)


@given(st.integers(INT64_MIN, INT64_MAX))
def test_a_number_reads_back(number: int) -> None:
    assert whole(str(number)) == number


@pytest.mark.parametrize(
    "text", ["", "+1", "01", "-0", "1.0", "1e3", "1_0", " 1", "٣", str(INT64_MAX + 1), "9" * 5000]
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert whole(text) is None


@pytest.mark.parametrize(
    ("text", "value_ms"),
    [
        ("0s", 0),
        ("500ms", 500),
        ("60s", 60000),
        ("15m", 900000),
        ("24h", 86400000),
        ("30d", 2592000000),
    ],
)
def test_a_duration_is_milliseconds(text: str, value_ms: int) -> None:
    assert duration_ms(text) == value_ms


@pytest.mark.parametrize("text", ["", "15", "m", "1.5h", "-1s", "1 h", "1H", "2w", "01s", "1h30m"])
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration_ms(text) is None


@given(st.integers(0, 10**12))
def test_a_duration_reads_back(value_ms: int) -> None:
    assert duration_ms(duration_text(value_ms)) == value_ms


@pytest.mark.parametrize(
    ("text", "value_ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-06-01T12:00:00Z", 1_780_315_200_000),
        ("2026-06-01T12:00:00.5Z", 1_780_315_200_500),
        ("2026-06-01T12:00:00.025Z", 1_780_315_200_025),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_a_time_is_milliseconds(text: str, value_ms: int) -> None:
    assert moment_ms(text) == value_ms


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-01",
        "2026-06-01T12:00:00",
        "2026-06-01T12:00:00+00:00",
        "2026-06-01 12:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-06-01T24:00:00Z",
        "2026-06-01T12:00:00.0001Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert moment_ms(text) is None


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_reads_back(time_ms: int) -> None:
    assert moment_ms(moment_text(time_ms)) == time_ms


def test_a_date_has_one_spelling() -> None:
    assert is_date("2026-01-31")
    assert not is_date("20260131")
    assert not is_date("2026-02-30")
    assert not is_date("2026-W05-6")
