"""`deploy/local-kafka`, run as its users run it; each test has a cluster of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.kafka.local import ROOT, LocalKafka, Missing, jvm, kafka, stock_tool

__all__ = ["kafka"]

pytestmark = pytest.mark.kafka
SCRIPT = ROOT / "deploy" / "local-kafka" / "local_kafka.py"


def _run(command: str, folder: Path, *options: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), command, "--folder", str(folder), *options],
        check=False,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=150,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module", autouse=True)
def _what_a_broker_needs() -> None:
    try:
        jvm()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a cluster, with spaces"
    yield folder
    for found in tmp_path.glob("*/cluster.json"):
        LocalKafka(found.parent).stop()


def _write(bootstrap: str, count: int, *, copies: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topic = NewTopic("kept", num_partitions=1, replication_factor=copies)
    admin.create_topics([topic], operation_timeout=20)["kept"].result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for number in range(count):
        producer.produce("kept", str(number))
    assert producer.flush(30) == 0


def _read(bootstrap: str) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition("kept", 0, 0)])
    values = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error() is not None:
            break
        if message is not None:
            values.append(message.value())
    consumer.close()
    return values


def _numbers(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def test_a_cluster_lives_from_start_over_a_kill_to_stop(folder: Path) -> None:
    code, out, _ = _run("start", folder)
    address = out.strip()
    assert code == 0
    _write(address, 5, copies=1)
    assert _run("start", folder) == (0, f"{address}\n", "already running\n")
    code, out, _ = _run("status", folder)
    assert (code, out.startswith(f"node 1 at {address} runs, process ")) == (0, True)

    assert _run("kill", folder, "--node", "1") == (0, "", "")
    assert _run("status", folder) == (1, f"node 1 at {address} does not run\n", "")
    began = time.monotonic()
    assert _run("restart", folder, "--node", "1") == (0, "", "")
    assert time.monotonic() - began < 10
    assert _read(address) == _numbers(5)

    done = stock_tool(
        "org.apache.kafka.tools.GetOffsetShell", "--bootstrap-server", address, "--topic", "kept"
    )
    assert (done.returncode, done.stdout) == (0, "kept:0:5\n")

    assert _run("stop", folder) == (0, "", "stopped\n")
    assert _run("stop", folder) == (0, "", "was not running\n")


@pytest.mark.slow
def test_three_nodes_lose_one_and_take_it_back(folder: Path) -> None:
    cluster = LocalKafka(folder)
    assert cluster.start(3) is True
    address = cluster.bootstrap
    _write(address, 5, copies=3)
    cluster.kill(2)
    assert [cluster.runs(node) for node in cluster.nodes()] == [True, False, True]
    assert _read(address) == _numbers(5)
    cluster.restart(2)
    topic = AdminClient({"bootstrap.servers": address}).list_topics("kept", 10).topics["kept"]
    assert sorted(topic.partitions[0].isrs) == [1, 2, 3]
    assert cluster.stop() == 3


def test_a_folder_with_something_else_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "letter.txt").write_text("dear", encoding="utf-8")
    refusal = (
        f"local-kafka: folder `{folder}` holds something else, such as `letter.txt`: name an empty"
        " or a new folder\n"
    )
    assert _run("start", folder) == (3, "", refusal)
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]


def test_a_folder_without_a_cluster_has_nothing_to_stop(folder: Path) -> None:
    refusal = f"local-kafka: no cluster in folder `{folder}`: name a folder that `start` made\n"
    for command in ("stop", "status"):
        assert _run(command, folder) == (3, "", refusal)
    for command in ("kill", "restart"):
        assert _run(command, folder, "--node", "1") == (3, "", refusal)
    assert not folder.exists()


def _plan(folder: Path, **changes: int) -> None:
    folder.mkdir()
    node = {"node": 1, "port": 20_000, "controller_port": 20_001, **changes}
    content = {"cluster": "AAAAAAAAAAAAAAAAAAAAAQ", "nodes": [node]}
    (folder / "cluster.json").write_text(json.dumps(content), encoding="utf-8")


def test_a_cluster_of_one_node_does_not_become_one_of_three(folder: Path) -> None:
    _plan(folder)
    code, _, said = _run("start", folder, "--nodes", "3")
    assert (code, "expected a cluster of 3, got one of 1" in said) == (3, True)


def test_a_node_that_is_not_there_is_refused(folder: Path) -> None:
    _plan(folder)
    code, _, said = _run("kill", folder, "--node", "2")
    assert (code, "expected a node from 1 to 1" in said, "got 2" in said) == (3, True, True)


def test_a_process_that_took_over_a_nodes_id_is_not_signalled(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        _plan(folder, pid=bystander.pid)
        assert _run("stop", folder) == (0, "", "was not running\n")
        assert bystander.poll() is None


def test_a_node_that_cannot_start_says_why(folder: Path) -> None:
    """Another listener holds the port: the cause is the broker's own, and nothing is left over."""
    cluster = LocalKafka(folder)
    cluster.start()
    _plan(folder.with_name("second"), port=cluster.nodes()[0].port)
    code, out, said = _run("start", folder.with_name("second"))
    assert (code, out) == (4, "")
    assert said.startswith("local-kafka: node 1 ended: `")
    assert "Address already in use" in said
    assert _run("status", folder.with_name("second"))[0] == 1


