"""Step d2 of assignment: the last records of the outputs are those that the target names.

Without it a lost transaction marker plus a crash loses an acknowledged decision, and recovery
would say ready. `design/transaction.md` §3.
"""

from gate.core.state import RecoveryTarget
from gate.core.topics import Topics
from gate.core.wire.changelog import (
    is_admission_record,
    read_admission_record,
    read_control_state,
)
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record
from gate.errors import PartitionStopped
from gate.ports import LogRecord, TopicPartition
from gate.runtime.picture import Picture

LEAF_INDEX_HEADER = "leaf-index"


def check_outputs(number: int, target: RecoveryTarget, topics: Topics, picture: Picture) -> None:
    """Compare each output's last committed record with the target.

    A topic that retention has emptied can not be compared and passes. Raises `PartitionStopped`
    (`output_torn`), naming topic and both numbers.
    """
    for topic, expected in (
        (topics.approved, target.last_approved),
        (topics.denied, target.last_denied),
        (topics.quarantine, target.last_quarantine),
        (topics.changelog, target.sequence),
    ):
        where = TopicPartition(topic, number)
        last, ends = picture.last[where], picture.ends[where]
        if last is None and 0 < ends.first == ends.high_watermark:
            continue
        found = _number_of(last, topic, topics, number)
        if found != expected:
            word = "sequence" if topic == topics.changelog else "leaf index"
            raise PartitionStopped(
                "output_torn",
                number,
                f"topic `{topic}`: expected its last record to have {word} {expected}, "
                f"found {found}; a committed transaction was torn, somebody else wrote there, or "
                "the topic was made again: restore it from a copy, and `gate audit` it",
            )


def _number_of(last: LogRecord | None, topic: str, topics: Topics, number: int) -> int:
    if last is None:
        return 0 if topic == topics.changelog else -1
    value = last.value or b""
    try:
        if topic == topics.changelog:
            if is_admission_record(value):
                return read_admission_record(value).sequence
            return read_control_state(value).sequence
        if topic == topics.quarantine:
            return int(dict(last.headers)[LEAF_INDEX_HEADER])
        return read_decision_record(value).leaf_index
    except (WireError, KeyError, ValueError) as fault:
        raise PartitionStopped(
            "output_torn", number, f"topic `{topic}`: its last record does not read: {fault}"
        ) from fault
