"""The plots of `docs/performance.md`, as SVG that reads on a light and on a dark page."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from hdrh.histogram import HdrHistogram
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

_INK, _MUTED, _GRID = "#1f2933", "#5b6770", "#dde2e6"
_GATE, _VARIANT, _PEER = "#1b6ca8", "#8fb8d8", "#9aa5ad"
_BARS = {
    "open": ("gate, open", _GATE),
    "at-least-once": ("gate, at least once", _VARIANT),
    "without-ends-check": ("gate, no ends check", _VARIANT),
    "quix": ("Quix Streams, same job", _PEER),
    "quix-signed": ("Quix Streams, same job, signed each", _PEER),
    "quix-short": ("Quix Streams, short job", _PEER),
    "quix-short-signed": ("Quix Streams, short job, signed each", _PEER),
    "signed": ("gate, signed requests", _GATE),
}
_LOADS = {"latency-quarter": ("a quarter", "#4ba3c7"), "latency-half": ("half", _GATE)}
_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99)
_STEPS_A_DECADE = 50

mpl.rcParams.update(
    {
        "font.size": 11,
        "axes.edgecolor": _MUTED,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "svg.hashsalt": "gate",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)

Lines = Mapping[str, Mapping[str, Any]]


def rates(lines: Lines, file: Path) -> None:
    """Draw decisions a second and core as bars, with the smallest and largest run."""
    shown = [(name, *_BARS[name]) for name in _BARS if name in lines]
    figure = Figure(figsize=(8, 0.62 * len(shown) + 1.1), layout="constrained")
    axes = figure.subplots()
    highest = 0.0
    for place, (name, _, color) in enumerate(reversed(shown)):
        low, middle, high = (lines[name][pick]["per_s_core"] for pick in ("min", "median", "max"))
        highest = max(highest, high)
        axes.barh(place, middle, color=color, height=0.62)
        axes.plot([low, high], [place, place], color=_INK, linewidth=1.4)
        axes.annotate(
            f"{middle:,.0f}", (high, place), (6, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(range(len(shown)), [text for _, text, _ in reversed(shown)])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, highest * 1.14)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("decisions a second and core (line: smallest and largest run)")
    axes.grid(axis="x", color=_GRID)
    axes.set_axisbelow(True)
    _save(figure, file)


def latency(lines: Lines, file: Path) -> None:
    """Draw latency by percentile, the tail stretched: each decade of rarer requests is as wide."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, (load, color) in _LOADS.items():
        if name not in lines:
            continue
        line = lines[name]
        histogram = HdrHistogram.decode(line["histogram_us"])
        points = [
            (decade / _STEPS_A_DECADE, 100 * (1 - 10 ** (-decade / _STEPS_A_DECADE)))
            for decade in range(4 * _STEPS_A_DECADE + 1)
        ]
        values = [histogram.get_value_at_percentile(percentile) / 1000 for _, percentile in points]
        places = [place for place, _ in points]
        label = f"{load} of the capacity: {line['rate_per_s']:,}/s"
        axes.plot(places, values, color=color, linewidth=2, label=label)
    axes.legend(loc="upper left", frameon=False)
    axes.set_xticks([_place(tick) for tick in _TICKS], [f"{tick:g} %" for tick in _TICKS])
    axes.set_xlim(0, 4)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("part of the requests that were at least as fast")
    axes.set_ylabel("latency, ms")
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    _save(figure, file)


def _place(percentile: float) -> float:
    return -math.log10(1 - percentile / 100)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, facecolor="white", metadata={"Date": None})
