"""What is in force at a gate, read from the changelog of one of its partitions.

For those who publish: which policy governs an action, which activation comes next. It is what the
gate has decided so far; a control record that still waits in the input is not in it. Nothing is
verified here: a wrong answer leads to a request or control record that the gate refuses.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gate.client.followed_trust import Reading
from gate.core import dsse
from gate.core.control.restore import ControlStateDamaged, restore
from gate.core.control.state import ControlState
from gate.core.policy.issues import AstDiffers, EngineUnavailable
from gate.core.topics import Topics
from gate.core.values import ControlStateRecord
from gate.core.wire.changelog import is_admission_record, read_control_state
from gate.core.wire.reader import WireError
from gate.errors import ConfigInvalid, Unreadable
from gate.ports import LogReader, LogRecord, TopicPartition

_SLICE_RECORDS = 5_000


class InForce(NamedTuple):
    """The control state, the signed bundles that it remembers, by digest, and trust roots.

    `trust_roots` are the envelopes by version, the first one among them.
    """

    state: ControlState
    bundles: Mapping[bytes, dsse.Envelope]
    trust_roots: Mapping[int, bytes]


def read_in_force(
    reader: LogReader, topics: Topics, *, partition: int = 0, progress: Reading | None = None
) -> InForce:
    """Return what is in force in a partition; reads its whole changelog.

    Raises `ConfigInvalid` when the lineage has not begun or this build lacks the policy's engine,
    `Unreadable` when the changelog is damaged.
    """
    where = TopicPartition(topics.changelog, partition)
    parts = dict(_parts(reader, where, progress))
    if b"genesis" not in parts:
        raise ConfigInvalid(
            f"gate has no lineage: topic `{topics.changelog}` holds no Genesis: "
            "run `gate init-lineage` first"
        )
    try:
        state = restore(parts.items())
        bundles = {
            bytes.fromhex(key.removeprefix(b"bundle/").decode()): dsse.read_envelope(part.body)
            for key, part in parts.items()
            if key.startswith(b"bundle/")
        }
        roots = {
            int(key.removeprefix(b"root/")): part.body
            for key, part in parts.items()
            if key.startswith(b"root/")
        }
    except (EngineUnavailable, AstDiffers) as fault:
        raise ConfigInvalid(f"policy in force does not run in this build: {fault}") from fault
    except (ControlStateDamaged, ValueError) as fault:
        raise Unreadable(f"changelog of partition {partition} is damaged: {fault}") from fault
    return InForce(state, bundles, roots)


def _parts(
    reader: LogReader, where: TopicPartition, progress: Reading | None
) -> list[tuple[bytes, ControlStateRecord]]:
    if reader.topic(where.topic) is None:
        raise ConfigInvalid(
            f"gate has no topic `{where.topic}`: run `gate init-lineage` first, or check the "
            "configuration"
        )
    ends = reader.ends([where])[where]
    found = []
    offset = ends.first
    while offset < ends.last_stable:
        part = reader.read(where, offset=offset, records_max=_SLICE_RECORDS)
        found += [_part(record) for record in part.records if not _is_admission(record)]
        offset = part.next_offset
        if progress is not None:
            progress(where, min(offset, ends.last_stable), ends.last_stable)
    return found


def _is_admission(record: LogRecord) -> bool:
    return is_admission_record(record.value or b"")


def _part(record: LogRecord) -> tuple[bytes, ControlStateRecord]:
    try:
        return record.key or b"", read_control_state(record.value or b"")
    except WireError as fault:
        raise Unreadable(f"changelog offset {record.offset} does not read: {fault}") from fault
