"""The broker under the load tests: one node of `deploy/local-kafka`, stopped whatever happens."""

import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "deploy" / "local-kafka"))

from kafka_jars import POM  # noqa: E402
from local_kafka import LocalKafka  # noqa: E402

_JVM = "-Xmx1g -Xms1g -XX:TieredStopAtLevel=4"
"""The launcher lets these win over what `LocalKafka` gives: a larger heap and the full compiler."""
_TOPICS_GONE_S = 30
_GROUPS_READY_S = 60


class Broker(NamedTuple):
    """A running broker, and what a result says about it."""

    bootstrap: str
    description: dict[str, object]

    def create_topics(self, names: Sequence[str], partitions: int) -> None:
        """Make plain topics of one replica."""
        admin = self._admin()  # it must outlive its answers
        made = admin.create_topics([NewTopic(name, partitions, 1) for name in names])
        for future in made.values():
            future.result(30)

    def remove_topics(self, prefix: str) -> None:
        """Delete every topic whose name begins so, and wait until none is listed."""
        admin = self._admin()
        deadline = time.monotonic() + _TOPICS_GONE_S
        while time.monotonic() < deadline:
            names = [name for name in admin.list_topics(timeout=10).topics if _is_of(name, prefix)]
            if not names:
                return
            for future in admin.delete_topics(names).values():
                try:
                    future.result(10)
                except KafkaException as error:
                    if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                        raise
            time.sleep(0.05)
        sys.exit(f"topics of `{prefix}` are still there after {_TOPICS_GONE_S} s")

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 3})


def _is_of(name: str, prefix: str) -> bool:
    """Quix Streams puts its changelogs under a name of its own with the group's in it."""
    return name.startswith((prefix, f"changelog__{prefix}"))


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """Start one node in `folder`; it is stopped at the end of the block, also by Ctrl-C."""
    cluster = LocalKafka(folder)
    before = os.environ.get("_JAVA_OPTIONS")
    os.environ["_JAVA_OPTIONS"] = _JVM
    try:
        try:
            cluster.start()
        finally:
            if before is None:
                del os.environ["_JAVA_OPTIONS"]
            else:
                os.environ["_JAVA_OPTIONS"] = before
        wake_groups(cluster.bootstrap)
        yield Broker(cluster.bootstrap, _description())
    finally:
        if (folder / "cluster.json").exists():
            cluster.stop()


def wake_groups(bootstrap: str) -> None:
    """Ask for a group once: the first question makes the broker create its topic of offsets."""
    asker = Consumer({"bootstrap.servers": bootstrap, "group.id": "first", "log_level": 2})
    deadline = time.monotonic() + _GROUPS_READY_S
    while True:
        try:
            asker.committed([TopicPartition("any", 0)], timeout=5)
            break
        except KafkaException:
            if time.monotonic() > deadline:
                raise
    asker.close()


def _description() -> dict[str, object]:
    version = POM.read_text(encoding="utf-8").partition("<kafka.version>")[2].partition("<")[0]
    return {
        "kafka": version,
        "nodes": 1,
        "replication": 1,
        "jvm": f"-XX:+UseSerialGC {_JVM}",
        "where": f"on the same {len(os.sched_getaffinity(0))} cores, {platform.system()}, loopback",
    }
