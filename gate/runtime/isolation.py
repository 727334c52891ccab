"""Isolation: after repeated aborts one partition a transaction, so the failing one shows itself.

A partition that fails alone three times in a row stops; once every one that failed has succeeded,
batches are mixed again. `design/transaction.md` §4.
"""

from collections.abc import Collection, Mapping, Sequence

from gate.errors import PartitionStopped
from gate.ports import LogRecord
from gate.runtime.partition import OwnedPartition
from gate.runtime.settings import (
    ABORTS_BEFORE_ISOLATION,
    ABORTS_IN_A_ROW_MAX,
    BATCH_PARTITIONS_MAX,
)


class Isolation:
    """Counts aborts, and says how many partitions a transaction may have."""

    def __init__(self) -> None:
        """Begin without an abort."""
        self._aborts_in_a_row = 0
        self._alone_last = -1

    @property
    def partitions_max(self) -> int:
        """How many partitions the next transaction may have."""
        return BATCH_PARTITIONS_MAX if self._aborts_in_a_row < ABORTS_BEFORE_ISOLATION else 1

    def in_turn(self, records: Sequence[LogRecord]) -> Sequence[LogRecord]:
        """Return the records in the order in which their partitions have their turn."""
        if self.partitions_max > 1:
            return records
        last = self._alone_last
        return sorted(records, key=lambda r: (r.partition <= last, r.partition))

    def count_success(
        self, batch: Collection[int], partitions: Mapping[int, OwnedPartition]
    ) -> None:
        """Leave isolation once every partition that failed has succeeded."""
        for number in batch:
            partitions[number].aborts_alone = 0
            self._alone_last = number
        if not any(partition.aborts_alone for partition in partitions.values()):
            self._aborts_in_a_row = 0

    def count_abort(
        self, batch: Collection[int], partitions: Mapping[int, OwnedPartition], why: str
    ) -> PartitionStopped | None:
        """Count one more abort; return the stop of a partition that failed alone too often."""
        self._aborts_in_a_row += 1
        if len(batch) > 1:
            return None
        (number,) = batch
        self._alone_last = number
        partition = partitions[number]
        partition.aborts_alone += 1
        if partition.aborts_alone < ABORTS_IN_A_ROW_MAX:
            return None
        text = f"its transactions were aborted {partition.aborts_alone} times in a row: {why}"
        partition.aborts_alone = 0
        return PartitionStopped("transaction_failing", number, text)
