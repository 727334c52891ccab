"""What is told of a committed transaction: one event, and counts for the monitor.

Promises that nothing of a payload or a key is told: partitions, offsets, reason codes, numbers.
"""

from collections import Counter
from collections.abc import Mapping

from gate.core.lineage import Judged
from gate.ports import EventKind
from gate.runtime.settings import Ports
from gate.views import Committed


def report_commit(judged: Mapping[int, Judged], ports: Ports, elapsed_ms: int) -> None:
    """Tell of a transaction by partition; one more event for each control record in it."""
    decisions: Counter[tuple[str, str]] = Counter()
    quarantined: Counter[str] = Counter()
    for number, part in judged.items():
        _report_control(number, part, ports)
        admissions = [leaf.admission for leaf in part.leaves if leaf.admission is not None]
        kinds = [(a.approved, a.reasons[0].code, a.reasons[0].phase) for a in admissions]
        examples = dict(zip(kinds, admissions, strict=True))
        for kind, count in Counter(kinds).items():
            approved, code, _ = kind
            reason = code.name.lower()
            decisions["approved" if approved else "denied", reason] += count
            if examples[kind].is_quarantined:
                quarantined[reason] += count
    records = sum(len(part.leaves) for part in judged.values())
    reasons = Counter({"control": records - decisions.total()})
    for (_, reason), count in decisions.items():
        reasons[reason] += count
    ports.telemetry.emit(
        EventKind.TRANSACTION_COMMITTED,
        partitions=len(judged),
        records=records,
        reasons={reason: count for reason, count in sorted(reasons.items()) if count},
        elapsed_ms=elapsed_ms,
    )
    if ports.monitor is not None:
        ports.monitor.committed(
            Committed(
                decisions=decisions,
                quarantined=quarantined,
                append_times_ms=[
                    leaf.input.append_time_ms for part in judged.values() for leaf in part.leaves
                ],
                committed_at_ms=ports.clock.now_ms(),
                elapsed_ms=elapsed_ms,
            )
        )


def report_step(ports: Ports) -> None:
    """Tell the monitor that a step that may take a minute has ended."""
    if ports.monitor is not None:
        ports.monitor.stepped()


def _report_control(number: int, part: Judged, ports: Ports) -> None:
    """Tell where a refusal stands; its text may quote a record that nobody signed."""
    for leaf in part.leaves:
        if leaf.admission is None:
            ports.telemetry.emit(
                EventKind.CONTROL_ACCEPTED, partition=number, input_offset=leaf.input.offset
            )
    for refusal in part.refusals:
        ports.telemetry.emit(EventKind.CONTROL_REFUSED, partition=number, field=refusal.field)
