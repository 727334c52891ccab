"""The gate's metrics, as Prometheus and OpenMetrics read them. `design/operations.md` §4.

Promises a closed set of names and labels (under 500 series for 64 partitions), counting once a
transaction and never once a record, and that counting never disturbs the gate. Labels hold reason
codes, causes, numbers, and what signed policies call themselves; nothing of a payload or a key.

Leaves to others: serving the text (`pages`), and what a gate is like now, which is asked for at
each scrape (`view`).
"""

import platform
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gate.errors import OUTCOME_UNKNOWN, RENEWAL_CAUSES
from gate.ports import EventKind
from gate.views import Committed, GateView, PartitionView

POLICIES_MAX: Final = 40
_KEPT_SECONDS: Final = 1.0
_OPENMETRICS: Final = "application/openmetrics-text"
_DECISION: Final = ("outcome", "reason")
_RESULTS: Final = {
    EventKind.TRANSACTION_ABORTED: "aborted",
    EventKind.OUTCOME_UNKNOWN: "unknown",
}
_DELAY_BOUNDS_MS: Final = (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 600_000)
_TRANSACTION_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60)
_RESTORE_BOUNDS_S: Final = (0.1, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800)


class Metrics:
    """Implements `gate.ports.Telemetry`, and counts what `gate.views.Monitor` is given."""

    def __init__(self, view: Callable[[], GateView], *, version: str, runtime: str) -> None:
        """Ask `view` for the present at each scrape; `runtime` identifies the build."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._kept: dict[str, tuple[float, bytes]] = {}
        """The last text of each format, and until when it will do."""
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self._decisions = counter(
            "gate_decisions", "Committed decisions by outcome and first reason.", _DECISION
        )
        self._quarantined = counter(
            "gate_quarantined",
            "Denied records whose untouched input was kept, by reason.",
            ("reason",),
        )
        self._transactions = counter(
            "gate_transactions",
            "Transactions by result; after an unknown one everything is restored.",
            ("result",),
        )
        self._renewals = counter(
            "gate_producer_renewals",
            "Producers replaced by a new one of the same transactional id.",
            ("cause",),
        )
        self._mismatches = counter(
            "gate_state_fingerprint_mismatch",
            "Local stores whose fingerprint differed from the committed one; each is rebuilt.",
        )
        self._transaction = histogram(
            "gate_transaction_seconds",
            "Time from the first decision of a transaction to its applied commit.",
            buckets=_TRANSACTION_BOUNDS_S,
        )
        self._restore = histogram(
            "gate_restore_seconds",
            "Time from the assignment of a partition, or a doubt, until it was ready.",
            buckets=_RESTORE_BOUNDS_S,
        )
        for result in ("committed", *_RESULTS.values()):
            self._transactions.labels(result)
        for cause in RENEWAL_CAUSES:
            self._renewals.labels(cause)
        Info("gate_build", "The gate that is running.", registry=registry).info(
            {"version": version, "runtime": runtime, "python": platform.python_version()}
        )
        self._delays = _Delays()
        registry.register(self._delays)
        registry.register(_Present(view))

    def committed(self, transaction: Committed) -> None:
        """Follow the monitor's port."""
        with suppress(Exception):
            for (outcome, reason), count in transaction.decisions.items():
                self._decisions.labels(outcome, reason).inc(count)
            for reason, count in transaction.quarantined.items():
                self._quarantined.labels(reason).inc(count)
            self._transactions.labels("committed").inc()
            self._transaction.observe(transaction.elapsed_ms / 1000)
            self._delays.add(transaction.append_times_ms, transaction.committed_at_ms)

    def emit(self, kind: EventKind, **fields: object) -> None:
        """Follow the telemetry's port."""
        with suppress(Exception):
            if kind in _RESULTS and fields.get("cause", OUTCOME_UNKNOWN) == OUTCOME_UNKNOWN:
                self._transactions.labels(_RESULTS[kind]).inc()
            elif kind is EventKind.PRODUCER_RENEWED:
                self._renewals.labels(fields["cause"]).inc()
            elif kind is EventKind.PARTITION_READY:
                self._restore.observe(float(str(fields["elapsed_ms"])) / 1000)
            elif kind is EventKind.STORE_MOVED_ASIDE and fields["is_fingerprint_mismatch"]:
                self._mismatches.inc()

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Return content type and text: OpenMetrics 1.0.0 if `Accept` names it, else 0.0.4.

        The text of a format is made once a second at most. The header itself is not passed on:
        the library puts the version that it names into the content type.
        """
        encoder, content_type = choose_encoder(_OPENMETRICS if _OPENMETRICS in accept else "")
        now = time.monotonic()
        until, text = self._kept.get(content_type, (0.0, b""))
        if now >= until:
            text = encoder(self._registry)
            self._kept[content_type] = (now + _KEPT_SECONDS, text)
        return content_type, text


class _Delays(Collector):
    """A histogram that takes a whole batch with one search a bucket."""

    def __init__(self) -> None:
        self._state: tuple[tuple[int, ...], int, int] = ((0,) * len(_DELAY_BOUNDS_MS), 0, 0)
        """Counts up to each bound, of all, and the sum in ms; replaced as a whole."""

    def add(self, append_times_ms: Sequence[int], committed_at_ms: int) -> None:
        """Count every record of a batch; a clock that is behind the broker's counts as no delay."""
        times = sorted(append_times_ms)
        if times and times[-1] > committed_at_ms:
            times = [min(time, committed_at_ms) for time in times]
        within = [
            len(times) - bisect_left(times, committed_at_ms - bound_ms)
            for bound_ms in _DELAY_BOUNDS_MS
        ]
        counts, total, sum_ms = self._state
        self._state = (
            tuple(map(sum, zip(counts, within, strict=True))),
            total + len(times),
            sum_ms + len(times) * committed_at_ms - sum(times),
        )

    def collect(self) -> Iterator[Metric]:
        """Yield the one histogram."""
        counts, total, sum_ms = self._state
        bounds = [str(bound_ms / 1000) for bound_ms in _DELAY_BOUNDS_MS]
        yield HistogramMetricFamily(
            "gate_decision_delay_seconds",
            "Time from a record's append to the commit of its decision.",
            buckets=[*zip(bounds, counts, strict=True), ("+Inf", total)],
            sum_value=sum_ms / 1000,
        )


