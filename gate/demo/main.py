"""The demonstration: the whole line on real input, with everything that goes wrong in life.

Every step is what a person could do: commands are run as commands, the gate is a process, and what
the summary says is read from the topics or said by the audit. Nothing that was not made by this
run is touched: each run makes a folder of its own, and on Kafka a gate with a name of its own.
"""

import shutil
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from gate import wiring
from gate.audit.audit import audit, json_of
from gate.audit.topics_reading import Reached
from gate.config import Config, flat, load_config
from gate.core.topics import Topics
from gate.core.trust import TrustRoot
from gate.demo.applications import Application, real_applications
from gate.demo.planted import CASES, Setting
from gate.demo.processes import DemonstrationFailed, GateProcess, Processes, typed_command
from gate.demo.progress import Progress
from gate.demo.senders import ISSUER, Bureau, Desk
from gate.demo.sending import Place, Sent, assemble, publish
from gate.demo.speed import speed_of
from gate.demo.summary import (
    Audited,
    Evidence,
    Kill,
    Summary,
    Verdicts,
    count_first,
    count_second,
)
from gate.demo.verdicts import Verdict, count_decided, next_offsets, read_verdicts
from gate.errors import ConfigInvalid, Pending, Unreachable
from gate.ports import Clock, LogReader, TopicPartition

DEFAULT_FOLDER = Path("demo-out")
POLICY_FILE = "policies/boston-mortgage.policy.yaml"
_STEPS = 9
_RUNS_MAX = 10_000
_TRANSACTIONS_OF_KILLED_RUN = 100
_KILLED_AFTER_SHARE = 4  # a quarter is committed: some on either side, however busy the machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every step of one run uses."""

    folder: Path
    config: Config
    topics: Topics
    trust: TrustRoot
    clock: Clock
    processes: Processes
    progress: Progress
    reader: LogReader


def run_demo(
    folder: Path | None,
    *,
    stream: TextIO,
    kafka: str | None = None,
    applications_max: int | None = None,
) -> Summary:
    """Run the demonstration in a new folder `run-<n>` inside `folder`, by default `demo-out`.

    `kafka`: the brokers that shall have the topics (`host:port`), instead of a file. Progress goes
    to `stream`. `applications_max` shortens the input to its first rows. Raises `Unreachable` when
    no broker answers, before anything is made, and `DemonstrationFailed` when a step can not be
    shown; a claim that does not hold is named in the summary's `failures`.
    """
    clock = wiring.clock()
    if kafka is not None:
        _check_answers(kafka)
    started_ms = clock.monotonic_ms()
    progress = Progress(stream, step_count=_STEPS, clock=clock)
    applications = real_applications()[:applications_max]
    made = _new_folder(folder or DEFAULT_FOLDER)
    processes = Processes(made, made / "logs", clock, lambda typed: progress.tell(f"$ {typed}"))
    config, trust = _set_up(made, _init_options(kafka, clock.now_ms()), processes, progress)
    with wiring.open_reader(config) as reader:
        stage = Stage(
            folder=made,
            config=config,
            topics=wiring.topics(config),
            trust=trust,
            clock=clock,
            processes=processes,
            progress=progress,
            reader=reader,
        )
        return _show(stage, applications, started_ms)


def _show(stage: Stage, applications: Sequence[Application], started_ms: int) -> Summary:
    sent = _make_input(stage, applications)
    places = _send(stage, sent, "Sending it to the requests topic")
    log = _decide(stage, places)
    verdicts = _verdicts(stage)
    evidence = _prove(stage, sent, places, verdicts)
    again = _send(stage, sent, "Sending all of it again, byte by byte")
    kill = _kill_and_restart(stage, again)
    audited = _audit(stage)
    policy = _policy_name(verdicts)
    return Summary(
        folder=stage.folder,
        command=typed_command(),
        gate=stage.config.gate,
        kafka=stage.config.kafka.get("bootstrap.servers"),
        applications=len(applications),
        first=count_first(sent, places, verdicts, policy),
        second=count_second(sent, places, again, _verdicts(stage), kill),
        speed=speed_of(log),
        evidence=evidence,
        audited=audited,
        elapsed_ms=stage.clock.monotonic_ms() - started_ms,
    )


