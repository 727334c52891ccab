"""Control records that were published and wait for the gate's answer, in one partition.

For the control tools: the next activation follows those that wait, not what is in force now. What
waits is judged as the gate will judge it, at its own append time.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gate.core.control.judge import Accepted, Rejected, judge_control
from gate.core.control.state import ControlState
from gate.core.policy.issues import AstDiffers, EngineUnavailable
from gate.core.topics import Topics
from gate.core.wire.control_record import is_control_record
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition

_SLICE_RECORDS = 1_000


class Waiting(NamedTuple):
    """One undecided control record, and what the gate is going to say as things stand."""

    partition: int
    input_offset: int
    verdict: Accepted | Rejected


class Ahead(NamedTuple):
    """The control state once everything that waits is decided, and what waits."""

    state: ControlState
    waiting: tuple[Waiting, ...]


def read_ahead(
    reader: LogReader, topics: Topics, gate: str, state: ControlState, *, partition: int = 0
) -> Ahead:
    """Judge what waits in a partition, from its committed offset to its end, upon `state`.

    Raises `ConfigInvalid` for a policy that this build can not run.
    """
    where = TopicPartition(topics.requests, partition)
    committed = reader.committed(gate, topics.requests, [partition])[partition]
    ends = reader.ends([where])[where]
    offset = ends.first if committed is None else committed.next_offset
    found: list[Waiting] = []
    while offset < ends.last_stable:
        part = reader.read(where, offset=offset, records_max=_SLICE_RECORDS)
        for record in _controls(part.records):
            verdict = judged(record.key, record.value or b"", record.append_time_ms, state)
            if isinstance(verdict, Accepted):
                state = verdict.state
            found.append(Waiting(partition, record.offset, verdict))
        offset = part.next_offset
    return Ahead(state, tuple(found))


def judged(
    key: bytes | None, value: bytes, append_time_ms: int, state: ControlState
) -> Accepted | Rejected:
    """Return what a gate in this state says of a control record. Raises `ConfigInvalid`."""
    try:
        return judge_control(key, value, append_time_ms=append_time_ms, state=state)
    except (EngineUnavailable, AstDiffers) as error:
        raise ConfigInvalid(f"this build can not run the policy: {error}") from error


def _controls(records: Iterable[LogRecord]) -> list[LogRecord]:
    return [record for record in records if is_control_record(record.value)]
