"""The whole line over a real broker: topics, first start, policy, requests, decisions."""

from collections import Counter
from collections.abc import Iterator

import pytest

from gate.errors import ConfigInvalid
from gate.ports import EventKind
from tests.kafka.local import LocalKafka
from tests.kafka.requests import activate, request_for
from tests.kafka.world import KafkaWorld
from tests.lines import check_lines
from tests.worlds import outcomes


@pytest.fixture
def world(kafka: LocalKafka) -> Iterator[KafkaWorld]:
    made = KafkaWorld(kafka.bootstrap, partitions=3)
    made.init()
    yield made
    made.close()


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