def _new_folder(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, _RUNS_MAX):
            made = parent / f"run-{number}"
            if not made.exists():
                made.mkdir()
                return made.absolute()
    except OSError as error:
        text = f"folder `{parent}` can not be used: {(error.strerror or '').lower()}"
        raise ConfigInvalid(f"{text}: name another one") from error
    raise ConfigInvalid(f"folder `{parent}` holds {_RUNS_MAX} runs: name another one")


def _check_answers(kafka: str) -> None:
    try:
        wiring.check_kafka_answers(kafka)
    except Unreachable as error:
        raise Unreachable(
            f"{error}\nstart a broker, or name one that runs: in the gate's source `make kafka` "
            "starts one, and `make demo-kafka` does all of it"
        ) from error


def _init_options(kafka: str | None, now_ms: int) -> tuple[str, ...]:
    """Return what `gate init` is told; names of topics on Kafka meet those of no earlier run."""
    return () if kafka is None else ("--kafka", kafka, "--gate", f"demo-{now_ms}")


def _set_up(
    folder: Path, options: Sequence[str], processes: Processes, progress: Progress
) -> tuple[Config, TrustRoot]:
    progress.step(f"Making keys, trust root and gate in {folder}")
    processes.run("init", str(folder), *options)
    (folder / "logs").mkdir()
    (folder / "evidence").mkdir()
    if options:
        processes.run("topics", "apply", "--yes")
    processes.run("init-lineage", "--from", "beginning")
    config = _configured(folder / "gate.toml")
    progress.step("Testing, signing and activating the lending policy")
    signers = [("--author-key", "author"), ("--key", "activator-1"), ("--key", "activator-2")]
    options = [part for option, name in signers for part in (option, f"keys/{name}.key")]
    processes.run("policy", "activate", POLICY_FILE, *options, "--wait", "0", "--yes")
    return config, wiring.first_root(config).root


def _configured(file: Path) -> Config:
    """Return the configuration exactly as the file has it, whatever the environment says."""
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    return load_config(file, {name: str(value) for name, value in flat(values)}).config


def _make_input(stage: Stage, applications: Sequence[Application]) -> list[Sent]:
    stage.progress.step("Signing applications and statements, and planting faults among them")
    config, keys = stage.config, stage.folder / "keys"
    issuer = wiring.signer(keys / f"{wiring.DEVELOPMENT_ISSUERS[ISSUER]}.key")
    wiring.create_key(keys / "stranger.key")
    setting = Setting(
        desk=Desk(
            audience=config.audience,
            signer=wiring.signer(keys / "requester.key"),
            bureau=Bureau(domain=config.domain, signer=issuer),
            now_ms=stage.clock.now_ms(),
        ),
        stranger=wiring.signer(keys / "stranger.key"),
        partition_count=config.log.partitions,
    )
    sent: list[Sent] = []
    with stage.progress.counting("signing", len(applications) + len(CASES)) as told:
        for item in assemble(setting, applications):
            sent.append(item)
            told(len(sent))
    return sent


def _send(stage: Stage, sent: Sequence[Sent], text: str) -> tuple[Place, ...]:
    stage.progress.step(f"{text}: {len(sent):,} records")
    with (
        wiring.open_publisher(stage.config) as publisher,
        stage.progress.counting("sending", len(sent)) as told,
    ):
        return publish(sent, topic=stage.topics.requests, publisher=publisher, told=told)


def _decide(stage: Stage, places: Sequence[Place]) -> Path:
    stage.progress.step("Running the gate until every record is decided")
    with stage.processes.gate("run-1", {}) as process:
        _watch(stage, process, places, lambda _: False)
        return process.log


def _watch(
    stage: Stage,
    process: GateProcess,
    places: Sequence[Place],
    is_enough: Callable[[int], bool],
) -> None:
    """Follow a gate until it ends, or until it has committed enough."""
    with stage.progress.counting("deciding", len(places)) as told:
        while process.is_running():
            try:
                decided = _count_passed(stage, places)
            except Pending:  # in the middle of a transaction of the gate: it goes on
                continue
            told(decided)
            if is_enough(decided):
                return


def _count_passed(stage: Stage, places: Sequence[Place]) -> int:
    """Return how many records the gate has passed, by its offsets. Raises `Pending`."""
    config = stage.config
    offsets = next_offsets(stage.reader, config.gate, stage.topics.requests, config.log.partitions)
    return count_decided(places, offsets)


