"""Where the time goes: samples of the gate's thread under saturation by py-spy, summed by step.

A sample belongs to the innermost frame that the table below names. Waiting is included: the steps
add up to the thread's wall time a decision. What the client's and the store's own threads burn
beside it is measured apart. The samples need the right to look into the gate's process.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence

from loadtest.kafka.gates import Bench, KafkaGate
from loadtest.kafka.process import PY_SPY, Failed
from loadtest.kafka.progress import say
from loadtest.kafka.results import Results
from loadtest.workload import Kind

_PY_SPY = (
    str(PY_SPY),
    *("record", "--idle", "--threads", "--nonblocking", "--format", "raw"),
    *("--rate", "100", "--duration", "300"),
)
"""`--nonblocking`: a process that a tracer stops and goes on again is another process."""
BESIDE = "other threads (client, store)"
_TIMEOUT_S = 60
_FRAME = re.compile(r"^(?P<function>.+) \((?P<file>[^()]+?)(?::\d+)?\)$")
_LOOP = ("_turn", "gate/runtime/loop.py")

STEPS: tuple[tuple[str, str, str], ...] = (
    # step, end of the file's path, function (empty: any of the file)
    ("consume", "gate/adapters/kafka/input.py", ""),
    ("consume", "gate/adapters/kafka/records.py", ""),
    ("consume", "gate/runtime/batching.py", ""),
    ("decode and check", "gate/core/wire/request.py", ""),
    ("decode and check", "gate/core/usual.py", ""),
    ("decode and check", "gate/core/policy/usual.py", ""),
    ("decode and check", "gate/core/policy/boundary.py", ""),
    ("decode and check", "gate/core/policy/ask.py", ""),
    ("signatures", "gate/core/signature.py", ""),
    ("signatures", "gate/core/signals.py", ""),
    ("key", "gate/core/policy/admission_key.py", ""),
    ("key", "gate/core/placement.py", ""),
    ("rules", "gate/core/policy/engine.py", ""),
    ("rules", "gate/core/policy/program.py", ""),
    ("rules", "gate/core/policy/compiled.py", "evaluate"),
    ("encode entry", "gate/core/wire/entry.py", ""),
    ("encode entry", "gate/core/wire/decision.py", ""),
    ("encode entry", "gate/core/wire/inputs.py", ""),
    ("encode entry", "gate/core/lineage.py", "_entry"),
    ("encode records", "gate/core/wire/record.py", ""),
    ("encode records", "gate/core/wire/changelog.py", ""),
    ("encode records", "gate/core/sealing.py", "decision_records"),
    ("encode records", "gate/core/sealing.py", "lineage_value"),
    ("seal", "gate/core/proof/merkle.py", ""),
    ("seal", "gate/core/sealing.py", "seal"),
    ("fingerprint", "gate/core/state.py", "add_to_fingerprint"),
    ("judge", "gate/core/admission.py", ""),
    ("judge", "gate/core/lineage.py", ""),
    ("checkpoint signature", "gate/adapters/keyfile.py", ""),
    ("read state", "gate/adapters/rocksdb.py", "get_many"),
    ("write state", "gate/adapters/rocksdb.py", "apply"),
    ("ends check", "gate/runtime/settled.py", "settled_ends"),
    ("produce", "gate/adapters/kafka/output.py", "produce"),
    ("send offsets", "gate/adapters/kafka/output.py", "send_offsets"),
    ("commit wait", "gate/adapters/kafka/output.py", "commit"),
    ("telemetry", "gate/adapters/telemetry.py", ""),
    ("rest of the transaction", "gate/runtime/transaction.py", ""),
    ("assignment", "gate/runtime/assignment.py", ""),
    ("assignment", "gate/runtime/restore.py", ""),
    ("watch", "gate/runtime/watch.py", ""),
)
_NOT_DECIDING = {"assignment", "watch"}
_UNNAMED = "loop"


def measure(bench: Bench, results: Results, *, kind: Kind, records: int) -> None:
    """Sample one run. Raises `Failed`, also when nothing could be sampled."""
    name = f"steps-{kind}"
    gate = KafkaGate(bench, name, kind)
    gate.load(records, seed=1)
    stacks = bench.folder / f"{name}.stacks"
    with gate.run("--until-caught-up") as process:
        process.until("gate_started")
        line = [*_PY_SPY, "--pid", str(process.process.pid), "--output", str(stacks)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as spy:
            try:
                process.finish()
                said, _ = spy.communicate(timeout=_TIMEOUT_S)
            finally:
                spy.kill()
    if not stacks.exists():
        raise Failed(f"py-spy: {said.decode(errors='replace')}")
    gate.check(process)
    gate.remove()
    rates = process.rates()
    samples = by_step(stacks.read_text(encoding="utf-8").splitlines())
    total = sum(samples.values())
    wall_us = 1e6 / rates.per_s_wall
    costs = {step: count / total * wall_us for step, count in samples.most_common()}
    costs[BESIDE] = rates.us_each - rates.main_us_each
    results.write(name, [costs], records=records, samples=total)
    say(f"{name}: {total} samples, {wall_us:.1f} us a decision in the gate's thread")


def by_step(stacks: Iterable[str]) -> Counter[str]:
    """Sum the samples of the main thread's turns by step; recovery and the watch are left out."""
    steps: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        found = [_frame(frame) for frame in frames.split(";")]
        if _LOOP in found:
            steps[_step_of(found[found.index(_LOOP) :])] += int(count)
    return Counter({step: n for step, n in steps.items() if step not in _NOT_DECIDING})


def _frame(text: str) -> tuple[str, str]:
    found = _FRAME.match(text)
    return (found["function"].rpartition(".")[2], found["file"]) if found else (text, "")


def _step_of(frames: Sequence[tuple[str, str]]) -> str:
    for function, file in reversed(frames):
        for step, end, wanted in STEPS:
            if file.endswith(end) and wanted in {"", function}:
                return step
    return _UNNAMED
