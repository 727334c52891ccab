"""Kafka's jars and the Java that runs them: resolved once with Maven, then without a network.

Promises that a folder of jars is complete and belongs to the `pom.xml` beside this file. Leaves
nodes and their folders to `local_kafka`. Standard library only.
"""

# ruff: noqa: INP001 - a script's module, in the script's folder

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
POM = HERE / "pom.xml"
JAVA_MIN = 17
RESOLVE_TIMEOUT_S = 600
TOOL_TIMEOUT_S = 60


class LocalKafkaError(Exception):
    """What `str()` says happened; `code` is the exit code."""

    code = 4


class FolderInvalid(LocalKafkaError):
    """The folder does not hold what the command needs; nothing was changed."""

    code = 3


class Missing(LocalKafkaError):
    """Something must be installed or reached first; the message says what."""


class NotReady(LocalKafkaError):
    """A node ended, or the cluster did not answer before the deadline."""


def java() -> str:
    """Return the Java to run, `JAVA_HOME` first as Kafka's scripts do; raises `Missing`."""
    cure = f"install a Java runtime {JAVA_MIN} or newer, or set JAVA_HOME"
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else "java"
    found = shutil.which(command)
    if found is None:
        raise Missing(f"expected Java {JAVA_MIN} or newer, found no `{command}`: {cure}")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(?:1\.)?(\d+)', said)
    if version is None or int(version[1]) < JAVA_MIN:
        first = (said.strip().splitlines() or ["no version"])[0]
        raise Missing(f"expected Java {JAVA_MIN} or newer, got `{first}` of `{found}`: {cure}")
    return found


def check_needs(build: Path = BUILD) -> None:
    """Raise `Missing` unless Java is here, and the jars or the Maven that fetches them."""
    java()
    if not _resolved(_libs(build), POM.read_bytes()):
        _maven()


def jars(build: Path = BUILD) -> Path:
    """Return the folder of Kafka's jars, resolving them with Maven when `pom.xml` is new.

    A folder counts only when it holds the same `pom.xml`, which is written last, before the
    folder gets its name. Raises `Missing` when Maven is not there or cannot resolve.
    """
    pom, libs = POM.read_bytes(), _libs(build)
    if _resolved(libs, pom):
        return libs
    maven = _maven()
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-libs-", dir=build) as partial:
        _resolve(maven, Path(partial, "libs"))
        Path(partial, "libs", "pom.xml").write_bytes(pom)
        with contextlib.suppress(FileNotFoundError):
            libs.rename(Path(partial, "outdated"))
        # Where another process was faster, its folder is as good.
        with contextlib.suppress(OSError):
            Path(partial, "libs").rename(libs)
    if not _resolved(libs, pom):
        raise Missing(f"could not write `{libs}`")
    return libs


def _libs(build: Path) -> Path:
    return build / f"kafka-libs-{_version()}"


def _version() -> str:
    return POM.read_text(encoding="utf-8").partition("<kafka.version>")[2].partition("<")[0]


def _maven() -> str:
    found = shutil.which("mvn")
    if found is None:
        raise Missing(
            "expected Maven, found no `mvn`: install Maven 3 or newer; it is needed once, to fetch"
            f" Kafka {_version()}"
        )
    return found


def _resolved(libs: Path, pom: bytes) -> bool:
    marker = libs / "pom.xml"
    return marker.is_file() and marker.read_bytes() == pom


def _resolve(maven: str, into: Path) -> None:
    say("resolving the jars of Kafka with Maven, once")
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
    command += [f"-DoutputDirectory={into}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=RESOLVE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as late:
        raise Missing(
            f"Maven did not resolve Kafka's jars within {RESOLVE_TIMEOUT_S} s: is its repository"
            " within reach?"
        ) from late
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
        raise Missing(
            "Maven could not resolve Kafka's jars: " + (errors or [done.stderr.strip()])[0]
        )


def stock_tool(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a tool of Kafka's own by its class, such as `org.apache.kafka.tools.GetOffsetShell`."""
    return subprocess.run(
        [*jvm("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"), name, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=TOOL_TIMEOUT_S,
    )


def jvm(*options: str) -> list[str]:
    """Return the command that a main class and its arguments complete; raises `Missing`."""
    log4j = f"-Dlog4j.configurationFile={HERE / 'log4j2.xml'}"
    return [java(), *options, log4j, "-cp", f"{jars()}/*"]


def say(text: str) -> None:
    """Tell people something, on stderr."""
    sys.stderr.write(f"{text}\n")