def _path_without(tmp_path: Path, *names: str) -> str:
    """A search path with everything needed here but the named programs."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in {"java", "mvn", "sh", "ps"} - set(names):
        (tools / name).symlink_to(shutil.which(name) or name)
    return str(tools)


def test_without_java_it_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    path = _path_without(tmp_path, "java")
    refusal = (
        "local-kafka: expected Java 17 or newer, found no `java`: install a Java runtime 17 or"
        " newer, or set JAVA_HOME\n"
    )
    assert _run("start", folder, PATH=path, JAVA_HOME="") == (4, "", refusal)


@pytest.mark.parametrize(
    "version",
    ['openjdk version "11.0.2" 2019-01-15', 'java version "1.8.0_292"', "no runtime present"],
)
def test_an_old_java_is_refused_by_its_own_words(
    folder: Path, tmp_path: Path, version: str
) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").write_text(f"#!/bin/sh\necho '{version}' >&2\n", encoding="utf-8")
    (home / "bin" / "java").chmod(0o755)
    code, _, said = _run("start", folder, JAVA_HOME=str(home))
    assert code == 4
    assert f"expected Java 17 or newer, got `{version}` of `{home}/bin/java`" in said


def _copied(tmp_path: Path) -> Path:
    """The script in a checkout that never fetched Kafka."""
    return Path(
        shutil.copytree(SCRIPT.parent, tmp_path / "checkout" / "deploy" / "local-kafka"),
        SCRIPT.name,
    )


@pytest.mark.parametrize(
    ("maven", "claim"),
    [
        (None, "expected Maven, found no `mvn`: install Maven 3 or newer"),
        ("echo '[ERROR] no such host'; exit 1", "could not resolve Kafka's jars: [ERROR] no such"),
    ],
)
def test_without_maven_it_says_what_is_missing(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    maven: str | None,
    claim: str,
) -> None:
    path = Path(_path_without(tmp_path, "mvn"))
    if maven is not None:
        (path / "mvn").write_text(f"#!/bin/sh\n{maven}\n", encoding="utf-8")
        (path / "mvn").chmod(0o755)
    monkeypatch.setattr(sys.modules[__name__], "SCRIPT", _copied(tmp_path))
    code, _, said = _run("start", folder, PATH=str(path))
    assert (code, claim in said) == (4, True)
    build = tmp_path / "checkout" / "build"
    assert not build.exists() or list(build.iterdir()) == []


def test_the_broker_of_the_run_is_one_and_answers(kafka: LocalKafka) -> None:
    assert [kafka.runs(node) for node in kafka.nodes()] == [True]
    metadata = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10)
    assert sorted(metadata.brokers) == [1]
    assert "__transaction_state" in metadata.topics


def test_the_broker_of_a_run_is_stopped_though_a_test_failed(tmp_path: Path) -> None:
    (tmp_path / "test_fails.py").write_text(
        "from tests.kafka.local import kafka\n"
        "def test_fails(kafka):\n"
        "    assert not kafka.folder, kafka.folder\n",
        encoding="utf-8",
    )
    options = ["-p", "no:cacheprovider", "--basetemp", str(tmp_path / "base"), "--rootdir", "."]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path / "test_fails.py")],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert "1 failed" in done.stdout
    (cluster,) = (tmp_path / "base").glob("kafka0/cluster")
    assert [node.pid for node in LocalKafka(cluster).nodes()] == [0]
