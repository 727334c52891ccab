"""Numbers, durations and times as people write them.

Each function takes the text of a scalar and returns the value or `None`; the caller names the
place and the expected form.
"""

import re
from datetime import UTC, date, datetime, timedelta

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_DURATION = re.compile(r"(0|[1-9][0-9]{0,14})(ms|s|m|h|d)", re.ASCII)
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,3}))?Z", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def whole(text: str) -> int | None:
    """Read a 64-bit integer: decimal digits, no plus sign, no leading zeros, no `-0`."""
    if not _WHOLE.fullmatch(text) or text == "-0":
        return None
    value = int(text)
    return value if INT64_MIN <= value <= INT64_MAX else None


def duration_ms(text: str) -> int | None:
    """Read a duration such as `500ms`, `60s`, `15m`, `24h`, `30d`."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    value = int(match[1]) * _UNIT_MS[match[2]]
    return value if value <= INT64_MAX else None


def moment_ms(text: str) -> int | None:
    """Read an RFC 3339 time in UTC such as `2026-01-01T00:00:00Z`; at most milliseconds."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int((match[2] or "0").ljust(3, "0"))


def is_date(text: str) -> bool:
    """Say whether the text is a date such as `2026-01-31`."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def moment_text(time_ms: int) -> str:
    """Return the time as `moment_ms` reads it; milliseconds only where there are some."""
    moment = _EPOCH + timedelta(milliseconds=time_ms)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{time_ms % 1000:03d}Z" if time_ms % 1000 else f"{text}Z"


def duration_text(value_ms: int) -> str:
    """Return the duration in the largest unit that gives a whole number."""
    for unit in ("d", "h", "m", "s"):
        if value_ms and value_ms % _UNIT_MS[unit] == 0:
            return f"{value_ms // _UNIT_MS[unit]}{unit}"
    return f"{value_ms}ms"
