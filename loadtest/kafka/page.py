"""Makes `docs/performance.md` and its plots of the newest results; no figure is typed by hand.

python -m loadtest.kafka.page
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.kafka import plots

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results" / "kafka.jsonl"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"

Line = Mapping[str, Any]
Lines = Mapping[str, Line]

_CONTENDERS = {
    "open": "the gate, `open` requests",
    "signed": "the gate, `signed` requests (two Ed25519 checks each)",
    "without-ends-check": "the gate without the check before each begin",
    "at-least-once": "the gate without transactions, at least once",
    "quix": "Quix Streams, the same job, decisions not signed",
    "quix-signed": "Quix Streams, the same job, one Ed25519 signature a decision",
    "quix-short": "Quix Streams, rules as Python and a short decision, not signed",
    "quix-short-signed": "Quix Streams, rules as Python and a short decision, signed each",
    "pass-through": "pass-through: consume, produce, commit; nothing decided",
}
_LATENCIES = {"latency-quarter": "a quarter", "latency-half": "half"}
_PERCENTILES = ("p50", "p90", "p99", "p99_9", "max")
_SAID = {"open": "open requests", "signed": "signed requests"}


class _Target:
    """A figure that was promised: how it is read, and its bounds."""

    def __init__(
        self,
        text: str,
        figure: str,
        value: Callable[[Line], float],
        *,
        must: float,
        aim: float,
        unit: str = "",
        is_least: bool = True,
    ) -> None:
        self.text, self.figure, self._value = text, figure, value
        self._must, self._aim, self._unit, self._is_least = must, aim, unit, is_least

    def row(self, lines: Lines) -> tuple[str, ...]:
        if self.figure not in lines:
            return self.text, "not measured", self._shown(self._must), self._shown(self._aim), ""
        found = self._value(lines[self.figure])
        word = "at least" if self._is_least else "at most"
        verdict = (
            "aim reached"
            if self._meets(found, self._aim)
            else "must reached"
            if self._meets(found, self._must)
            else "**not reached**"
        )
        bounds = (f"{word} {self._shown(bound)}" for bound in (self._must, self._aim))
        return self.text, self._shown(found), *bounds, verdict

    def _meets(self, found: float, bound: float) -> bool:
        return found >= bound if self._is_least else found <= bound

    def _shown(self, value: float) -> str:
        return f"{_number(value)}{self._unit}"


def _median(name: str) -> Callable[[Line], float]:
    return lambda line: float(line["median"][name])


def _over_open(line: Line) -> float:
    return float(line["open_over_this"]["median"]["per_s_core"])


_TARGETS = (
    _Target("decisions/s per core, `open`", "open", _median("per_s_core"), must=15_000, aim=40_000),
    _Target(
        "decisions/s per core, `signed`", "signed", _median("per_s_core"), must=5_000, aim=10_000
    ),
    _Target(
        "against Quix Streams at the same job, a signature each",
        "quix-signed",
        _over_open,
        must=3,
        aim=5,
        unit=" ×",
    ),
    _Target(
        "exactly-once against at-least-once: fewer decisions/s per core",
        "at-least-once",
        lambda line: (1 - _over_open(line)) * 100,
        must=10,
        aim=5,
        unit=" %",
        is_least=False,
    ),
    _Target(
        "p99 latency at half load",
        "latency-half",
        _median("p99_ms"),
        must=100,
        aim=50,
        unit=" ms",
        is_least=False,
    ),
    _Target(
        "rebuild from the changelog, keys/s (10 M keys in 60 s, in 30 s)",
        "rebuild",
        _median("keys_per_s"),
        must=10_000_000 / 60,
        aim=10_000_000 / 30,
    ),
    _Target(
        "restart with intact state: process start to first commit",
        "restart",
        _median("committed_ms"),
        must=2_000,
        aim=500,
        unit=" ms",
        is_least=False,
    ),
    _Target(
        "largest resident size after a rebuild (bounds are for 10 M keys)",
        "rebuild",
        _median("rss_max_mb"),
        must=400,
        aim=250,
        unit=" MB",
        is_least=False,
    ),
)

_INTRODUCTION = """\
# Performance on Apache Kafka

