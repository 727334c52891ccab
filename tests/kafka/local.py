"""Real Kafka brokers in temporary folders: one for all tests of a run, others for one test each.

`deploy/local-kafka` is found by path, as it is no package. The run's broker is shared: tests that
use it create topics, groups and transactional ids of their own, and do not kill it. It asks an
authorizer that allows everything until a test denies something.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "deploy" / "local-kafka"))

from kafka_jars import Missing, jvm, stock_tool  # noqa: E402
from local_kafka import LocalKafka, Node  # noqa: E402

__all__ = ["LocalKafka", "Missing", "Node", "cluster", "jvm", "kafka", "stock_tool"]

AUTHORIZER = (
    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
    "allow.everyone.if.no.acl.found=true\n"
)

_started: list[LocalKafka] = []


class AskingKafka(LocalKafka):
    """A cluster whose nodes ask an authorizer; everybody is `User:ANONYMOUS`, nodes included."""

    def _configure(self, nodes: Sequence[Node]) -> None:
        super()._configure(nodes)
        for node in nodes:
            with (self.log(node.node).parent / "server.properties").open("a") as properties:
                properties.write(AUTHORIZER)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> LocalKafka:
    """The run's broker, also where several conftests import this fixture; stopped at the very end.

    Skips with the reason where Java or Maven is missing, or Maven cannot fetch Kafka.
    """
    if not _started:
        cluster = AskingKafka(tmp_path_factory.mktemp("kafka") / "cluster")
        try:
            cluster.start()
        except Missing as missing:
            pytest.skip(str(missing))
        request.config.add_cleanup(cluster.stop)
        _started.append(cluster)
    return _started[0]


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalKafka]:
    """A cluster of the test's own, with as many nodes as its parameter says; it may harm it."""
    made = LocalKafka(tmp_path / "cluster")
    try:
        made.start(request.param)
    except Missing as missing:
        pytest.skip(str(missing))
    yield made
    for node in made.nodes():
        if made.runs(node):
            os.kill(node.pid, signal.SIGCONT)
    made.stop()
