"""The producer asks for its own renewal, and says why, before anything is begun."""

import time

import pytest
from confluent_kafka import KafkaError, Producer

from gate.adapters.kafka import Connection, KafkaOutput
from gate.errors import OutcomeUnknown

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def output() -> KafkaOutput:
    """One that was opened just now; `begin` asks nobody."""
    made = KafkaOutput(
        Connection(bootstrap_servers=NOWHERE), transactional_id="gate.gate-0", input_topic="in"
    )
    made._producer = Producer({"bootstrap.servers": NOWHERE, "log_level": 0})
    made._used_at = time.monotonic()
    return made


def cause_of(output: KafkaOutput) -> str:
    with pytest.raises(OutcomeUnknown, match="must be renewed") as unknown:
        output.begin()
    return unknown.value.cause


def test_an_hour_of_idleness(output: KafkaOutput) -> None:
    output._used_at -= 3_601
    assert cause_of(output) == "idle"


def test_a_broker_out_of_reach(output: KafkaOutput) -> None:
    output._reasons(KafkaError(KafkaError._TRANSPORT))
    assert cause_of(output) == "unreachable"


def test_a_slow_commit(output: KafkaOutput) -> None:
    output._renewal = "the last commit took 6000 ms"
    assert cause_of(output) == "slow_commit"