Made by `make bench-page` of [results/kafka.jsonl](results/kafka.jsonl), which `make bench-kafka`
appends to. Figures are medians over interleaved runs, with the smallest and the largest; ratios
are taken within a round. A core's rate is records divided by the processor time of the whole
process, all its threads, from the end of the warm-up to the last commit; the broker is not in it.
A run is reported only if its output counts up and, for the gate, `gate audit` finds nothing.
"""

_REPEAT = """\
## To repeat it

    make bench-kafka     # starts its own broker; needs Java 17, Maven once, and a quiet machine
    make bench-page

`python -m loadtest.kafka --quick` runs everything with tiny sizes and shows only that it works.
The workloads are in `loadtest/workload.py`, the contenders in `loadtest/kafka/`.

## What the comparison is, and is not

* Every contender shares its cores with the broker: compare ratios rather than absolutes.
* The gate is the command `gate run` and nothing else. The variants are the same process with one
  thing taken out (`loadtest/kafka/variants.py`); neither is offered as an option.
* Quix Streams does the same job in good faith (`loadtest/kafka/quix/same_job.py`,
  [decision 18](decisions/0018-the-peer.md)): the gate's
  Avro requests and its policy bundle in, the gate's decision records out (its own strict readers
  count them), by fastavro; declared bounds, the ten rules in one call of the same CEL engine,
  duplicates in its state store with its changelog, exactly-once with transactions as large as the
  gate's, lz4, rare garbage collection as in the gate. A test shows that it decides what the gate
  decides. It has no placement check, no strict decoding, no Merkle tree, no checkpoint, no lineage
  and no proof that others can verify. It brings confluent-kafka 2.12, the gate runs on the newest.
* The short job (`loadtest/kafka/quix/short_job.py`) is the least that could do: the rules as plain
  Python, so that a new policy is a new program; no declared bounds; a decision of fifteen fields
  that does not say what was evaluated. It shows how much of the same job's time is the writing of
  the whole decision by fastavro and the rules as data, and how much is Quix Streams.
* The pass-through has the gate's own client settings and commits its offsets in the transaction.
* Latency runs from the intended sending time, so a generator or a gate that stalls is counted
  against the gate; a run whose generator was late is refused. Generator, reader, gate and broker
  share two cores, which at half of the gate's capacity they nearly fill: latency there is mostly
  waiting for a core.
