"""A gate's work, to be judged by others: a policy in force, then requests in many transactions."""

from tests.builders import a_bundle, a_request, a_statement, an_activation
from tests.worlds import World

HOUR_MS = 3_600_000


def decide_requests(world: World, count: int, *, at_ms: int, batch_records_max: int) -> None:
    """Have a begun world decide requests on three scores, some twice, and what is no request."""
    until_ms = at_ms + HOUR_MS
    world.control(an_activation(a_bundle(), topic_id=world.topic_id, not_after_ms=until_ms))
    world.submit(*(_request(number, at_ms) for number in range(count)))
    for partition in range(world.partitions):
        world.submit((b"junk", b"junk"), (None, None), partition=partition)
    world.run(batch_records_max=batch_records_max)


def _request(number: int, at_ms: int) -> tuple[bytes, bytes]:
    loan_id = f"L-{number - number % 5}" if number % 5 == 1 else f"L-{number}"
    score = a_statement(
        {"credit_score": 600 + number % 3 * 100},
        issued_ms=at_ms - 60_000,
        expires_ms=at_ms + HOUR_MS,
    )
    value = a_request(
        loan_id=loan_id,
        request_id=f"r-{number}",
        attestations=(score,),
        issued_at_ms=at_ms - 1_000,
    )
    return loan_id.encode(), value
