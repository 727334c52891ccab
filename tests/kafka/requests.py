"""A policy in force and requests to be judged, at the time of the machine's clock."""

import time

from tests.builders import a_bundle, a_request, a_statement, an_activation
from tests.worlds import World

HOUR_MS = 3_600_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def activate(world: World) -> None:
    until_ms = now_ms() + HOUR_MS
    world.control(an_activation(a_bundle(), topic_id=world.topic_id, not_after_ms=until_ms))


def request_for(loan_id: str, request_id: str) -> tuple[bytes, bytes]:
    """Return key and value of a request that the policy approves."""
    at_ms = now_ms()
    score = a_statement({"credit_score": 720}, issued_ms=at_ms - 60_000, expires_ms=at_ms + HOUR_MS)
    value = a_request(
        loan_id=loan_id, request_id=request_id, attestations=(score,), issued_at_ms=at_ms - 1_000
    )
    return loan_id.encode(), value


def submit_some(world: World, count: int, *, prefix: str = "r") -> list[str]:
    """Publish requests for as many loans and return their ids."""
    names = [f"{prefix}-{number}" for number in range(count)]
    world.submit(*(request_for(f"L-{name.upper()}", name) for name in names))
    return names
