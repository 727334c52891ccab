"""Several gate processes on one broker: workers share, and end together; one slot, one gate."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.kafka.local import LocalKafka
from tests.kafka.processes import KafkaProcessWorld
from tests.kafka.test_line import activate, request_for
from tests.lines import check_lines
from tests.processes import ENDS_WITHIN_S
from tests.worlds import TOPICS, outcomes

PARTITIONS = 4
LOANS = 60
STOPS_WITHIN_S = 20


@pytest.fixture
def world(kafka: LocalKafka, tmp_path: Path) -> Iterator[KafkaProcessWorld]:
    folder = tmp_path / "gate"
    made = KafkaProcessWorld(kafka.bootstrap, folder, partitions=PARTITIONS, batch_records_max=20)
    made.init()
    activate(made)
    yield made
    made.close()


class Running:
    """A started `gate run` and what it says; killed at the end of a `with` block."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        for line in self.process.stderr:
            self.lines.append(line)

    def events(self, name: str) -> list[dict[str, object]]:
        found = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [event for event in found if event["event"] == name]

    def workers(self) -> list[int]:
        """Process ids of the workers, in the order of their slots."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in children.read_text().split()] if children.exists() else []

    def ended(self, within_s: float = ENDS_WITHIN_S) -> int:
        code = self.process.wait(within_s)
        self._reading.join(5)
        return code

    @property
    def said(self) -> str:
        return "".join(self.lines)


def wait_for(is_so: Callable[[], bool], running: Running, *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, running.said[-3_000:]
        time.sleep(0.05)


def owners(running: Running) -> dict[int, str]:
    """Which slot made which partition ready last."""
    return {event["partition"]: event["slot"] for event in running.events("partition_ready")}


def shares(running: Running) -> list[int]:
    return sorted(Counter(owners(running).values()).values())


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody has."""
    for first in range(19_000, 20_000, count):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for number in range(first, first + count):
                held.enter_context(socket.create_server(("127.0.0.1", number)))
            return first
    raise AssertionError("no free ports")


def readiness(port: int) -> dict[str, Any]:
    with contextlib.suppress(OSError):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as page:
                return json.load(page)
        except urllib.error.HTTPError as refusal:
            return json.load(refusal)
    return {"ready": False}


def submit(world: KafkaProcessWorld, first: int, count: int) -> None:
    """Publish requests, each loan twice, in every partition."""
    names = [f"L-{number % LOANS}" for number in range(first, first + count)]
    world.submit(*(request_for(name, f"r-{first + n}") for n, name in enumerate(names)))


def decided(world: KafkaProcessWorld) -> int:
    return len(world.records(TOPICS.approved)) + len(world.records(TOPICS.denied))


def check_exactly_once(world: KafkaProcessWorld, count: int) -> None:
    check_lines(world)
    names = [name for name, _ in outcomes(world.decisions())]
    assert sorted(names) == sorted(f"r-{number}" for number in range(count))


def test_two_workers_share_the_partitions_and_stop_on_ctrl_c(world: KafkaProcessWorld) -> None:
    port = free_ports(2)
    with Running(world.start("--workers", "2", GATE_HEALTH__PORT=str(port))) as running:
        wait_for(lambda: shares(running) == [2, 2], running)
        submit(world, 0, 2 * LOANS)
        wait_for(lambda: decided(world) == 2 * LOANS, running)
        for number in range(2):
            wait_for(lambda n=number: readiness(port + n)["ready"], running)
            assert "insecure_dev" in readiness(port + number)["notes"][0]
        running.process.send_signal(signal.SIGINT)
        assert running.ended(STOPS_WITHIN_S) == 130
    committed = {event["slot"] for event in running.events("transaction_committed")}
    assert committed == {"gate-0-0", "gate-0-1"}
    stopped = [event["slot"] for event in running.events("gate_stopped")]
    assert sorted(stopped) == ["gate-0-0", "gate-0-1"]
    check_exactly_once(world, 2 * LOANS)


def test_workers_that_have_caught_up_all_end_with_0(world: KafkaProcessWorld) -> None:
    submit(world, 0, 2 * LOANS)
    code, said = world.finish("--workers", "2")
    assert code == 0, said
    check_exactly_once(world, 2 * LOANS)


def test_a_killed_worker_stops_the_others_and_a_restart_decides_the_rest(
    world: KafkaProcessWorld,
) -> None:
    with Running(world.start("--workers", "2")) as running:
        wait_for(lambda: shares(running) == [2, 2], running)
        submit(world, 0, LOANS)
        os.kill(running.workers()[1], signal.SIGKILL)
        assert running.ended(STOPS_WITHIN_S) == 70
    assert "worker `gate-0-1` ended by SIGKILL: stopping the others" in running.said
    assert [event["slot"] for event in running.events("gate_stopped")] == ["gate-0-0"]
    submit(world, LOANS, LOANS)
    code, said = world.finish("--workers", "2")
    assert code == 0, said
    check_exactly_once(world, 2 * LOANS)


def test_workers_end_when_their_starter_is_killed(world: KafkaProcessWorld) -> None:
    with Running(world.start("--workers", "2")) as running:
        wait_for(lambda: shares(running) == [2, 2], running)
        workers = running.workers()
        running.process.kill()
        assert running.ended() == -signal.SIGKILL
        wait_for(lambda: not any(map(_lives, workers)), running, within_s=STOPS_WITHIN_S)
    stopped = [event["slot"] for event in running.events("gate_stopped")]
    assert sorted(stopped) == ["gate-0-0", "gate-0-1"]


def _lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_second_gate_of_a_slot_on_the_same_machine_is_refused(world: KafkaProcessWorld) -> None:
    with Running(world.start()) as first:
        wait_for(lambda: len(owners(first)) == PARTITIONS, first)
        code, said = world.finish()
        assert (code, "slot_in_use" in said) == (5, True), said
        submit(world, 0, LOANS)
        wait_for(lambda: decided(world) == LOANS, first)
        first.process.send_signal(signal.SIGTERM)
        assert first.ended(STOPS_WITHIN_S) == 0
    check_exactly_once(world, LOANS)


@pytest.mark.parametrize(
    ("is_idle", "run"),
    [
        (False, 0),
        (True, 1),
        *(pytest.param(run % 2 == 0, run, marks=pytest.mark.slow) for run in range(2, 8)),
    ],
)
def test_of_two_machines_with_one_slot_the_newer_goes_on_and_the_older_ends(
    world: KafkaProcessWorld, tmp_path: Path, is_idle: bool, run: int
) -> None:
    submitted = LOANS
    submit(world, 0, LOANS)
    with Running(world.start(state=tmp_path / "older")) as older:
        wait_for(lambda: decided(world) == LOANS, older)
        with Running(world.start(state=tmp_path / "newer")) as newer:
            deadline = time.monotonic() + ENDS_WITHIN_S
            while older.process.poll() is None and time.monotonic() < deadline:
                if not is_idle:
                    submit(world, submitted, 10)
                    submitted += 10
                time.sleep(0.02 * (run + 1))
            assert older.ended(1) == 5
            assert "slot_in_use" in older.lines[-1]
            submit(world, submitted, LOANS)
            submitted += LOANS
            wait_for(lambda: decided(world) == submitted, newer)
            assert newer.process.poll() is None
            newer.process.send_signal(signal.SIGTERM)
            assert newer.ended(STOPS_WITHIN_S) == 0
    check_exactly_once(world, submitted)
