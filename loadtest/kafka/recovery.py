"""Restart and rebuild: from the start of the process to its first committed decision.

One gate fills the state once; then it is started again with the state as it was, and with the
state folder removed, so that it reads its changelog from the beginning. Before each start one
request is published. The audit comes last, over everything.
"""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from loadtest.kafka.gates import PARTITIONS, Bench, KafkaGate
from loadtest.kafka.process import COMMITTED, Watched
from loadtest.kafka.progress import say
from loadtest.kafka.results import Results, Run

_SEED = 1_000_000
"""Above every chunk's seed of the filling, so that no key comes twice."""
_TELL_S = 10.0
_AHEAD_MAX = 200_000
"""How many records may be published and not yet decided: bounds what the time limit cuts off."""


def measure(
    bench: Bench,
    results: Results,
    *,
    requests: int,
    fill_seconds_max: int,
    restarts: int,
    rebuilds: int,
) -> None:
    """Fill, start again, rebuild, audit. Raises `Failed`."""
    gate = KafkaGate(bench, "recovery", "open")
    filled = _fill(gate, requests, fill_seconds_max)
    keys = filled.approved()
    results.write("fill", [{**filled.rates().as_values(), "rss_max_mb": filled.rss_max_mb}])
    say(f"{keys} keys; largest resident size {filled.rss_max_mb:.0f} MB")
    decided = filled.committed_records()
    starts: dict[str, list[Run]] = {"restart": [], "rebuild": []}
    for number in range(restarts + rebuilds):
        figure = "restart" if number < restarts else "rebuild"
        if figure == "rebuild":
            shutil.rmtree(gate.config.state_folder)
        process = _start(gate, _SEED + number)
        decided += process.committed_records()
        run = _phases(process, keys if figure == "rebuild" else 0)
        starts[figure].append(run)
        keys += process.approved()
        said = ", ".join(f"{name} {value:.0f}" for name, value in run.items())
        say(f"{figure} {len(starts[figure])}: {said}")
    say("auditing")
    totals = gate.audit()
    expected = gate.published + PARTITIONS
    if (decided, totals["approved"]) != (expected, keys):
        raise filled.failure(f"expected {expected} records and {keys} keys, got {totals}")
    gate.remove()
    for figure, runs in starts.items():
        if runs:
            results.write(figure, runs, keys=keys, records=gate.published)


def _fill(gate: KafkaGate, requests: int, seconds_max: int) -> Watched:
    """Publish beside the running gate until all is published, or time is over, and decided."""
    say(f"filling the state with {requests} requests, at most {seconds_max} s")
    decided, deadline = 0, time.monotonic() + seconds_max

    def go_on(published: int) -> bool:
        while published - decided > _AHEAD_MAX and time.monotonic() < deadline:
            time.sleep(0.05)
        return time.monotonic() < deadline

    with gate.run() as process, ThreadPoolExecutor(1) as beside:
        filling = beside.submit(gate.fill, requests, 1, go_on)
        told_at = time.monotonic()
        for event in process.events():
            if event.name != COMMITTED:
                continue
            decided += event.fields["records"]
            if event.at - told_at > _TELL_S:
                told_at = event.at
                say(f"decided {decided} of {gate.published}")
            if filling.done() and decided == gate.published + PARTITIONS:
                process.process.terminate()
        filling.result()
        process.finish()
    return process


def _start(gate: KafkaGate, seed: int) -> Watched:
    """Start the gate on one new request, and let it end."""
    gate.publish(gate.requests(1, seed))
    with gate.run("--until-caught-up") as process:
        process.finish()
    return process


def _phases(process: Watched, keys: int) -> Run:
    """Return milliseconds from the process's start, and the rate of a rebuild."""

    def at_ms(name: str, last: bool) -> float:
        found = [event.at for event in process.seen if event.name == name]
        if not found:
            raise process.failure(f"expected an event `{name}`")
        return (found[-1 if last else 0] - process.started_at) * 1000

    assigned, ready = at_ms("partition_assigned", last=False), at_ms("partition_ready", last=True)
    run = {
        "started_ms": at_ms("gate_started", last=False),
        "assigned_ms": assigned,
        "ready_ms": ready,
        "committed_ms": at_ms(COMMITTED, last=False),
        "rss_max_mb": process.rss_max_mb,
    }
    return {**run, "keys_per_s": keys / (ready - assigned) * 1000} if keys else run
