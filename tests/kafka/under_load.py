"""A gate under load: requests keep coming while its processes die, and at the end all is counted.

`Load` publishes from a thread of its own, `Running` follows a gate's events, and `check_end` is the
audit of `proof.md` §1: (a) to (d) by the lines of the tests, and again by the gate's own tools.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gate.adapters.kafka import KafkaPublisher, KafkaReader
from gate.core.topics import control_transactional_id
from gate.errors import GateError
from gate.ports import OutputRecord, TopicPartition
from tests.builders import (
    GATE,
    a_bundle,
    a_request,
    an_activation,
    digest_of,
    loan_partition,
)
from tests.kafka.local import ROOT
from tests.kafka.processes import KafkaProcessWorld, evict_members
from tests.lines import check_lines
from tests.simulation.gate_world import OPEN_POLICY
from tests.worlds import TOPICS

HOUR_MS = 3_600_000
SESSION_S = 20
TRANSACTION_S = 60
SECOND_POLICY = (
    OPEN_POLICY.replace("version: 1.0.0", "version: 1.0.1")
    .replace("sequence: 1", "sequence: 2")
    .replace("> 50000", "> 40000")
)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def activate(world: KafkaProcessWorld, *, sequence: int = 1) -> None:
    """Put the first policy in force, or the second in its place."""
    first = a_bundle(source=OPEN_POLICY)
    previous = None if sequence == 1 else digest_of(first)
    bundle = first if sequence == 1 else a_bundle(source=SECOND_POLICY, previous=previous)
    record = an_activation(
        bundle,
        topic_id=world.topic_id,
        previous=previous,
        activation_sequence=sequence,
        not_after_ms=now_ms() + HOUR_MS,
    )
    # A publisher of its own: idle ones must be renewed when a broker was away.
    publisher = KafkaPublisher(world.connection)
    publisher.publish(
        [OutputRecord(TOPICS.requests, n, None, record) for n in range(world.partitions)],
        transactional_id=control_transactional_id(GATE),
    )
    publisher.close()


class Load:
    """Publishes requests to every partition until it ends; about a third repeat an earlier key."""

    def __init__(self, world: KafkaProcessWorld, *, seed: int = 0, per_second: int = 300) -> None:
        self._world = world
        self._draw = random.Random(seed)
        self._per_second = per_second
        self._publisher = KafkaPublisher(world.connection)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._publish)
        self.sent = 0
        self.refused = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._publisher.close()

    def _publish(self) -> None:
        interval_s = 0.05
        count = max(1, int(self._per_second * interval_s))
        while not self._is_over.wait(interval_s):
            records = [self._record() for _ in range(count)]
            try:
                self._publisher.publish(records)
            except GateError:  # a broker is away: what came through will be decided
                self.refused += 1

    def _record(self) -> OutputRecord:
        draw, self.sent = self._draw, self.sent + 1
        loan = f"L-{draw.randrange(max(self.sent, 10) * 2)}"
        value = a_request(
            loan_id=loan,
            loan_amount=draw.choice((100, 45_000, 60_000)),
            score=None,
            signer=None,
            request_id=f"r-{self.sent}",
            issued_at_ms=now_ms(),
        )
        partition = loan_partition(loan, self._world.partitions)
        return OutputRecord(TOPICS.requests, partition, loan.encode(), value)


class Running:
    """A gate process, and its events with the time of each since the process's start."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.text: list[str] = []
        self._started_at = time.monotonic()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            at = time.monotonic() - self._started_at
            self.text.append(line)
            if line.startswith("{"):
                self.events.append((at, json.loads(line)))

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._started_at

    def of(self, name: str, *, since_s: float = 0.0) -> list[tuple[float, dict[str, Any]]]:
        return [
            item for item in list(self.events) if item[1]["event"] == name and item[0] > since_s
        ]

    def first(self, name: str, *, since_s: float = 0.0, within_s: float = 60.0) -> float:
        """Wait for an event and return when it came; fails with what the process said."""
        await_that(
            lambda: self.of(name, since_s=since_s) or self.process.poll() is not None,
            within_s,
            lambda: f"no {name} in {within_s} s: {self.last_words()}",
        )
        self._settle()
        found = self.of(name, since_s=since_s)
        assert found, f"ended with {self.process.returncode} before {name}: {self.last_words()}"
        return found[0][0]

    def ended(self, *, within_s: float = 60.0) -> int:
        """Wait for the end of the process and return its exit code."""
        code = self.process.wait(within_s)
        self._thread.join()
        return code

    def arm(self) -> None:
        """Let a process of `start_dying` come to its point now."""
        self.process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        self.process.kill()
        self.ended()

    def stop(self) -> int:
        self.process.terminate()
        return self.ended(within_s=15)

    def is_stopped(self) -> bool:
        """Say whether a SIGSTOP holds the process."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] == "T"

    def await_stopped(self) -> None:
        await_that(self.is_stopped, 60, lambda: f"not at its point: {self.last_words()}")

    def go_on(self) -> float:
        """End a SIGSTOP, and return when."""
        self.process.send_signal(signal.SIGCONT)
        return self.age_s

    def last_words(self) -> str:
        return "".join(self.text[-12:])

    def _settle(self) -> None:
        if self.process.poll() is not None:
            self._thread.join()


def await_that(condition: Callable[[], object], within_s: float, why: Callable[[], str]) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


def start_dying(
    world: KafkaProcessWorld,
    at: str,
    *options: str,
    visit: int = 0,
    by: signal.Signals = signal.SIGKILL,
) -> Running:
    """Start `gate run` in a process that dies, or stops, at a point of `dying_gate`.

    `visit` 0 waits for `Running.arm`.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.kafka.dying_gate",
            *("run", "--config", str(world.config), *options),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DIES_AT": at,
            "DIES_ON": str(visit),
            "DIES_BY": by.name,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Running(process)


@contextmanager
def ended_at_last(*gates: Running) -> Iterator[None]:
    """Leave no process behind, whatever fails."""
    try:
        yield
    finally:
        for gate in gates:
            gate.process.kill()
            gate.ended()


def undecided(world: KafkaProcessWorld) -> int:
    """Return how many input records lie beyond the committed offsets, in all partitions."""
    reader, numbers = world.reader(), range(world.partitions)
    committed = reader.committed(GATE, TOPICS.requests, list(numbers))
    left = 0
    for number, commit in committed.items():
        where = TopicPartition(TOPICS.requests, number)
        offset = reader.ends([where])[where].first if commit is None else commit.next_offset
        left += len(reader.read(where, offset=offset, records_max=10_000).records)
    return left


def check_end(world: KafkaProcessWorld) -> int:
    """Have the rest decided, and check (a) to (d); return how many decisions there are.

    Slots that ended hold their partitions for a session: the last gate is to have them all.
    """
    evict_members(world.connection.bootstrap_servers)
    fresh = KafkaReader(world.connection)  # one from before a broker's restart may not answer
    await_that(lambda: fresh.group_is_empty(GATE), 60, lambda: "the group has members")
    fresh.close()
    last = Running(world.start("--until-caught-up"))
    with ended_at_last(last):
        assert last.ended(within_s=120) == 0, last.last_words()
    assert undecided(world) == 0
    check_lines(world)
    for command in ("audit", "replay"):
        done = _tool(command, world.config)
        assert done.returncode == 0, f"gate {command}: {done.stdout}{done.stderr}"
    return len(world.records(TOPICS.approved)) + len(world.records(TOPICS.denied))


def _tool(command: str, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gate", command, "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
