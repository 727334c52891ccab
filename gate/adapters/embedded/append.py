"""Appending inside a write transaction: what output and publisher have in common.

The caller holds the write lock (`file.writing`), so offsets are assigned and fencing is checked
against what is committed.
"""

import sqlite3
from collections.abc import Sequence
from zlib import crc32

from gate.adapters.embedded.file import (
    MARKER_TIME_MS,
    checksum_start,
    encode_headers,
    partition_ids,
    row_id,
)
from gate.errors import Fenced, TransactionAborted
from gate.ports import OutputRecord


class Partitions:
    """`partition.id` of every topic partition; topics are never removed from a file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._ids: dict[tuple[str, int], int] = {}

    def find(self, topic: str, partition: int) -> int | None:
        """Return the id, `None` when there is no such partition."""
        found = self._ids.get((topic, partition))
        if found is None:
            for number, partition_id in partition_ids(self._connection, topic).items():
                self._ids[topic, number] = partition_id
            found = self._ids.get((topic, partition))
        return found


def append(
    connection: sqlite3.Connection,
    records: Sequence[tuple[int, OutputRecord]],
    *,
    append_time_ms: int,
    has_marker: bool,
) -> list[int]:
    """Append records, each with its `partition.id`, and return their offsets, in order.

    `has_marker`: add a row that is no record after them in each partition, as a broker's
    transaction marker.
    """
    if append_time_ms <= MARKER_TIME_MS:
        raise TransactionAborted(
            f"expected a clock after 1970, found {append_time_ms} ms: set the machine's clock"
        )
    ends: dict[int, int] = {}
    rows = []
    offsets = []
    for partition_id, (_, _, key, value, headers) in records:
        offset = ends.get(partition_id)
        if offset is None:
            (offset,) = connection.execute(
                "SELECT next_offset FROM partition WHERE id = ?", (partition_id,)
            ).fetchone()
        ends[partition_id] = offset + 1
        offsets.append(offset)
        number = row_id(partition_id, offset)
        crc = crc32(value or b"", crc32(key or b"", checksum_start(number, append_time_ms)))
        encoded = None
        if headers:
            encoded = encode_headers(headers)
            crc = crc32(encoded or b"", crc)
        rows.append((number, append_time_ms, key, value, encoded, crc))
    if has_marker:
        for partition_id, end in ends.items():
            number = row_id(partition_id, end)
            crc = checksum_start(number, MARKER_TIME_MS)
            rows.append((number, MARKER_TIME_MS, None, None, None, crc))
    connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "UPDATE partition SET next_offset = ? WHERE id = ?",
        [(end + has_marker, partition_id) for partition_id, end in ends.items()],
    )
    return offsets


def next_epoch(connection: sqlite3.Connection, transactional_id: str) -> int:
    """Take over a transactional id: count its epoch up and return it."""
    (epoch,) = connection.execute(
        "INSERT INTO producer VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1"
        " RETURNING epoch",
        (transactional_id,),
    ).fetchone()
    return int(epoch)


def check_epoch(connection: sqlite3.Connection, transactional_id: str, epoch: int) -> None:
    """Raise `Fenced` unless `epoch` is the present one of the id."""
    found = connection.execute(
        "SELECT epoch FROM producer WHERE transactional_id = ?", (transactional_id,)
    ).fetchone()
    if found != (epoch,):
        text = (
            f"slot_in_use: transactional id `{transactional_id}` was taken over: "
            f"expected epoch {epoch}, got {found[0] if found else 'none'}"
        )
        raise Fenced(text)


def set_offset(
    connection: sqlite3.Connection,
    group_id: str,
    partition_id: int,
    next_offset: int,
    metadata: str,
) -> None:
    """Set a group's committed offset of a partition."""
    connection.execute(
        "INSERT INTO group_offset VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET next_offset = excluded.next_offset, metadata = excluded.metadata",
        (group_id, partition_id, next_offset, metadata),
    )
