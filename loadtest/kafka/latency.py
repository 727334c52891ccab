"""Latency of the open loop: intended sending time to visible for a committed reader.

Generator, gate and reader are processes. A run is refused when the generator was late (its 99th
percentile is above a limit), when a decision is missing or comes twice, or when the audit finds
anything; a refused run is repeated at most twice.
"""

import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from hdrh.histogram import HdrHistogram

from loadtest.kafka.gates import PARTITIONS, Bench, KafkaGate
from loadtest.kafka.process import COMMITTED, Failed, Watched, environment, module
from loadtest.kafka.progress import say
from loadtest.kafka.results import Results
from loadtest.kafka.visible import DIGITS, HIGHEST_US, PERCENTILES

SHARES = {"latency-quarter": 0.25, "latency-half": 0.5}
_ATTEMPTS = 3
_HEAD_START_S = 0.5
_END_TIMEOUT_S = 120


def measure(
    bench: Bench,
    results: Results,
    *,
    capacity_per_s: float,
    seconds: int,
    warm_up_s: int,
    late_p99_max_ms: float,
    rounds: int,
) -> None:
    """Measure at a quarter and at half of the capacity. Raises `Failed`."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in SHARES}
    whole = {name: HdrHistogram(1, HIGHEST_US, DIGITS) for name in SHARES}
    for number in range(1, rounds + 1):
        for figure, share in SHARES.items():
            rate = max(int(capacity_per_s * share), 1)
            for attempt in range(1, _ATTEMPTS + 1):
                name = f"{figure}-{number}-{attempt}"
                try:
                    run, histogram = _once(bench, name, rate, seconds, warm_up_s, late_p99_max_ms)
                    break
                except Failed as failed:
                    say(f"{figure} {number}/{rounds} refused: {failed}")
                    if attempt == _ATTEMPTS:
                        raise
            runs[figure].append(run)
            whole[figure].add(histogram)
            said = ", ".join(f"{key} {run[f'{key}_ms']:.0f}" for key in PERCENTILES)
            say(f"{figure} {number}/{rounds} at {rate}/s: {said} ms")
    for figure, share in SHARES.items():
        results.write(
            figure,
            runs[figure],
            rate_per_s=int(capacity_per_s * share),
            seconds=seconds,
            warm_up_s=warm_up_s,
            histogram_us=whole[figure].encode().decode("ascii"),
        )


def _once(
    bench: Bench, name: str, rate: int, seconds: int, warm_up_s: int, late_p99_max_ms: float
) -> tuple[dict[str, float], HdrHistogram]:
    gate = KafkaGate(bench, name, "open")
    warm_up = rate * warm_up_s
    count = rate * seconds + warm_up
    with gate.run() as process:
        _await_policy(process)
        shared = (str(rate), str(count), "1")
        line = (bench.broker.bootstrap, gate.topics.requests, gate.config.audience, *shared)
        sent, seen = _talk(
            module("loadtest.kafka.generator", *line),
            module("loadtest.kafka.visible", bench.broker.bootstrap, name, *shared, str(warm_up)),
        )
        process.process.terminate()
        process.finish()
    gate.published = count
    if sent["late_p99_ms"] > late_p99_max_ms:
        raise Failed(f"the generator was late: p99 {sent['late_p99_ms']} ms")
    if (sent["sent"], seen["missing"], seen["twice"]) != (count, 0, 0):
        raise Failed(f"expected {count} decisions, each once, got {sent} {seen}")
    gate.check(process)
    gate.remove()
    histogram = HdrHistogram.decode(seen["histogram"])
    run = {
        f"{key}_ms": histogram.get_value_at_percentile(value) / 1000
        for key, value in PERCENTILES.items()
    }
    transactions = sum(event.name == COMMITTED for event in process.seen)
    run |= {
        "late_p99_ms": sent["late_p99_ms"],
        "late_max_ms": sent["late_max_ms"],
        "records_a_transaction": count / transactions,
        "cpu_us_each": process.rates().us_each,
    }
    return run, histogram


def _await_policy(process: Watched) -> None:
    """Wait until every partition has the policy in force."""
    left = PARTITIONS
    for event in process.events():
        left -= event.name == "control_accepted"
        if not left and event.name == COMMITTED:
            return
    raise process.failure("it ended before the policy was in force")


def _talk(generator: Sequence[str], reader: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Start both, give both the same beginning, and return what each says at its end."""
    started = [
        subprocess.Popen(
            list(line),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in (generator, reader)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                raise Failed(f"`{process.args}` did not get ready")
        begin_at = time.monotonic() + _HEAD_START_S
        said = []
        for process in started:
            assert process.stdin is not None
            process.stdin.write(f"{begin_at}\n")
            process.stdin.flush()
        for process in started:
            out, _ = process.communicate(timeout=_END_TIMEOUT_S)
            said.append(json.loads(out.splitlines()[-1]))
        return said[0], said[1]
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
