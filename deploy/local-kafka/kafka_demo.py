"""`make demo-kafka`: the gate's demonstration on a broker of its own, then others read the topics.

Promises that the broker which it started is stopped at the end, also after Ctrl-C, SIGTERM or a
failure; one that ran before is used and left running. The broker's data and the demonstration's
folders stay in `--folder`, so that the topics can be looked at later.

    python kafka_demo.py [--folder F]      needs what `make setup` installs
    python kafka_demo.py --check           whether Java and Maven are there: standard library only

Exit codes: 0 done, 1 something did not come out as it must, 2 usage, 3 the folder does not fit,
4 something is missing or does not answer, 130 interrupted.
"""

# ruff: noqa: INP001 - a script, in a folder of its own

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kafka_jars import BUILD, HERE, LocalKafkaError, check_needs, say, stock_tool
from local_kafka import LocalKafka

ROOT = HERE.parents[1]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEMO_ENDS_WITHIN_S = 20
SHOWN_LINES_MAX, SHOWN_WIDTH = 20, 150
BYTES = "org.apache.kafka.common.serialization.BytesDeserializer"


class Failed(LocalKafkaError):
    """Something that is shown did not come out as it must."""

    code = 1


def main(line: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    parser = argparse.ArgumentParser(description="the gate's demonstration on a broker of its own")
    parser.add_argument("--folder", type=Path, default=BUILD / "demo-kafka")
    parser.add_argument("--check", action="store_true", help="only say whether Java is there")
    given = parser.parse_args(line)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        check_needs()
        if not given.check:
            show(given.folder)
    except LocalKafkaError as error:
        say(f"demo-kafka: {error}")
        return error.code
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    return 0


def show(folder: Path) -> None:
    """Show everything on the broker of a folder."""
    with broker(folder / "broker") as kafka:
        run = demonstration(folder, kafka.bootstrap)
        name = tomllib.loads((run / "gate.toml").read_text(encoding="utf-8"))["gate"]
        title("What Kafka's own tools see")
        look_with_kafkas_tools(kafka.bootstrap, name)
        title("One decision, read with an ordinary Avro reader and none of the gate's code")
        reader = [sys.executable, str(HERE / "read_decision.py")]
        read = subprocess.run([*reader, kafka.bootstrap, f"{name}.approved.v1"], check=False)
        if read.returncode:
            raise Failed(f"`{reader[1]}` ended with exit code {read.returncode}")
        told_next(kafka, run)


@contextlib.contextmanager
def broker(folder: Path) -> Iterator[LocalKafka]:
    """Give a running broker; stop it at the end if it was started here."""
    kafka = LocalKafka(folder)
    say("starting a broker of Apache Kafka")
    is_own = kafka.start()
    try:
        yield kafka
    finally:
        if is_own:
            for number in STOP_SIGNALS:  # a second Ctrl-C would leave the broker behind
                signal.signal(number, signal.SIG_IGN)
            kafka.stop()
            say("the broker is stopped")


def demonstration(folder: Path, servers: str) -> Path:
    """Run `gate demo` and return the folder of this run.

    It has a session of its own, so that an interruption reaches it and its gates once, from here.
    """
    command = [sys.executable, "-m", "gate", "demo", "--kafka", servers, "--folder", str(folder)]
    before = set(folder.glob("run-*"))
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        try:
            code = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(DEMO_ENDS_WITHIN_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if code:
        raise Failed(f"`gate demo --kafka {servers}` ended with exit code {code}")
    (made,) = set(folder.glob("run-*")) - before
    return made


def look_with_kafkas_tools(servers: str, name: str) -> None:
    """Print what the tools say of the topics and of the group of the gate `name`."""
    tools, approved = "org.apache.kafka.tools", f"{name}.approved.v1"
    bootstrap = ("--bootstrap-server", servers)
    shown("kafka-topics.sh", f"{tools}.TopicCommand", *bootstrap, "--describe", "--topic", approved)
    shown("kafka-get-offsets.sh", f"{tools}.GetOffsetShell", *bootstrap, "--topic", approved)
    print_line("(the markers of transactions have offsets too: there are fewer records)")
    shown(
        "kafka-console-consumer.sh",
        f"{tools}.consumer.ConsoleConsumer",
        *(*bootstrap, "--topic", approved, "--from-beginning", "--max-messages", "3"),
        *("--isolation-level", "read_committed", "--timeout-ms", "20000"),
        *("--formatter-property", "print.partition=true"),
        *("--formatter-property", "print.offset=true"),
        *("--formatter-property", "print.key=true"),
        *("--formatter-property", f"value.deserializer={BYTES}"),
    )
    groups = f"{tools}.consumer.group.ConsumerGroupCommand"
    shown("kafka-consumer-groups.sh", groups, *bootstrap, "--describe", "--group", name)


def shown(script: str, tool: str, *arguments: str) -> None:
    """Run a tool of Kafka and print its command, as its script is called, and what it said."""
    print_line(f"\n$ {' '.join((script, *arguments))}")
    try:
        done = stock_tool(tool, *arguments)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"`{script}` did not end within {late.timeout} s") from late
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not lines:
        raise Failed(f"`{script}` ended with exit code {done.returncode}: {done.stderr.strip()}")
    for text in lines[:SHOWN_LINES_MAX]:
        more = len(text) - SHOWN_WIDTH
        print_line(text if more <= 0 else f"{text[:SHOWN_WIDTH]}... and {more} characters")


def told_next(kafka: LocalKafka, run: Path) -> None:
    """Print how to go on."""
    title("Try next")
    start = f"{sys.executable} {HERE / 'local_kafka.py'} start --folder {kafka.folder}"
    for text in (
        "the broker of this demonstration is stopped now; with it running again, at the same",
        f'address, all that stands under "Try next" above can be tried in {run}',
        f"  {start}",
        'a broker that stays, for a gate of your own (README.md, "On Apache Kafka")',
        "  make kafka",
    ):
        print_line(text)


def title(text: str) -> None:
    """Print a title."""
    print_line(f"\n== {text}")


def print_line(text: str) -> None:
    """Print a line at once, in order with what other processes print."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
