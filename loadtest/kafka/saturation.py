"""Saturation: everything is in the topic before; how fast is it decided?

The gate and its variants, and the peers, one after the other, then all again: medians are over
interleaved runs, ratios are taken within a round.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from loadtest.kafka.gates import Bench, KafkaGate
from loadtest.kafka.peers import Peers
from loadtest.kafka.process import Watched
from loadtest.kafka.progress import say
from loadtest.kafka.results import Results, Run, spread
from loadtest.workload import Kind

_VARIANT = "loadtest.kafka.variants"


class Sizes(NamedTuple):
    """How many requests each contender gets in a run."""

    open: int
    signed: int
    peers: int


def measure(bench: Bench, results: Results, *, sizes: Sizes, rounds: int) -> dict[str, float]:
    """Measure all contenders; return the `open` gate's median rates. Raises `Failed`."""
    say(f"filling the peers' topics with {sizes.peers} requests")
    peers = Peers(bench, sizes.peers)

    def gate(kind: Kind, count: int, *variant: str) -> Callable[[str], Watched]:
        def run(name: str) -> Watched:
            one = KafkaGate(bench, name, kind)
            one.load(count, seed=1)
            with one.run("--until-caught-up", variant=variant or ("gate",)) as process:
                process.finish()
            one.check(process)
            one.remove()
            return process

        return run

    contenders: Mapping[str, Callable[[str], Watched]] = {
        "open": gate("open", sizes.open),
        "at-least-once": gate("open", sizes.open, _VARIANT, "at-least-once"),
        "without-ends-check": gate("open", sizes.open, _VARIANT, "without-ends-check"),
        "signed": gate("signed", sizes.signed),
        "pass-through": peers.pass_through,
        "quix": lambda name: peers.quix(name, "same", is_signed=False),
        "quix-signed": lambda name: peers.quix(name, "same", is_signed=True),
        "quix-short": lambda name: peers.quix(name, "short", is_signed=False),
        "quix-short-signed": lambda name: peers.quix(name, "short", is_signed=True),
    }
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(1, rounds + 1):
        for name, run in contenders.items():
            process = run(f"{name}-{number}")
            rates = process.rates()
            rss = {"rss_max_mb": process.rss_max_mb}
            runs[name].append({**rates.as_values(), **rss})
            say(
                f"saturation {number}/{rounds} {name}: {rates.per_s_core:.0f}/s per core,"
                f" {rates.per_s_wall:.0f}/s wall, {rates.us_each:.1f} us"
            )
    _write(results, runs, contenders_of(sizes, peers))
    return spread(runs["open"])["median"]


def contenders_of(sizes: Sizes, peers: Peers) -> dict[str, int]:
    """Return how many records each contender was given."""
    return {
        "open": sizes.open,
        "at-least-once": sizes.open,
        "without-ends-check": sizes.open,
        "signed": sizes.signed,
        "pass-through": peers.copies_count,
        "quix": peers.requests_count,
        "quix-signed": peers.requests_count,
        "quix-short": peers.requests_count,
        "quix-short-signed": peers.requests_count,
    }


def _write(results: Results, runs: Mapping[str, list[Run]], records: Mapping[str, int]) -> None:
    for name, mine in runs.items():
        ratios = [
            {key: gate[key] / run[key] for key in ("per_s_core", "per_s_wall")}
            for gate, run in zip(runs["open"], mine, strict=True)
        ]
        results.write(name, mine, records=records[name], open_over_this=spread(ratios))