class _Present(Collector):
    """What is true now: gauges of the partitions that this process owns, and no others."""

    def __init__(self, view: Callable[[], GateView]) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of one and the same view."""
        partitions = self._view().partitions
        yield _by_partition(
            "gate_input_lag_records",
            "Offsets of the input that are not decided, to its end while a transaction holds it.",
            ((p, p.input_lag) for p in partitions if p.input_lag >= 0),
        )
        yield _by_partition(
            "gate_restore_remaining_records",
            "Changelog records still to be replayed before the partition is ready.",
            ((p, p.restore_remaining) for p in partitions if p.restore_remaining >= 0),
        )
        yield _by_partition(
            "gate_checkpoint_size",
            "Size of the last checkpoint: the number of leaves.",
            ((p, p.tree_size) for p in partitions if p.tree_size >= 0),
        )
        stopped = GaugeMetricFamily(
            "gate_partition_stopped",
            "1 for each partition that is stopped, with its cause.",
            labels=("partition", "cause"),
        )
        for partition in partitions:
            if partition.cause:
                stopped.add_metric((str(partition.number), partition.cause), 1)
        yield stopped
        policies = GaugeMetricFamily(
            "gate_policy_info",
            f"1 for each policy in force in an owned partition, {POLICIES_MAX} at most.",
            labels=("policy", "version", "sha256"),
        )
        found = sorted({policy for partition in partitions for policy in partition.policies})
        for policy in found[:POLICIES_MAX]:
            policies.add_metric(policy, 1)
        yield policies


def _by_partition(
    name: str, text: str, values: Iterable[tuple[PartitionView, int]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=("partition",))
    for partition, value in values:
        family.add_metric((str(partition.number),), value)
    return family
