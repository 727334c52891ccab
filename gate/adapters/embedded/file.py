"""The file: its tables, how it is opened and written, and its errors in the gate's words.

Promises that a damaged, foreign or newer file is refused when it is opened, and that every write
is one transaction whose failure says whether it happened. Records carry a CRC-32, because SQLite
does not see a flipped bit inside a value. Leaves what is written to the modules beside it.
"""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote
from zlib import crc32

from gate.errors import (
    ConfigInvalid,
    GateError,
    OutcomeUnknown,
    TransactionAborted,
    Unreachable,
    Unreadable,
)
from gate.ports import Headers, LogRecord

FORMAT: Final = 1
_APPLICATION_ID: Final = 0x4761_7465  # "Gate"
_BUSY_MS: Final = 30_000
_TURN_MS: Final = 3
MARKER_TIME_MS: Final = 0
"""The append time of a row that is no record: where a broker would write a marker."""
_OFFSET_BITS: Final = 40
_FETCH_BYTES_MAX: Final = 8 * 1024 * 1024

# `record.id` is `partition.id` and the offset in one number: one B-tree, clustered by both.
_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE topic (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, topic_id TEXT NOT NULL,
    partition_count INTEGER NOT NULL, settings TEXT NOT NULL);
CREATE TABLE partition (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, number INTEGER NOT NULL,
    first_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL, UNIQUE (topic, number));
CREATE TABLE record (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, key BLOB, value BLOB,
    headers BLOB, crc INTEGER NOT NULL);