def _count_answered(stage: Stage, places: Sequence[Place]) -> int:
    """Return how many records have a committed decision, whatever a killed gate left open."""
    verdicts = _verdicts(stage)
    return sum(place in verdicts for place in places)


def _verdicts(stage: Stage) -> Verdicts:
    return read_verdicts(stage.reader, stage.topics, stage.config.log.partitions)


def _policy_name(verdicts: Verdicts) -> str:
    """Return id and version of the policy that decided; the audit checks that it was in force."""
    for found in verdicts.values():
        decision = found[0].decision
        if decision.policy_id:
            return f"{decision.policy_id} {decision.policy_version}"
    raise DemonstrationFailed("no record was decided under a policy: the activation was refused")


def _prove(
    stage: Stage, sent: Sequence[Sent], places: Sequence[Place], verdicts: Verdicts
) -> Evidence:
    """Export one approval, and verify it where nothing but the file and a public key is."""
    stage.progress.step("Exporting evidence of one approval and verifying it in another process")
    item, verdict = _first_approval(sent, places, verdicts)
    decision = f"{verdict.log}#{verdict.leaf_index}"
    file = stage.folder / "evidence" / f"{item.application.id}.evidence.json"
    stage.processes.run("evidence", decision, "-o", str(file.relative_to(stage.folder)))
    public_key = wiring.signer(stage.config.keys.checkpoint).public_key().hex()
    prefix = f"{stage.config.audience}/"
    with tempfile.TemporaryDirectory(prefix="gate-verify-") as elsewhere:
        shutil.copy(file, elsewhere)
        said = stage.processes.run(
            "verify", file.name, "--key", public_key, "--log", prefix, folder=Path(elsewhere)
        )
    return Evidence(
        file=file,
        decision=decision,
        request_id=verdict.decision.request_id,
        public_key=public_key,
        log_prefix=prefix,
        result=said.splitlines()[0],
    )


def _first_approval(
    sent: Sequence[Sent], places: Sequence[Place], verdicts: Verdicts
) -> tuple[Sent, Verdict]:
    for item, place in zip(sent, places, strict=True):
        for verdict in verdicts.get(place, ()):
            if verdict.is_approved:
                return item, verdict
    raise DemonstrationFailed("the gate approved nothing: see logs/run-1.log")


def _kill_and_restart(stage: Stage, places: Sequence[Place]) -> Kill:
    """End the gate with SIGKILL between or inside small transactions, and start it again."""
    batch = max(len(places) // _TRANSACTIONS_OF_KILLED_RUN, 1)
    stage.progress.step("Killing the gate in mid-run (SIGKILL), and starting it again")
    settings = {"GATE_RUN__BATCH_RECORDS_MAX": str(batch)}
    with stage.processes.gate("run-2-killed", settings) as process:
        _watch(stage, process, places, lambda decided: decided * _KILLED_AFTER_SHARE >= len(places))
        process.kill()
    committed = _count_answered(stage, places)
    stage.progress.tell(f"killed with {committed:,} of {len(places):,} records committed")
    with stage.processes.gate("run-3-restarted", {}) as process:
        _watch(stage, process, places, lambda _: False)
    decided = _count_answered(stage, places)
    return Kill(batch, committed, decided - committed)


def _audit(stage: Stage) -> Audited:
    """Ask the independent monitor, which sees nothing but the topics and the trust root."""
    stage.progress.step("Auditing every topic from the first record on")
    where = [
        TopicPartition(topic, number)
        for topic in stage.topics
        for number in range(stage.config.log.partitions)
    ]
    total = sum(ends.high_watermark for ends in stage.reader.ends(where).values())
    reached: dict[TopicPartition, int] = {}
    with stage.progress.counting("auditing", total) as told:

        def follow(now: Reached) -> None:
            reached[now.partition] = now.offset
            told(sum(reached.values()))

        result = audit(stage.reader, stage.topics, trust=stage.trust, progress=follow)
    totals = json_of(result)["totals"]
    assert isinstance(totals, dict)
    return Audited(
        input_records=totals["input_records"],
        genesis=totals["genesis"],
        entries=totals["entries"],
        approved_keys=result.keys,
        keys_approved_twice=result.keys_approved_twice,
        findings=tuple(finding.text() for finding in result.findings),
    )