"""


def newest(results: Iterable[str]) -> dict[str, Line]:
    """Return the last line of each figure."""
    read = [json.loads(line) for line in results if line.strip()]
    return {line["figure"]: line for line in read}


def page(lines: Lines) -> str:
    """Return the page as Markdown."""
    parts = [
        _INTRODUCTION,
        _measured_on(lines.values()),
        "## What was promised\n",
        _table(
            ("figure", "measured", "must", "aim", ""),
            [target.row(lines) for target in _TARGETS],
        ),
        _rates(lines),
        _latency(lines),
        _recovery(lines),
        *(_steps(lines, kind) for kind in _SAID),
        _REPEAT,
    ]
    return "\n".join(part for part in parts if part)


def _measured_on(lines: Iterable[Line]) -> str:
    sessions: dict[str, list[Line]] = {}
    for line in lines:
        sessions.setdefault(line["session"], []).append(line)
    rows = []
    for mine in sessions.values():
        line = mine[0]
        broker, settings = line["broker"], line["settings"]
        figures = ", ".join(f"`{item['figure']}`" for item in mine)
        rows.append(
            f"Measured {line['session']} at commit {line['commit']} ({figures}): {line['cpu']}, "
            f"{line['cores']} cores, {line['ram_gb']} GB, Python {line['python']}; Apache Kafka "
            f"{broker['kafka']}, {broker['nodes']} node, replication {broker['replication']}, "
            f"`{broker['jvm']}`, {broker['where']}; {settings['partitions']} partitions, "
            f"{settings['rules']} rules, at most {_number(settings['batch_records_max'])} records "
            f"a transaction, commit {settings['commit']}; "
            f"{_number(settings['repeated_part'] * 100)} % of the requests come twice. "
            f"Command: `{line['command']}`.\n"
        )
    return "\n".join(rows)


def _rates(lines: Lines) -> str:
    rows = []
    for name, text in _CONTENDERS.items():
        if name not in lines:
            continue
        line = lines[name]
        median = line["median"]
        rows.append(
            (
                text,
                _spread(line, "per_s_core"),
                _number(median["cpu_us_each"]),
                _spread(line, "per_s_wall"),
                f"{_over_open(line):.2f}",
                _number(median["rss_max_mb"]),
                f"{line['runs']} × {_number(line['records'])}",
            )
        )
    if not rows:
        return ""
    head = (
        "what",
        "records/s per core",
        "CPU µs each",
        "records/s wall",
        "gate `open` ÷ this, per core",
        "RSS MB",
        "runs × records",
    )
    return (
        f"\n## Saturation\n\n![decisions a second and core]({PLOTS.name}/rates.svg)\n\n"
        + _table(head, rows)
    )


def _latency(lines: Lines) -> str:
    rows = []
    for name, load in _LATENCIES.items():
        if name not in lines:
            continue
        line = lines[name]
        rows.append(
            (
                f"{load} of the capacity",
                _number(line["rate_per_s"]),
                *(_spread(line, f"{key}_ms") for key in _PERCENTILES),
                f"{line['median']['cpu_us_each'] * line['rate_per_s'] / 1e4:.0f} %",
                _number(line["median"]["late_p99_ms"]),
                f"{line['runs']} × {line['seconds']} s",
            )
        )
    if not rows:
        return ""
    percentiles = (key.replace("_", ".") for key in _PERCENTILES)
    head = ("load", "requests/s", *percentiles, "the gate's CPU", "generator late, p99", "runs")
    return (
        "\n## Latency\n\nIntended sending time to visible for a committed reader, in ms.\n\n"
        f"![latency by percentile]({PLOTS.name}/latency.svg)\n\n" + _table(head, rows)
    )


def _recovery(lines: Lines) -> str:
    rows = []
    for name, text in (("restart", "state intact"), ("rebuild", "state folder removed")):
        if name not in lines:
            continue
        line = lines[name]
        median = line["median"]
        rows.append(
            (
                text,
                _number(line["keys"]),
                *(_number(median[f"{key}_ms"]) for key in ("started", "assigned", "ready")),
                _spread(line, "committed_ms"),
                _spread(line, "keys_per_s") if "keys_per_s" in median else "",
                _spread(line, "rss_max_mb"),
                str(line["runs"]),
            )
        )
    if not rows:
        return ""
    head = (
        "start with",
        "keys",
        "imports done, ms",
        "group joined",
        "all partitions ready",
        "first decision committed",
        "keys/s",
        "RSS MB",
        "runs",
    )
    return "\n## Restart and rebuild\n\nMilliseconds since the start of the process.\n\n" + _table(
        head, rows
    )


def _steps(lines: Lines, kind: str) -> str:
    line = lines.get(f"steps-{kind}")
    if line is None:
        return ""
    costs = sorted(line["median"].items(), key=lambda item: -item[1])
    rows = [(step, f"{cost:.1f}") for step, cost in costs]
    return (
        f"\n## Where the time goes: {_SAID[kind]}\n\n"
        f"{_number(line['samples'])} samples of the gate's thread by py-spy under saturation, "
        f"{_number(line['records'])} requests. Waiting is included; the steps of this thread add "
        "up to its wall time a decision, the other threads' is processor time beside it.\n\n"
        + _table(("step", "µs a decision"), rows)
    )


def _spread(line: Line, name: str) -> str:
    low, middle, high = (_number(line[pick][name]) for pick in ("min", "median", "max"))
    return middle if low == high else f"{middle} ({low}–{high})"


def _number(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE, help="plots go to a folder beside it")
    options = parser.parse_args()
    lines = newest(options.results.read_text(encoding="utf-8").splitlines())
    folder = options.page.parent / PLOTS.name
    folder.mkdir(parents=True, exist_ok=True)
    plots.rates(lines, folder / "rates.svg")
    plots.latency(lines, folder / "latency.svg")
    options.page.write_text(page(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
