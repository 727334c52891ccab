"""A gate that has a name, and so topics, of one test alone; and a stranger's hand in them."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from gate.cli.main import main
from gate.core.topics import Topics, topics_of
from tests.kafka.local import LocalKafka
from tests.unit.cli.harness import Shell

PARTITIONS = 2


class OwnGate(Shell):
    """A person in the folder of a gate that has not begun."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], bootstrap: str, name: str
    ) -> None:
        super().__init__(folder, capsys)
        self.name = name
        self.bootstrap = bootstrap
        self.topics: Topics = topics_of(name)
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})

    def make(self, topic: str, partitions: int) -> None:
        """Make a topic with the cluster's settings, as somebody else would."""
        made = self.admin.create_topics([NewTopic(topic, partitions, 1)])
        made[topic].result(10)
        while topic not in self.admin.list_topics(timeout=10).topics:
            time.sleep(0.02)

    def set(self, topic: str, settings: Mapping[str, str]) -> None:
        """Set settings of a topic and wait until they can be read."""
        resource = ConfigResource(
            ConfigResource.Type.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                for key, value in settings.items()
            ],
        )
        self.admin.incremental_alter_configs([resource])[resource].result(10)
        while any(self.settings(topic)[key] != value for key, value in settings.items()):
            time.sleep(0.02)

    def settings(self, topic: str) -> dict[str, str]:
        """Read the settings of a topic by the client itself."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        found = self.admin.describe_configs([resource])[resource].result(10)
        return {entry.name: entry.value for entry in found.values()}


@pytest.fixture
def own_gate(
    kafka: LocalKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> OwnGate:
    """Give a gate without topics."""
    folder, name = tmp_path / "gate", f"own-{os.urandom(6).hex()}"
    assert main(["init", str(folder), "--kafka", kafka.bootstrap]) == 0
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GATE_GATE", name)
    monkeypatch.setenv("GATE_LOG__PARTITIONS", str(PARTITIONS))
    return OwnGate(folder, capsys, kafka.bootstrap, name)


@pytest.fixture
def with_topics(own_gate: OwnGate) -> OwnGate:
    """Give a gate whose topics are made."""
    assert own_gate("topics", "apply", "--yes").code == 0
    return own_gate
