"""The load test on Kafka with tiny sizes: it works, counts up, and makes its page."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.kafka.broker import Broker, wake_groups
from loadtest.kafka.gates import Bench, KafkaGate
from loadtest.kafka.process import Failed, watched
from loadtest.kafka.steps import STEPS, by_step
from tests.kafka.local import LocalKafka, Missing, jvm

ROOT = Path(__file__).parents[2]
FIGURES = {
    *("open", "signed", "at-least-once", "without-ends-check", "pass-through"),
    *("quix", "quix-signed", "quix-short", "quix-short-signed"),
    *("latency-quarter", "latency-half", "fill", "restart", "rebuild"),
    *("steps-open", "steps-signed"),
}


def _run(*arguments: str, timeout_s: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measure everything once; skips where what it needs is not installed."""
    for module in ("hdrh", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"no module `{module}`: pip install -e '.[loadtest]'")
    try:
        jvm()
    except Missing as missing:
        pytest.skip(str(missing))
    out = tmp_path_factory.mktemp("loadtest") / "quick.jsonl"
    done = _run("loadtest.kafka", "--quick", "--out", str(out), timeout_s=900)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_every_figure_is_measured_counted_and_audited(results: Path) -> None:
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert {line["figure"] for line in lines} == FIGURES
    for line in lines:
        assert line["runs"] >= 1
        assert line["broker"]["kafka"]
        assert all(value >= 0 for value in line["median"].values()), line["figure"]


@pytest.mark.slow
def test_the_page_is_made_of_the_results(results: Path, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    done = _run(
        *("loadtest.kafka.page", "--results", str(results), "--page", str(page)), timeout_s=120
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    measured = {line["figure"]: line for line in map(json.loads, results.read_text().splitlines())}
    assert f"{measured['open']['median']['per_s_core']:,.0f}" in text
    assert "not measured" not in text
    for plot in ("rates.svg", "latency.svg"):
        assert (tmp_path / "performance" / plot).read_text().startswith("<?xml")


def test_a_run_that_does_not_count_up_is_refused(kafka: LocalKafka, tmp_path: Path) -> None:
    wake_groups(kafka.bootstrap)
    bench = Bench(Broker(kafka.bootstrap, {}), tmp_path, 100)
    gate = KafkaGate(bench, "loadtest-refused", "open")
    gate.load(300, seed=1)
    with gate.run("--until-caught-up") as process:
        process.finish()
    gate.check(process)
    gate.published += 1  # a record that nobody decided
    with pytest.raises(Failed, match="expected 310 decided records, it told 309"):
        gate.check(process)
    with pytest.raises(Failed, match="expected 304 decisions and nothing found"):
        gate.audit()
    gate.remove()


def test_rates_leave_the_warm_up_out() -> None:
    """A tenth of the records is warm-up: here the first transaction, which took a second."""
    tell = """
import json, sys, time
for records, seconds in ((100, 1.0), (450, 0.2), (450, 0.2)):
    time.sleep(seconds)
    line = {"event": "transaction_committed", "records": records}
    print(json.dumps(line), file=sys.stderr, flush=True)
"""
    with watched([sys.executable, "-c", tell]) as process:
        process.finish()
    rates = process.rates()
    assert (rates.records, rates.transactions) == (900, 2)
    assert rates.per_s_wall == pytest.approx(900 / 0.4, rel=0.5)
    assert rates.per_s_core > rates.per_s_wall


def test_a_process_that_fails_is_told_with_its_last_words() -> None:
    with (
        watched([sys.executable, "-c", "raise SystemExit('no broker')"]) as process,
        pytest.raises(Failed, match=r"exit code 1; it said:\n  no broker"),
    ):
        process.finish()


def test_a_sample_belongs_to_the_innermost_named_step() -> None:
    def stack(*frames: str) -> str:
        root = ("thread (7): MainThread", "Gate._turn (gate/runtime/loop.py:93)")
        return ";".join((*root, *frames))

    transaction = "run_transaction (gate/runtime/transaction.py:71)"
    stacks = [
        stack(transaction, "KafkaOutput.commit (gate/adapters/kafka/output.py:150)") + " 5",
        stack(transaction, "settled_ends (gate/runtime/settled.py:29)", "ends (x.py:1)") + " 2",
        stack(transaction) + " 1",
        stack("advance (gate/runtime/assignment.py:44)") + " 9",
        "thread (8): stop-signals;_next (gate/cli/stop_signals.py:60) 100",
    ]
    assert by_step(stacks) == {"commit wait": 5, "ends check": 2, "rest of the transaction": 1}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: "-".join(filter(None, step)))
def test_a_step_names_code_that_is_there(step: tuple[str, str, str]) -> None:
    """So that the table of steps follows when code moves; the test fails where a name is stale."""
    _, file, function = step
    text = (ROOT / file).read_text()
    assert f"def {function}" in text
