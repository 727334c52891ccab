"""What strangers, operators and brokers do to a gate's topics, and what the gate makes of it.

Each ends with the lines of `proof.md` for all that was committed before, and with the named cause
where a stop is required. A broker that is killed: `test_broker_kill.py`.
"""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import (
    AclOperation,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from gate.adapters.kafka import KafkaAdmin
from gate.config.topic_table import topic_specs
from gate.errors import PartitionStopped
from gate.ports import EventKind
from tests.builders import GATE, loan_partition
from tests.kafka.hostile import HostileWorld, check_lines_before
from tests.kafka.local import LocalKafka, stock_tool
from tests.kafka.place import wait_for
from tests.kafka.requests import activate, request_for
from tests.kafka.test_rights import denied
from tests.kafka.world import remove_topics
from tests.lines import check_lines
from tests.worlds import TOPICS, outcomes

GROUPS_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
BEFORE = ("a-0", "b-0", "c-0"), ("a-1", "b-1", "c-1")


@pytest.fixture
def world(kafka: LocalKafka) -> Iterator[HostileWorld]:
    """A gate of two partitions that has decided three requests in each."""
    made = HostileWorld(kafka.bootstrap)
    made.init()
    activate(made)
    for number, names in enumerate(BEFORE):
        made.submit_to(number, *names)
    made.run()
    yield made
    made.close()


def stop_of(world: HostileWorld) -> PartitionStopped:
    with pytest.raises(PartitionStopped) as stop:
        world.run()
    return stop.value


class Stranger:
    """A transactional producer that is not the gate's, with one transaction open."""

    def __init__(self, world: HostileWorld, topic: str, partition: int) -> None:
        servers = world.connection.bootstrap_servers
        self.producer = Producer(
            {"bootstrap.servers": servers, "transactional.id": "stranger", "log_level": 0}
        )
        self.producer.init_transactions(10)
        self.producer.begin_transaction()
        before = world.ends(topic, partition).high_watermark
        self.producer.produce(topic, b"a stranger's", b"key", partition)
        self.producer.flush(10)
        wait_for(lambda: world.ends(topic, partition).high_watermark > before)

    def end(self, how: str) -> None:
        getattr(self.producer, f"{how}_transaction")(10)


# --- transactions of others


@pytest.mark.slow
@pytest.mark.parametrize("how", ["abort", "commit"])
def test_an_open_transaction_on_the_input_is_waited_for(world: HostileWorld, how: str) -> None:
    """Nothing beyond it is decided, nothing is lost, other partitions go on."""
    stranger = Stranger(world, TOPICS.requests, 0)
    world.submit_to(0, "held")
    world.submit_to(1, "free")
    with world.running() as gate:
        world.wait_until_decided("free")
        time.sleep(1)
        held = world.decided()
        stranger.end(how)
        world.wait_until_decided("held")
    world.run()

    assert gate.error is None
    assert "held" not in held
    assert world.stops() == []
    check_lines(world)
    reasons = [reason for _, reason in outcomes(world.decisions())]
    assert reasons.count("approved") == 8
    assert len(reasons) == (9 if how == "commit" else 8)


def test_an_open_transaction_on_an_output_pins_its_partition_alone(
    world: HostileWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written there while it is open; past the deadline it is said; then it goes on."""
    monkeypatch.setattr("gate.runtime.loop.PIN_DEADLINE_MS", 1_500)
    monkeypatch.setattr("gate.runtime.loop.CHECK_INTERVAL_MS", 1_000)
    stranger = Stranger(world, TOPICS.approved, 0)
    before = world.outputs_of(0)
    world.submit_to(0, "held")
    with world.running() as gate:
        wait_for(world.stops, seconds=10)
        world.submit_to(1, "free")
        world.wait_until_decided("free")
        during = world.outputs_of(0)
        held = world.decided()
        stranger.end("abort")
        world.wait_until_decided("held")

    assert gate.error is None
    assert world.stops()[0] == (0, "pinned")
    assert {number for number, _ in world.stops()} == {0}
    assert during == before
    assert "held" not in held
    check_lines(world)


@pytest.mark.slow
def test_a_strangers_record_on_an_output_stops_its_partition(world: HostileWorld) -> None:
    check_lines(world)
    Stranger(world, TOPICS.approved, 0).end("commit")
    stop = stop_of(world)

    assert (stop.cause, stop.partition) == ("output_torn", 0)
    assert TOPICS.approved in stop.text


# --- rights


@pytest.mark.slow
def test_a_right_that_is_taken_away_holds_the_gate_up_until_it_is_back(
    world: HostileWorld,
) -> None:
    """It is said once, with its name, and nothing of it is lost."""
    with world.running() as gate:
        ready = len(world.telemetry.of(EventKind.PARTITION_READY))
        wait_for(lambda: len(world.telemetry.of(EventKind.PARTITION_READY)) >= ready + 2)
        with denied(world, ResourceType.TOPIC, AclOperation.WRITE, TOPICS.approved):
            world.submit_to(0, "held")
            wait_for(lambda: world.telemetry.of(EventKind.LOG_UNREACHABLE), seconds=10)
            time.sleep(2)
            held = world.decided()
        world.wait_until_decided("held")

    assert gate.error is None
    assert "held" not in held
    (told,) = world.telemetry.of(EventKind.LOG_UNREACHABLE)
    assert TOPICS.approved in str(told["why"])
    assert "WRITE on one it writes" in str(told["why"])
    assert world.stops() == []
    check_lines(world)


# --- producers with another partitioner


def test_records_of_librdkafkas_own_partitioner_are_misrouted_and_murmur2_ones_are_not(
    world: HostileWorld,
) -> None:
    servers = world.connection.bootstrap_servers
    for prefix, partitioner in (("crc", {}), ("mm", {"partitioner": "murmur2_random"})):
        producer = Producer({"bootstrap.servers": servers, "log_level": 0, **partitioner})
        for number in range(12):
            key, value = request_for(f"L-{prefix.upper()}-{number}", f"{prefix}-{number}")
            producer.produce(TOPICS.requests, value, key)
        assert producer.flush(10) == 0
    at_home = {
        f"crc-{number}"
        for records in world.inputs().values()
        for record in records
        for number in range(12)
        if record.key == f"L-CRC-{number}".encode()
        and record.partition == loan_partition(f"L-CRC-{number}", world.partitions)
    }
    world.run()

    check_lines(world)
    found = dict(outcomes(world.decisions()))
    assert 0 < len(at_home) < 12
    for number in range(12):
        assert found[f"mm-{number}"] == "approved"
        expected = "approved" if f"crc-{number}" in at_home else "misrouted"
        assert found[f"crc-{number}"] == expected


# --- topics


def make_again(world: HostileWorld, topic: str) -> None:
    servers = world.connection.bootstrap_servers
    remove_topics(servers, [topic])
    specs = [spec for spec in topic_specs(TOPICS, world.partitions) if spec.name == topic]
    KafkaAdmin(world.connection, replication_factor=1).create_topics(specs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "topic, cause",
    [
        (TOPICS.requests, "target_missing"),  # the brokers delete the offsets with the topic
        (TOPICS.changelog, "topic_changed"),
        (TOPICS.lineage, "target_missing"),
        (TOPICS.approved, "output_torn"),
    ],
)
def test_a_topic_made_again_between_two_runs_stops_the_gate(
    world: HostileWorld, topic: str, cause: str
) -> None:
    check_lines(world)
    make_again(world, topic)

    assert stop_of(world).cause == cause


@pytest.mark.slow
@pytest.mark.parametrize("topic", [TOPICS.requests, TOPICS.denied])
def test_a_topic_made_again_under_a_gate_stops_it(
    world: HostileWorld, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gate.runtime.watch.CHECK_INTERVAL_MS", 500)
    check_lines(world)
    with world.running() as gate:
        ready = 2 * len(BEFORE)
        wait_for(lambda: len(world.telemetry.of(EventKind.PARTITION_READY)) >= ready, seconds=10)
        time.sleep(1)
        make_again(world, topic)
        wait_for(lambda: gate.has_ended, seconds=20)

    assert isinstance(gate.error, PartitionStopped)
    causes = {cause for _, cause in world.stops()}
    assert "topic_changed" in causes or causes == {"lost"}


@pytest.mark.slow
def test_a_broker_that_no_longer_sets_the_time_stops_the_partition(world: HostileWorld) -> None:
    """Everything before the first such record is decided."""
    world.submit_to(0, "timed")
    entry = ConfigEntry(
        "message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPICS.requests)
    resource.add_incremental_config(entry)
    world.admin.incremental_alter_configs([resource])[resource].result(10)
    time.sleep(0.5)
    world.submit_to(0, "untimed")
    world.submit_to(1, "elsewhere")
    stops = {stop_of(world).cause}

    assert stops == {"append_time_off"}
    decided = check_lines_before(world, world.inputs())
    assert "timed" in world.decided()
    assert "untimed" not in world.decided()
    assert decided[0] == 1 + 3 + 1


@pytest.mark.slow
def test_requests_that_are_gone_before_they_were_read_stop_the_partition(
    world: HostileWorld,
) -> None:
    world.submit_to(0, "gone", "left")
    world.submit_to(1, "elsewhere")
    inputs = world.inputs()
    world.remove_below(TOPICS.requests, 0, inputs[0][-1].offset)
    stop = stop_of(world)

    assert (stop.cause, stop.partition) == ("lost", 0)
    assert check_lines_before(world, inputs) == {0: 4, 1: 5}
    assert "elsewhere" in world.decided()


# --- offsets


def groups_tool(world: HostileWorld, *arguments: str) -> None:
    world.leave_group()
    servers = world.connection.bootstrap_servers
    done = stock_tool(GROUPS_TOOL, "--bootstrap-server", servers, "--group", GATE, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stdout + done.stderr, done.stdout + done.stderr


@pytest.mark.slow
def test_offsets_that_were_deleted_stop_the_gate(world: HostileWorld) -> None:
    check_lines(world)
    groups_tool(world, "--delete-offsets", "--topic", TOPICS.requests)
    stop = stop_of(world)

    assert stop.cause == "target_missing"
    assert "init-lineage" in stop.text


@pytest.mark.slow
def test_offsets_that_the_stock_tool_set_back_stop_the_gate(world: HostileWorld) -> None:
    check_lines(world)
    groups_tool(world, "--reset-offsets", "--topic", TOPICS.requests, "--to-earliest", "--execute")
    stop = stop_of(world)

    assert stop.cause == "target_missing"
    assert "without a recovery target" in stop.text


def test_offsets_set_back_with_their_old_target_stop_the_gate(world: HostileWorld) -> None:
    """Somebody who restored an old copy of the group's offsets, targets and all."""
    old = world.reader().committed(GATE, TOPICS.requests, [0])[0]
    assert old is not None
    world.submit_to(0, "later")
    world.run()
    check_lines(world)
    world.leave_group()
    where = ClientPartition(TOPICS.requests, 0, old.next_offset, old.metadata)
    asked = ConsumerGroupTopicPartitions(GATE, [where])
    world.admin.alter_consumer_group_offsets([asked])[GATE].result(10)
    stop = stop_of(world)

    assert (stop.cause, stop.partition) == ("lineage_fork", 0)
    assert world.decided() == sorted([*BEFORE[0], *BEFORE[1], "later"])
