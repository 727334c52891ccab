"""A real Apache Kafka on this machine, without containers: one node or three, in one folder.

For development and tests. `start` has the jars resolved (`kafka_jars`), picks free loopback ports,
formats the storage, and returns when the cluster answers and has initialised a transactional
producer, which creates the transaction log. What it started stands in the folder's `cluster.json`;
a process is signalled only while its command line names that folder. It promises nothing for
production: no encryption, no users, loopback only.

    python local_kafka.py start --folder F [--nodes 1|3]    prints the bootstrap address
    python local_kafka.py stop | status --folder F
    python local_kafka.py kill | restart --folder F --node N

Exit codes: 0 done, 1 not every node runs (`status`), 2 usage, 3 the folder does not fit,
4 something is missing or does not answer. Needs Java 17 or newer and, at first use, Maven; the
standard library alone, and confluent-kafka where it waits for the cluster.
"""

# ruff: noqa: INP001 - a script with a folder of its own, not a package

import argparse
import base64
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kafka_jars import (
    HERE,
    TOOL_TIMEOUT_S,
    FolderInvalid,
    LocalKafkaError,
    NotReady,
    jvm,
    say,
)

HEAP = {1: "512m", 3: "384m"}
READY_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20
# Below the ranges from which systems choose ports of outgoing connections: a client that retries
# a dead node's port from such a range can connect to itself and so keep the port from the node.
PORT_MIN, PORT_MAX = 20_000, 30_000


class Node(NamedTuple):
    """One node, broker and controller at once; `pid` is 0 when it was stopped or never ran."""

    node: int
    port: int
    controller_port: int
    pid: int = 0


