"""Metrics: a closed set of names and labels, right counts, and formats that scrapers read."""

import re

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from gate.adapters.metrics import POLICIES_MAX, Metrics
from gate.core.reasons import Code
from gate.errors import RENEWAL_CAUSES, STOP_CAUSES
from gate.ports import EventKind
from gate.views import Committed, GateView, PartitionView, PolicyView
from tests.views import a_partition

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
NAMES = {
    "gate_build_info",
    "gate_checkpoint_size",
    "gate_decision_delay_seconds",
    "gate_decisions_total",
    "gate_input_lag_records",
    "gate_partition_stopped",
    "gate_policy_info",
    "gate_producer_renewals_total",
    "gate_quarantined_total",
    "gate_restore_remaining_records",
    "gate_restore_seconds",
    "gate_state_fingerprint_mismatch_total",
    "gate_transaction_seconds",
    "gate_transactions_total",
}


def a_transaction(**changes: object) -> Committed:
    return Committed(
        **{
            "decisions": {("approved", "approved"): 3, ("denied", "replayed"): 2},
            "quarantined": {},
            "append_times_ms": [1_000, 1_500, 1_990, 1_990, 2_600],
            "committed_at_ms": 2_000,
            "elapsed_ms": 20,
            **changes,
        }
    )


def made(*partitions: PartitionView) -> Metrics:
    view = GateView(partitions=partitions, is_producer_usable=True, unreachable="")
    return Metrics(lambda: view, version="1.2.3", runtime="sha256:00")


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    _, body = metrics.exposition(TEXT)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_text(body.decode())
        for sample in family.samples
    }


def test_the_names_are_the_closed_list() -> None:
    _, body = made().exposition(TEXT)
    assert set(re.findall(r"^# TYPE (\S+)", body.decode(), re.MULTILINE)) == NAMES


def test_names_and_texts_follow_the_rules_of_the_format() -> None:
    """What `promtool check metrics` looks at."""
    _, body = made(a_partition()).exposition(TEXT)
    text = body.decode()
    helped = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert helped.keys() == typed.keys()
    for name, kind in typed.items():
        assert re.fullmatch(r"gate_[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") == (kind == "counter")
        assert (kind != "histogram") or name.endswith("_seconds")
        assert not re.search(r"counter|histogram|gauge|_(ms|count|sum|bucket)$", name)
        assert helped[name][0].isupper() or helped[name][0] == "1"
        assert helped[name].endswith(".")
    assert "_created" not in text


def test_decisions_quarantine_and_transactions_are_counted() -> None:
    metrics = made()
    metrics.committed(a_transaction())
    metrics.committed(
        a_transaction(decisions={("denied", "malformed"): 1}, quarantined={"malformed": 1})
    )
    metrics.emit(EventKind.TRANSACTION_ABORTED, why="text")
    metrics.emit(EventKind.OUTCOME_UNKNOWN, cause="outcome_unknown", why="text")
    metrics.emit(EventKind.OUTCOME_UNKNOWN, cause="idle", why="nothing was begun")
    metrics.emit(EventKind.PRODUCER_RENEWED, cause="idle")

    found = samples(metrics)
    assert {key: found[key] for key in found if key[0] in COUNTED and found[key]} == {
        ("gate_decisions_total", (("outcome", "approved"), ("reason", "approved"))): 3,
        ("gate_decisions_total", (("outcome", "denied"), ("reason", "replayed"))): 2,
        ("gate_decisions_total", (("outcome", "denied"), ("reason", "malformed"))): 1,
        ("gate_quarantined_total", (("reason", "malformed"),)): 1,
        ("gate_transactions_total", (("result", "committed"),)): 2,
        ("gate_transactions_total", (("result", "aborted"),)): 1,
        ("gate_transactions_total", (("result", "unknown"),)): 1,
        ("gate_producer_renewals_total", (("cause", "idle"),)): 1,
    }


COUNTED = {
    "gate_decisions_total",
    "gate_quarantined_total",
    "gate_transactions_total",
    "gate_producer_renewals_total",
}


def test_the_delay_runs_from_the_append_to_the_commit_and_is_never_negative() -> None:
    metrics = made()
    metrics.committed(a_transaction())

    found = samples(metrics)
    name = "gate_decision_delay_seconds"
    counts = {labels[0][1]: value for (n, labels), value in found.items() if n == f"{name}_bucket"}
    assert counts == {
        "0.01": 3,
        "0.025": 3,
        "0.05": 3,
        "0.1": 3,
        "0.25": 3,
        "0.5": 4,
        "1.0": 5,
        "2.5": 5,
        "5.0": 5,
        "15.0": 5,
        "60.0": 5,
        "600.0": 5,
        "+Inf": 5,
    }
    assert (found[f"{name}_count", ()], found[f"{name}_sum", ()]) == (5, 1.52)


