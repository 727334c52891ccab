"""The whole line over a real broker: topics, first start, policy, requests, decisions."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from gate.errors import ConfigInvalid
from gate.ports import EventKind
from tests.builders import a_bundle, a_request, a_statement, an_activation
from tests.kafka.local import LocalKafka
from tests.kafka.world import KafkaWorld
from tests.lines import check_lines
from tests.worlds import outcomes

HOUR_MS = 3_600_000


@pytest.fixture
def world(kafka: LocalKafka) -> Iterator[KafkaWorld]:
    made = KafkaWorld(kafka.bootstrap, partitions=3)
    made.init()
    yield made
    made.close()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def activate(world: KafkaWorld) -> None:
    until_ms = now_ms() + HOUR_MS
    world.control(an_activation(a_bundle(), topic_id=world.topic_id, not_after_ms=until_ms))


def request_for(loan_id: str, request_id: str) -> tuple[bytes, bytes]:
    at_ms = now_ms()
    score = a_statement({"credit_score": 720}, issued_ms=at_ms - 60_000, expires_ms=at_ms + HOUR_MS)
    value = a_request(
        loan_id=loan_id, request_id=request_id, attestations=(score,), issued_at_ms=at_ms - 1_000
    )
    return loan_id.encode(), value


def test_requests_are_decided_once_and_every_line_holds(world: KafkaWorld) -> None:
    activate(world)
    world.submit(*(request_for(f"L-{n % 20}", f"r-{n}") for n in range(30)))
    world.submit((b"L-1", b"junk"), (None, None), partition=1)
    world.run()

    check_lines(world)
    reasons = Counter(reason for _, reason in outcomes(world.decisions()))
    assert reasons == {"approved": 20, "replayed": 10, "framing_unknown": 1, "empty": 1}
    assert not world.telemetry.of(EventKind.PARTITION_STOPPED)


def test_a_second_run_goes_on_where_the_first_ended(world: KafkaWorld) -> None:
    activate(world)
    world.submit(*(request_for(f"L-{n}", f"r-{n}") for n in range(5)))
    world.run()
    world.submit(*(request_for(f"L-{n}", f"again-{n}") for n in range(10)))
    world.run()

    check_lines(world)
    approved = [name for name, reason in outcomes(world.decisions()) if reason == "approved"]
    assert sorted(approved) == [
        *(f"again-{n}" for n in range(5, 10)),
        *(f"r-{n}" for n in range(5)),
    ]


def test_a_second_first_start_is_refused(world: KafkaWorld) -> None:
    with pytest.raises(ConfigInvalid, match="already"):
        world.init()
