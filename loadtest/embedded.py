"""Decisions per second and the cost of each step, on the embedded log, in one process.

    python -m loadtest.embedded --records 60000 --repeat 3

One JSON line a run goes to `docs/results/embedded.jsonl` (or `--out`), a table to stderr. A core's
decisions per second are records divided by the process's own processor time, from the first poll
to the last commit; input is published before. Machines are shared: quote medians, and ratios only
between figures of one run.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from gate.adapters.clock import SystemClock
from gate.wiring import prepare_process
from loadtest.embedded_gate import LoadGate
from loadtest.steps import steps_us
from loadtest.workload import Kind, requests

ROOT = Path(__file__).parents[1]
PARTITIONS = 6


def measure(kind: Kind, records: int, seed: int) -> dict[str, object]:
    """Run one gate over fresh input; the audit equation is checked before a figure is given."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        gate = LoadGate(Path(folder), kind, PARTITIONS, clock)
        made = requests(
            kind,
            records,
            audience=gate.audience,
            domain=gate.domain,
            partitions=PARTITIONS,
            now_ms=clock.now_ms(),
            seed=seed,
        )
        gate.publish(made)
        prepare_process()
        wall, cpu = time.perf_counter(), time.process_time()
        gate.run()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        gc.unfreeze()
        entries, outcomes = gate.entries(), gate.outcomes()
        control = PARTITIONS  # the activation, once in every partition
        if entries != records + PARTITIONS + control:
            sys.exit(f"expected {records + PARTITIONS + control} entries, found {entries}")
        steps = steps_us(gate, made[: min(records, 20_000)])
    return {
        "workload": kind,
        "records": records,
        "value_bytes": round(statistics.mean(len(value) for _, _, value in made)),
        "partitions": PARTITIONS,
        "rules": 10,
        "batch_records_max": gate.batch_records_max,
        "transactions": gate.transactions(),
        "decisions_per_s_core": round(records / cpu),
        "decisions_per_s_wall": round(records / wall),
        "us_per_decision": round(cpu / records * 1e6, 1),
        "steps_us": steps,
        "outcomes": outcomes,
        "seed": seed,
    }


def machine() -> dict[str, object]:
    """Say where and on what the figure was measured."""
    cpu = "unknown"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(": ")[2] if names else cpu
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--kind", choices=("open", "signed"), action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "embedded.jsonl")
    options = parser.parse_args()
    kinds: list[Kind] = options.kind or ["open", "signed"]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[dict[str, object]]] = {kind: [] for kind in kinds}
    for repetition in range(options.repeat):
        for kind in kinds:  # interleaved
            records = options.records if kind == "open" else options.records // 6
            result = {**machine(), **measure(kind, records, seed=repetition + 1)}
            results[kind].append(result)
            with options.out.open("a", encoding="utf-8") as out:
                out.write(json.dumps(result) + "\n")
            print(
                f"{kind:6} run {repetition + 1}: {result['decisions_per_s_core']} decisions/s/core,"
                f" {result['us_per_decision']} us each",
                file=sys.stderr,
            )
    _table(results)


def _table(results: dict[str, list[dict[str, object]]]) -> None:
    for kind, runs in results.items():
        rate = statistics.median(run["decisions_per_s_core"] for run in runs)
        print(f"\n{kind}: median {rate:.0f} decisions/s per core\n", file=sys.stderr)
        for name in runs[0]["steps_us"]:
            cost = statistics.median(run["steps_us"][name] for run in runs)
            print(f"  {name:34} {cost:8.2f} us", file=sys.stderr)


if __name__ == "__main__":
    main()
