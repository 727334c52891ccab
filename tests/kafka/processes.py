"""Real gate processes on a real broker: `gate run` beside a test, with clean topics and group.

The gate's own session of 20 s can not be shortened from outside, and a static member stays in its
group when it ends. Whoever is left over from an earlier test is replaced by a member of the same
name with the shortest session, and the transaction that it may have left open is ended.
"""

import subprocess
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from gate.core.topics import transactional_id
from tests.builders import GATE
from tests.kafka.world import SESSION_TIMEOUT_MS, KafkaWorld
from tests.processes import ENDS_WITHIN_S, gate_process, write_configuration
from tests.worlds import TOPICS

_LEAVES_WITHIN_S = 30


class KafkaProcessWorld(KafkaWorld):
    """A world whose gates run as `gate run`, each in a process and a slot of its own."""

    def __init__(
        self,
        bootstrap: str,
        folder: Path,
        *,
        partitions: int = 3,
        batch_records_max: int = 5_000,
        more: str = "",
    ) -> None:
        """`more` are further sections of the configuration."""
        evict_members(bootstrap)
        super().__init__(bootstrap, partitions=partitions)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = write_configuration(
            folder,
            "insecure_dev = true\n"
            f'[log]\nkind = "kafka"\npartitions = {partitions}\n'
            f'[kafka]\n"bootstrap.servers" = "{bootstrap}"\n'
            f"{more}",
            batch_records_max=batch_records_max,
        )

    def start(
        self,
        *options: str,
        slot: str = "gate-0",
        state: Path | str = "state",
        **environment: str,
    ) -> subprocess.Popen[str]:
        """Start `gate run`; its events are lines on stderr. Another machine has another `state`."""
        return gate_process(
            self.config,
            "--slot",
            slot,
            *options,
            **{"GATE_STATE__FOLDER": str(state), **environment},
        )

    def finish(
        self, *options: str, slot: str = "gate-0", state: Path | str = "state", **environment: str
    ) -> tuple[int, str]:
        """Run until caught up; return exit code and stderr."""
        process = self.start("--until-caught-up", *options, slot=slot, state=state, **environment)
        _, errors = process.communicate(timeout=ENDS_WITHIN_S)
        return process.returncode, errors


def evict_members(bootstrap: str) -> None:
    """Empty the gate's group of members that run no more, and end their transactions."""
    for slot in _slots(bootstrap):
        _end_transaction(bootstrap, slot)
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": GATE,
                "group.instance.id": slot,
                "partition.assignment.strategy": "range",
                "enable.auto.commit": False,
                "session.timeout.ms": SESSION_TIMEOUT_MS,
                "heartbeat.interval.ms": SESSION_TIMEOUT_MS // 3,
                "log_level": 2,
            }
        )
        joined: list[int] = []
        consumer.subscribe(
            [TOPICS.requests], on_assign=lambda _, given, joined=joined: joined.append(len(given))
        )
        deadline = time.monotonic() + _LEAVES_WITHIN_S
        while not joined and time.monotonic() < deadline:
            consumer.poll(0.1)
        consumer.close()


def _slots(bootstrap: str) -> list[str]:
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})
    deadline = time.monotonic() + _LEAVES_WITHIN_S
    while True:
        try:
            found = client.describe_consumer_groups([GATE])[GATE].result(10)
        except KafkaException as error:
            if error.args[0].name() == "GROUP_ID_NOT_FOUND":
                return []
            if time.monotonic() > deadline:  # a broker just started loads its groups
                raise
            time.sleep(0.1)
        else:
            return [m.group_instance_id for m in found.members if m.group_instance_id]


def _end_transaction(bootstrap: str, slot: str) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": transactional_id(GATE, slot),
            "log_level": 2,
        }
    )
    producer.init_transactions(20)
