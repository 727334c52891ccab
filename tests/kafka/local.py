"""One real Kafka broker for all tests of a run, in a temporary folder.

`deploy/local-kafka` is found by path, as it is no package. The broker is shared: tests that use
it create topics, groups and transactional ids of their own, and do not kill it.
"""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "deploy" / "local-kafka"))

from kafka_jars import Missing, jvm, stock_tool  # noqa: E402
from local_kafka import LocalKafka  # noqa: E402

__all__ = ["LocalKafka", "Missing", "jvm", "kafka", "stock_tool"]

_started: list[LocalKafka] = []


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> LocalKafka:
    """The run's broker, also where several conftests import this fixture; stopped at the very end.

    Skips with the reason where Java or Maven is missing, or Maven cannot fetch Kafka.
    """
    if not _started:
        cluster = LocalKafka(tmp_path_factory.mktemp("kafka") / "cluster")
        try:
            cluster.start()
        except Missing as missing:
            pytest.skip(str(missing))
        request.config.add_cleanup(cluster.stop)
        _started.append(cluster)
    return _started[0]
