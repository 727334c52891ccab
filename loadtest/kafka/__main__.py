"""Measures everything on a broker of its own, and appends JSON lines.

    python -m loadtest.kafka                     all figures, about 20 minutes on two cores
    python -m loadtest.kafka --only latency --capacity 10000
    python -m loadtest.kafka --quick             the same with tiny sizes: shows that it works

Exit code 1: something could not be reported; what was measured before it stands in the file.
Ctrl-C ends it with 130 and leaves no process behind.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from gate.errors import GateError
from gate.runtime.settings import BATCH_RECORDS_MAX
from loadtest.kafka import latency, recovery, saturation, steps
from loadtest.kafka.broker import ROOT, running_broker
from loadtest.kafka.gates import PARTITIONS, REPEATED_PART, Bench
from loadtest.kafka.process import Failed
from loadtest.kafka.progress import say
from loadtest.kafka.results import DEFAULT_OUT, Results
from loadtest.workload import Kind

PARTS = ("saturation", "steps", "latency", "recovery")
_QUICK_OUT = ROOT / "build" / "loadtest" / "quick.jsonl"


class Plan(NamedTuple):
    """Sizes of everything."""

    rounds: int
    sizes: saturation.Sizes
    steps: dict[Kind, int]
    batch_records_max: int
    latency_seconds: int
    latency_warm_up_s: int
    late_p99_max_ms: float
    recovery_requests: int
    fill_seconds_max: int
    restarts: int
    rebuilds: int
    capacity_max: float


FULL = Plan(
    rounds=5,
    sizes=saturation.Sizes(open=90_000, signed=18_000, peers=50_000),
    steps={"open": 60_000, "signed": 20_000},
    batch_records_max=BATCH_RECORDS_MAX,
    latency_seconds=10,
    latency_warm_up_s=3,
    late_p99_max_ms=5.0,
    recovery_requests=1_300_000,
    fill_seconds_max=180,
    restarts=5,
    rebuilds=3,
    capacity_max=float("inf"),
)
QUICK = Plan(
    rounds=1,
    sizes=saturation.Sizes(open=4_000, signed=2_000, peers=4_000),
    steps={"open": 4_000, "signed": 2_000},
    batch_records_max=500,
    latency_seconds=1,
    latency_warm_up_s=1,
    late_p99_max_ms=5_000.0,
    recovery_requests=3_000,
    fill_seconds_max=30,
    restarts=1,
    rebuilds=1,
    capacity_max=800.0,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one run each")
    parser.add_argument("--only", choices=PARTS, action="append", help="may be repeated")
    parser.add_argument("--capacity", type=float, help="decisions/s, for latency alone")
    parser.add_argument("--rounds", type=int, help="instead of 5; medians want at least 5")
    parser.add_argument("--out", type=Path, help="the file of JSON lines")
    options = parser.parse_args()
    parts = options.only or PARTS
    if "latency" in parts and "saturation" not in parts and not options.capacity:
        parser.error("latency alone needs --capacity, in decisions/s")
    plan = QUICK if options.quick else FULL
    plan = plan._replace(rounds=options.rounds or plan.rounds)
    out = options.out or (_QUICK_OUT if options.quick else DEFAULT_OUT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also then the broker is stopped
    with tempfile.TemporaryDirectory(prefix="gate-loadtest-") as folder:
        say("starting the broker")
        with running_broker(Path(folder, "kafka")) as broker:
            try:
                _measure(
                    plan,
                    parts,
                    options.capacity,
                    Bench(broker, Path(folder), plan.batch_records_max),
                    out,
                )
            except (Failed, GateError) as failed:
                sys.exit(f"not reported: {failed}")
            except KeyboardInterrupt:
                sys.exit(130)
    say(f"results: {out}")


def _measure(
    plan: Plan,
    parts: list[str] | tuple[str, ...],
    capacity: float | None,
    bench: Bench,
    out: Path,
) -> None:
    settings = {
        "partitions": PARTITIONS,
        "rules": 10,
        "repeated_part": REPEATED_PART,
        "batch_records_max": bench.batch_records_max,
        "commit": "as soon as something is decided",
    }
    results = Results(out, bench.broker, settings)
    if "saturation" in parts:
        rates = saturation.measure(bench, results, sizes=plan.sizes, rounds=plan.rounds)
        capacity = rates["per_s_wall"]
    if "steps" in parts:
        for kind, records in plan.steps.items():
            steps.measure(bench, results, kind=kind, records=records)
    if "latency" in parts:
        assert capacity is not None, "checked with the arguments"
        latency.measure(
            bench,
            results,
            capacity_per_s=min(capacity, plan.capacity_max),
            seconds=plan.latency_seconds,
            warm_up_s=plan.latency_warm_up_s,
            late_p99_max_ms=plan.late_p99_max_ms,
            rounds=plan.rounds,
        )
    if "recovery" in parts:
        recovery.measure(
            bench,
            results,
            requests=plan.recovery_requests,
            fill_seconds_max=plan.fill_seconds_max,
            restarts=plan.restarts,
            rebuilds=plan.rebuilds,
        )


if __name__ == "__main__":
    main()