def test_times_are_in_seconds() -> None:
    metrics = made()
    metrics.committed(a_transaction(elapsed_ms=250))
    metrics.emit(EventKind.PARTITION_READY, partition=0, elapsed_ms=1_500)

    found = samples(metrics)
    assert found["gate_transaction_seconds_sum", ()] == 0.25
    assert found["gate_restore_seconds_sum", ()] == 1.5


def test_a_store_moved_aside_counts_as_mismatch_only_if_it_was_one() -> None:
    metrics = made()
    for is_mismatch in (True, False, True):
        metrics.emit(EventKind.STORE_MOVED_ASIDE, is_fingerprint_mismatch=is_mismatch)
    assert samples(metrics)["gate_state_fingerprint_mismatch_total", ()] == 2


def test_gauges_are_of_the_partitions_that_are_owned_now() -> None:
    owned = [
        a_partition(0),
        a_partition(1, phase="replaying", restore_remaining=90, tree_size=-1, input_lag=-1),
        a_partition(2, phase="stopped", cause="pinned", restore_remaining=-1, tree_size=-1),
    ]
    found = samples(made(*owned))
    gauges = {key: value for key, value in found.items() if key[0] in GAUGES}
    assert gauges == {
        ("gate_input_lag_records", (("partition", "0"),)): 3,
        ("gate_input_lag_records", (("partition", "2"),)): 3,
        ("gate_restore_remaining_records", (("partition", "0"),)): 0,
        ("gate_restore_remaining_records", (("partition", "1"),)): 90,
        ("gate_checkpoint_size", (("partition", "0"),)): 7,
        ("gate_partition_stopped", (("cause", "pinned"), ("partition", "2"))): 1,
    }
    info = (("policy", "loans"), ("sha256", "ab" * 32), ("version", "1.0.0"))
    assert found["gate_policy_info", info] == 1


GAUGES = {
    "gate_input_lag_records",
    "gate_restore_remaining_records",
    "gate_checkpoint_size",
    "gate_partition_stopped",
}


def test_64_partitions_with_everything_that_can_happen_stay_under_500_series() -> None:
    policies = tuple(PolicyView(f"policy-{n}", "1.0.0", "ab" * 32) for n in range(200))
    metrics = made(
        *(
            a_partition(n, cause=STOP_CAUSES[n % len(STOP_CAUSES)], policies=policies)
            for n in range(64)
        )
    )
    codes = [code.name.lower() for code in Code]
    decisions = {("approved" if code == "approved" else "denied", code): 1 for code in codes}
    metrics.committed(a_transaction(decisions=decisions, quarantined=dict.fromkeys(codes[:9], 1)))
    for cause in RENEWAL_CAUSES:
        metrics.emit(EventKind.PRODUCER_RENEWED, cause=cause)

    found = samples(metrics)
    assert sum(name == "gate_policy_info" for name, _ in found) == POLICIES_MAX
    assert len(found) < 500


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("text/html, */*", "text/plain; version=0.0.4"),
        ("nonsense;;q=", "text/plain; version=0.0.4"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
        (OPENMETRICS.replace("1.0.0", "7.7.7"), "application/openmetrics-text; version=1.0.0"),
        (OPENMETRICS.replace("1.0.0", "x\r\ny"), "application/openmetrics-text; version=1.0.0"),
        ("text/plain; version=x", "text/plain; version=0.0.4"),
    ],
)
def test_the_format_is_what_the_scraper_asks_for(accept: str, content_type: str) -> None:
    metrics = made(a_partition())
    metrics.committed(a_transaction())
    found, body = metrics.exposition(accept)
    assert found.startswith(content_type)
    if "openmetrics" in content_type:
        assert {family.name for family in read_openmetrics(body.decode())} >= {"gate_decisions"}


@pytest.mark.parametrize(
    "fields", [{}, {"cause": "idle", "elapsed_ms": "soon"}, {"is_fingerprint_mismatch": None}]
)
def test_counting_never_raises(fields: dict[str, object]) -> None:
    metrics = made()
    for kind in EventKind:
        metrics.emit(kind, **fields)
    metrics.committed(a_transaction(append_times_ms=["early"]))


def test_a_text_is_made_once_a_second_however_often_it_is_asked_for() -> None:
    asked = 0

    def view() -> GateView:
        nonlocal asked
        asked += 1
        return GateView(partitions=(), is_producer_usable=True, unreachable="")

    metrics = Metrics(view, version="1.2.3", runtime="sha256:00")
    texts = {metrics.exposition(accept) for accept in [TEXT, "", OPENMETRICS] * 50}
    assert (len(texts), asked) == (2, 2)