CREATE TABLE producer (transactional_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE member (group_id TEXT PRIMARY KEY, generation INTEGER NOT NULL,
    member_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE group_offset (group_id TEXT NOT NULL, partition INTEGER NOT NULL,
    next_offset INTEGER NOT NULL, metadata TEXT NOT NULL,
    PRIMARY KEY (group_id, partition)) WITHOUT ROWID;
"""

_DISK_FULL: Final = "disk full: nothing was written; free some space and start again"


def row_id(partition_id: int, offset: int) -> int:
    """Return the `record.id` of an offset of a partition."""
    return (partition_id << _OFFSET_BITS) + offset


def create(path: Path, cluster_id: str) -> None:
    """Make the file and its tables in one transaction; one that is there already is left alone.

    Raises `ConfigInvalid` when the file can not be made.
    """
    try:
        connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None)
    except sqlite3.Error as error:
        raise _not_opened(path, error) from error
    try:
        if path.stat().st_size == 0:
            connection.execute("PRAGMA page_size = 8192")
            _use_wal(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            for statement in _TABLES.strip().split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES ('cluster_id', ?)", (cluster_id,))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise _not_opened(path, error) from error
    finally:
        connection.close()


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open the file, refusing one that is not this format.

    Raises `ConfigInvalid` naming the file and the cure, `Unreachable` while another process keeps
    it locked.
    """
    if not path.is_file():
        text = (
            f"embedded log `{path}` does not exist: name the right file, restore it from a copy, "
            "or begin with `gate init-lineage`"
        )
        raise ConfigInvalid(text)
    uri = f"file:{quote(str(path))}?mode={'rw' if writable else 'ro'}"
    connection = None
    try:
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        _check_format(connection, path)
        if writable:
            _use_wal(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 2000")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute(f"PRAGMA journal_size_limit = {64 * 1024 * 1024}")
    except BaseException as error:
        if connection is not None:
            connection.close()
        # SQLite quotes the schema in its messages, and damage there is no text.
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise _not_opened(path, error) from error
        raise
    return connection


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != _APPLICATION_ID:
        text = f"`{path}` is not an embedded log of a gate: name another file"
        raise ConfigInvalid(text)
    if version != FORMAT:
        text = (
            f"embedded log `{path}` has another format: expected {FORMAT}, got {version}: "
            "open it with the gate that wrote it"
        )
        raise ConfigInvalid(text)
    connection.execute("SELECT count(*) FROM meta, partition, producer, member").fetchone()


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        text = (
            f"embedded log `{path}` needs a local file system: expected journal `wal`, got {mode}"
        )
        raise ConfigInvalid(text)


def _primary_code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _not_opened(path: Path, error: Exception) -> GateError:
    code = _primary_code(error)
    if code == sqlite3.SQLITE_BUSY:
        text = f"embedded log `{path}` is locked by another process: try again: {error}"
        return Unreachable(text)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
        text = (
            f"embedded log `{path}` is damaged or another kind of file: "
            f"restore it from a copy or name another file: {error}"
        )
        return ConfigInvalid(text)
    text = f"embedded log `{path}` can not be opened: check its folder and permissions: {error}"
    return ConfigInvalid(text)


def _not_read(path: Path, error: sqlite3.Error) -> GateError:
    if _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        text = f"embedded log `{path}` is damaged: restore it from a copy: {error}"
        return Unreadable(text)
    text = f"embedded log `{path}` can not be read: {error}"
    return Unreachable(text)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate errors of reads: `Unreadable` for damage, `Unreachable` for the rest."""
    try:
        yield
    except sqlite3.Error as error:
        raise _not_read(path, error) from error
    except (TypeError, ValueError, struct.error) as error:
        # SQLite keeps a value's type beside it: damage can make a number nothing, or text.
        text = f"embedded log `{path}` is damaged: restore it from a copy: {error}"
        raise Unreadable(text) from error


@contextmanager
def writing(
    connection: sqlite3.Connection, path: Path, *, failure: type[GateError] | None = None
) -> Iterator[None]:
    """Run the body in one write transaction; an exception from it leaves nothing behind.

    Raises `TransactionAborted` when certainly nothing was written and `OutcomeUnknown` when the
    commit itself failed (a failed sync may have reached the disk); `failure` replaces both.
    """
    try:
        _begin(connection)
        yield
    except sqlite3.Error as error:
        _roll_back(connection)
        raise (failure or TransactionAborted)(_not_written(path, error)) from error
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        # Full: the commit frame was not written, and the next transaction overwrites the rest.
        full = _primary_code(error) == sqlite3.SQLITE_FULL
        kind = failure or (TransactionAborted if full else OutcomeUnknown)
        raise kind(_not_written(path, error)) from error


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock; SQLite's own wait sleeps ever longer and starves beside a busy gate."""
    connection.execute(f"PRAGMA busy_timeout = {_TURN_MS}")
    try:
        for left in reversed(range(_BUSY_MS // _TURN_MS)):
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _primary_code(error) != sqlite3.SQLITE_BUSY or not left:
                    raise
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def _not_written(path: Path, error: sqlite3.Error) -> str:
    code = _primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return f"embedded log `{path}`: {_DISK_FULL}"
    if code == sqlite3.SQLITE_BUSY:
        return (
            f"embedded log `{path}`: another process has been writing for {_BUSY_MS} ms: "
            "stop it or try again"
        )
    return f"embedded log `{path}` can not be written: check the disk: {error}"


def encode_headers(headers: Headers) -> bytes | None:
    """Return the headers as one value of the file, `None` when there are none."""
    if not headers:
        return None
    parts = []
    for name, value in headers:
        encoded = name.encode()
        parts.append(struct.pack(">II", len(encoded), len(value)) + encoded + value)
    return b"".join(parts)


def _read_headers(encoded: bytes) -> Headers:
    headers = []
    at = 0
    while at < len(encoded):
        name_size, value_size = struct.unpack_from(">II", encoded, at)
        value_at = at + 8 + name_size
        at = value_at + value_size
        headers.append((encoded[value_at - name_size : value_at].decode(), encoded[value_at:at]))
    return tuple(headers)


def checksum_start(number: int, time_ms: int) -> int:
    """Return where a record's CRC-32 starts, so that it covers row id and append time, too."""
    mixed = number ^ time_ms << 7
    return (mixed ^ mixed >> 32) & 0xFFFF_FFFF


class Stretch(NamedTuple):
    """A stretch of a partition: `end` is the offset after its last."""

    partition: int
    partition_id: int
    start: int
    end: int


def fetch(
    connection: sqlite3.Connection, path: Path, stretch: Stretch, rows_max: int
) -> tuple[list[LogRecord], int]:
    """Return records of the stretch and the offset from which to read on.

    Reads at most so many rows, markers among them, and stops after 8 MiB of values. Raises
    `Unreadable` for a record whose checksum is wrong or an offset without a row: every offset has
    one, so a lost record can not pass for a marker.
    """
    partition, partition_id, start, end = stretch
    base = partition_id << _OFFSET_BITS
    make = tuple.__new__  # half the time of calling `LogRecord`
    records: list[LogRecord] = []
    append = records.append
    expected = first = base + start
    size = 0
    rows = connection.execute(_SELECT, (first, base + end, rows_max))
    try:
        for number, time_ms, key, value, headers, crc in rows:
            mixed = number ^ time_ms << 7
            actual = crc32(value or b"", crc32(key or b"", (mixed ^ mixed >> 32) & 0xFFFF_FFFF))
            if headers is not None:
                actual = crc32(headers, actual)
            if actual != crc or number != expected:
                raise _record_damaged(path, partition, expected - base)
            expected += 1
            if time_ms == MARKER_TIME_MS:
                continue
            decoded = () if headers is None else _read_headers(headers)
            append(make(LogRecord, (partition, number - base, time_ms, True, key, value, decoded)))
            if value is not None:
                size += len(value)
                if size > _FETCH_BYTES_MAX:
                    return records, expected - base
    finally:
        rows.close()
    if expected - first < min(rows_max, end - start):
        raise _record_damaged(path, partition, expected - base)
    return records, expected - base


def _record_damaged(path: Path, partition: int, offset: int) -> Unreadable:
    text = (
        f"embedded log `{path}`: record {offset} of partition {partition} is damaged or missing: "
        "restore the file from a copy"
    )
    return Unreadable(text, partition=partition, offset=offset)


_SELECT: Final = (
    "SELECT id, time_ms, key, value, headers, crc FROM record"
    " WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
)


def partition_ids(connection: sqlite3.Connection, topic: str) -> dict[int, int]:
    """Return `partition.id` by partition number, empty when there is no such topic."""
    rows = connection.execute(
        "SELECT number, partition.id FROM partition JOIN topic ON topic.id = partition.topic"
        " WHERE name = ? ORDER BY number",
        (topic,),
    )
    return dict(rows.fetchall())