class LocalKafka:
    """The cluster of one folder. Methods may be called from any process; one at a time changes it.

    The folder holds `cluster.json` (identity, ports, process ids) and `node-N/` with
    `server.properties`, `data/` and `broker.log`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._file = self.folder / "cluster.json"
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """The bootstrap address: every node, separated by commas."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes())

    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes as recorded; raises `FolderInvalid` where there is no cluster."""
        return self._load()[1]

    def runs(self, node: Node) -> bool:
        """Return whether the node's process is alive; another process of the same id is not it."""
        child = self._children.get(node.pid)
        if child is not None:  # its command line may be empty still
            return child.poll() is None
        return node.pid > 0 and self._mark(node.node) in _command_line(node.pid)

    def start(self, nodes: int = 1) -> bool:
        """Start what is not running and wait until ready; False when all of it ran already.

        Raises `FolderInvalid` for a folder with other content or another number of nodes,
        `Missing`, and `NotReady` (then what it started is stopped again).
        """
        with self._changing(create=True):
            jvm()
            if not self._file.exists():
                self._plan(nodes)
            _, found = self._load()
            if len(found) != nodes:
                raise FolderInvalid(
                    f"expected a cluster of {nodes}, got one of {len(found)} in `{self.folder}`:"
                    " name another folder, or as many nodes"
                )
            if all(map(self.runs, found)):
                return False
            self._configure(found)
            self._format()
            self._run([node for node in found if not self.runs(node)])
        return True

    def stop(self) -> int:
        """Stop every running node, with SIGKILL after a deadline; return how many were running."""
        with self._changing():
            return self._end(self.nodes(), signal.SIGTERM)

    def kill(self, number: int) -> None:
        """End one node with SIGKILL and return when it is gone; nothing when it is not running."""
        with self._changing():
            self._end([self._node(number)], signal.SIGKILL)

    def restart(self, number: int) -> None:
        """Stop one node where it runs, start it on its ports and data, wait until it is ready."""
        with self._changing():
            self._end([self._node(number)], signal.SIGTERM)
            self._run([self._node(number)])

    def log(self, number: int) -> Path:
        """Return the file with the output of one node."""
        return self.folder / f"node-{number}" / "broker.log"

    def _node(self, number: int) -> Node:
        for node in self.nodes():
            if node.node == number:
                return node
        raise FolderInvalid(
            f"expected a node from 1 to {len(self.nodes())} of `{self.folder}`, got {number}"
        )

    def _load(self) -> tuple[str, tuple[Node, ...]]:
        cure = "name a folder that `start` made"
        try:
            content = json.loads(self._file.read_bytes())
            return str(content["cluster"]), tuple(Node(**node) for node in content["nodes"])
        except FileNotFoundError:
            raise FolderInvalid(f"no cluster in folder `{self.folder}`: {cure}") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise FolderInvalid(f"cannot read `{self._file}`: {error}: {cure}") from error

    def _save(self, cluster: str, nodes: Sequence[Node]) -> None:
        content = {"cluster": cluster, "nodes": [node._asdict() for node in nodes]}
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        new.replace(self._file)

    def _record(self, number: int, pid: int) -> None:
        cluster, nodes = self._load()
        self._save(cluster, [n._replace(pid=pid) if n.node == number else n for n in nodes])

    @contextlib.contextmanager
    def _changing(self, *, create: bool = False) -> Iterator[None]:
        if create:
            self._claim()
        else:
            self._load()
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _claim(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            foreign = {path.name for path in self.folder.iterdir()} - {"lock", "cluster.new"}
        except OSError as error:
            raise FolderInvalid(
                f"cannot use folder `{self.folder}`: {error.strerror}: name another"
            ) from error
        if foreign and not self._file.exists():
            raise FolderInvalid(
                f"folder `{self.folder}` holds something else, such as `{min(foreign)}`: name an"
                " empty or a new folder"
            )

    def _plan(self, count: int) -> None:
        ports = _free_ports(2 * count)
        # 16 bytes in base64, as Kafka's identifiers are; a leading dash would read as an option.
        cluster = "A" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode()[1:22]
        self._save(cluster, [Node(n + 1, ports[2 * n], ports[2 * n + 1]) for n in range(count)])

    def _configure(self, nodes: Sequence[Node]) -> None:
        voters = ",".join(f"{n.node}@127.0.0.1:{n.controller_port}" for n in nodes)
        count = len(nodes)
        template = string.Template((HERE / "server.properties").read_text(encoding="utf-8"))
        for node in nodes:
            text = template.substitute(
                node._asdict(), voters=voters, replication=count, in_sync_min=(count + 1) // 2
            )
            home = self.log(node.node).parent
            home.mkdir(exist_ok=True)
            (home / "server.properties").write_text(text, encoding="utf-8")

    def _format(self) -> None:
        """Format each storage that is not; `StorageTool` leaves a formatted one alone."""
        cluster, nodes = self._load()
        options = ("-t", cluster, "-c", "server.properties", "--ignore-formatted")
        formats = []
        for node in nodes:
            home = self.log(node.node).parent
            if (home / "data" / "meta.properties").exists():
                continue
            with self.log(node.node).open("ab") as log:
                command = [*jvm(), "kafka.tools.StorageTool", "format", *options]
                done = subprocess.Popen(command, cwd=home, stdout=log, stderr=log)
            formats.append((node, done))
        try:
            for node, done in formats:
                if done.wait(TOOL_TIMEOUT_S):
                    raise NotReady(f"could not format node {node.node}: {self._last_words(node)}")
        except subprocess.TimeoutExpired as late:
            raise NotReady(f"formatting took more than {TOOL_TIMEOUT_S} s") from late
        finally:
            for _, done in formats:
                done.kill()

    def _run(self, nodes: Sequence[Node]) -> None:
        from kafka_ready import is_ready  # noqa: PLC0415 - the other commands need no library

        try:
            for node in nodes:
                self._launch(node)
            self._await_ready(nodes, is_ready)
        except BaseException:
            self._end([self._node(node.node) for node in nodes], signal.SIGTERM)
            raise

    def _launch(self, node: Node) -> None:
        heap = HEAP[len(self.nodes())]
        memory = (f"-Xmx{heap}", f"-Xms{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        with self.log(node.node).open("ab") as log:
            child = subprocess.Popen(
                [*jvm(*memory, self._mark(node.node)), "kafka.Kafka", "server.properties"],
                cwd=self.log(node.node).parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the one who waits, not for the node
            )
        self._children[child.pid] = child
        self._record(node.node, child.pid)

    def _mark(self, number: int) -> str:
        return f"-Dlocal.kafka.node={self.folder}#{number}"

    def _end(self, nodes: Sequence[Node], how: signal.Signals) -> int:
        running = [node for node in nodes if self.runs(node)]
        for node in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(node.pid, how)
        if not _wait(lambda: not any(map(self.runs, running)), STOP_TIMEOUT_S):
            for node in filter(self.runs, running):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.pid, signal.SIGKILL)
            _wait(lambda: not any(map(self.runs, running)), STOP_TIMEOUT_S)
        for node in nodes:
            self._children.pop(node.pid, None)
            self._record(node.node, 0)
        return len(running)

    def _await_ready(
        self, started: Sequence[Node], is_ready: Callable[[str, dict[int, str]], bool]
    ) -> None:
        numbers = {node.node for node in started}
        cluster, every = self._load()
        nodes = [node for node in every if node.node in numbers or self.runs(node)]
        addresses = {node.node: f"127.0.0.1:{node.port}" for node in nodes}

        def answers() -> bool:
            for node in nodes:
                if not self.runs(node):
                    raise NotReady(f"node {node.node} ended: {self._last_words(node)}")
            return is_ready(cluster, addresses)

        if not _wait(answers, READY_TIMEOUT_S):
            raise NotReady(
                f"the cluster did not answer within {READY_TIMEOUT_S} s: read"
                f" `{self.log(nodes[0].node)}`"
            )

    def _last_words(self, node: Node) -> str:
        lines = self.log(node.node).read_text(encoding="utf-8", errors="replace").splitlines()
        causes = [line for line in lines[-200:] if "Exception: " in line or "] ERROR " in line]
        return f"`{(causes or lines or ['nothing'])[-1]}`: read `{self.log(node.node)}`"


def _wait(condition: Callable[[], bool], timeout_s: int) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _command_line(pid: int) -> str:
    """Return a process's arguments, separated by spaces; empty for a dead one."""
    if Path("/proc/self/cmdline").exists():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return ""
        return b" ".join(arguments).decode(errors="replace")
    ps = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout


_tried = PORT_MIN + os.getpid() * 16 % (PORT_MAX - PORT_MIN)


def _free_ports(count: int) -> list[int]:
    """Return so many free loopback ports; within a process no port is given twice."""
    global _tried  # noqa: PLW0603 - a port of a killed node is free, but not for another cluster
    free: list[int] = []
    for _ in range(PORT_MAX - PORT_MIN):
        _tried = _tried + 1 if _tried < PORT_MAX else PORT_MIN
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", _tried))
            free.append(_tried)
        if len(free) == count:
            return free
    raise NotReady(f"found no {count} free loopback ports from {PORT_MIN} to {PORT_MAX}")


def _arguments(line: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="a real Apache Kafka on this machine, for development and tests"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("start", "start one node or three and print the bootstrap address"),
        ("stop", "stop every node"),
        ("status", "list the nodes; exit 1 when not all run"),
        ("kill", "end one node with SIGKILL"),
        ("restart", "stop one node where it runs, and start it"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--folder", type=Path, required=True, help="the cluster's folder")
        if name == "start":
            command.add_argument("--nodes", type=int, choices=sorted(HEAP), default=1)
        if name in {"kill", "restart"}:
            command.add_argument("--node", type=int, required=True, help="1, or 1 to 3")
    return parser.parse_args(line)


def _carry_out(given: argparse.Namespace) -> int:
    kafka = LocalKafka(given.folder)
    match given.command:
        case "start":
            if not kafka.start(given.nodes):
                say("already running")
            sys.stdout.write(f"{kafka.bootstrap}\n")
        case "stop":
            say("stopped" if kafka.stop() else "was not running")
        case "kill":
            kafka.kill(given.node)
        case "restart":
            kafka.restart(given.node)
        case _:
            states = [(node, kafka.runs(node)) for node in kafka.nodes()]
            for node, runs in states:
                how = f"runs, process {node.pid}" if runs else "does not run"
                sys.stdout.write(f"node {node.node} at 127.0.0.1:{node.port} {how}\n")
            return 0 if all(runs for _, runs in states) else 1
    return 0


def main(line: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; data to stdout, the rest to stderr."""
    try:
        return _carry_out(_arguments(line))
    except LocalKafkaError as error:
        say(f"local-kafka: {error}")
        return error.code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
