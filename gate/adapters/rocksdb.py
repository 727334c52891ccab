"""The state store in RocksDB: a folder of the slot, one database per partition.

Promises that changes, position and identity are written in one atomic batch of one column family
without a write-ahead log, so that after a crash the store is an exact prefix of what was applied,
with the position of that prefix. Damage that RocksDB sees is `StoreDamaged`; rot that it can not
see is left to the fingerprint, which the runtime compares at restore. What keys and values mean
is left to the core. `research/exactly-once.md` §4.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from gate.errors import StoreDamaged, StoreFailed
from gate.ports import (
    EMPTY_POSITION,
    STORE_FORMAT,
    AppliedPosition,
    StateChange,
    StoreIdentity,
)

_ADMISSION: Final = b"a"
_CONTROL: Final = b"c"
_META_KEY: Final = b"m"
_BLOOM_BITS_PER_KEY: Final = 10
_CHECKSUM_BYTES: Final = 8
_LOG_FILES: Final = 3
_LOG_BYTES: Final = 1024 * 1024
_EFFECTIVE_OPTIONS: Final = ("filter_policy=bloomfilter", "compression=kLZ4Compression")
_DAMAGE_WORDS: Final = ("corruption", "checksum", "invalid argument", "not found", "no such file")


def encode_meta(position: AppliedPosition, identity: StoreIdentity) -> bytes:
    """Return format (2 bytes), BLAKE2b-64 of the rest, and the rest: position and identity."""
    body = json.dumps(
        {
            "control_sha256": position.control_sha256.hex(),
            "fingerprint": position.fingerprint,
            "frontier": position.frontier.hex(),
            "next_offset": position.next_offset,
            "replay_from": position.replay_from,
            "sequence": position.sequence,
            "tree_size": position.tree_size,
            "changelog_topic_id": identity.changelog_topic_id,
            "lineage_secret_sha256": identity.lineage_secret_sha256.hex(),
            "partition": identity.partition,
            "partition_count": identity.partition_count,
            "requests_topic_id": identity.requests_topic_id,
        }
    ).encode()
    checksum = blake2b(body, digest_size=_CHECKSUM_BYTES).digest()
    return struct.pack(">H", identity.format) + checksum + body


def read_meta(encoded: bytes, where: Path) -> tuple[AppliedPosition, StoreIdentity]:
    """Read what `encode_meta` wrote. Raises `StoreDamaged`, `StoreFailed` for a newer format."""
    number = int.from_bytes(encoded[:2], "big")
    if number > STORE_FORMAT:
        text = (
            f"state store `{where}` was written by a newer gate: expected format "
            f"{STORE_FORMAT}, got {number}: run that gate or remove the folder"
        )
        raise StoreFailed(text)
    checksum, body = encoded[2 : 2 + _CHECKSUM_BYTES], encoded[2 + _CHECKSUM_BYTES :]
    if blake2b(body, digest_size=_CHECKSUM_BYTES).digest() != checksum:
        text = f"state store `{where}` is damaged: its position has a wrong checksum"
        raise StoreDamaged(text)
    fields = json.loads(body)
    position = AppliedPosition(
        sequence=fields["sequence"],
        fingerprint=fields["fingerprint"],
        replay_from=fields["replay_from"],
        next_offset=fields["next_offset"],
        tree_size=fields["tree_size"],
        frontier=bytes.fromhex(fields["frontier"]),
        control_sha256=bytes.fromhex(fields["control_sha256"]),
    )
    identity = StoreIdentity(
        format=number,
        requests_topic_id=fields["requests_topic_id"],
        changelog_topic_id=fields["changelog_topic_id"],
        partition=fields["partition"],
        partition_count=fields["partition_count"],
        lineage_secret_sha256=bytes.fromhex(fields["lineage_secret_sha256"]),
    )
    return position, identity


@contextmanager
def _translated(where: Path) -> Iterator[None]:
    """Turn the library's one error class, told apart by its text, into the gate's."""
    try:
        yield
    except (StoreDamaged, StoreFailed, AssertionError):
        raise
    except Exception as error:
        found = str(error)
        if any(word in found.lower() for word in _DAMAGE_WORDS):
            text = f"state store `{where}` is damaged: {found}"
            raise StoreDamaged(text) from error
        if "lock" in found.lower():
            text = f"state store `{where}` is in use: stop the other gate of this slot: {found}"
            raise StoreFailed(text) from error
        text = f"state store `{where}` failed: check disk space and permissions: {found}"
        raise StoreFailed(text) from error


class _RocksPartition:
    """Implements `gate.ports.PartitionStore`."""

    def __init__(self, database: Any, where: Path) -> None:
        """Read the position, which also proves that the store can be read."""
        self._database = database
        self._where = where
        self._is_closed = False
        with _translated(where):
            meta = database.get(_META_KEY)
        self._position = EMPTY_POSITION
        self._identity: StoreIdentity | None = None
        if meta is not None:
            self._position, self._identity = read_meta(meta, where)
        elif self._has_keys():
            text = f"state store `{where}` is damaged: it has keys but no position"
            raise StoreDamaged(text)

    def identity(self) -> StoreIdentity | None:
        """Follow the port."""
        return self._identity

    def position(self) -> AppliedPosition:
        """Follow the port."""
        return self._position

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Follow the port."""
        with _translated(self._where):
            found: list[bytes | None] = self._database.get([_ADMISSION + key for key in keys])
        return found

    def control_items(self) -> Sequence[tuple[bytes, bytes]]:
        """Follow the port."""
        items = []
        with _translated(self._where):
            cursor = self._database.iter()
            cursor.seek(_CONTROL)
            while cursor.valid():
                key = cursor.key()
                if key[:1] != _CONTROL:
                    break
                items.append((key[1:], cursor.value()))
                cursor.next()
            cursor.status()  # an iteration over damage ends early and says so only here
        return items

    def apply(
        self,
        changes: Sequence[StateChange],
        position: AppliedPosition,
        identity: StoreIdentity,
    ) -> None:
        """Follow the port."""
        assert identity.format == STORE_FORMAT, "an adapter writes one format"
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value, is_control in changes:
            put((_CONTROL if is_control else _ADMISSION) + key, value)
        put(_META_KEY, encode_meta(position, identity))
        with _translated(self._where):
            self._database.write(batch)
        self._position, self._identity = position, identity

    def flush(self) -> None:
        """Follow the port."""
        with _translated(self._where):
            self._database.flush()

    def close(self) -> None:
        """Follow the port."""
        if self._is_closed:
            return
        self._is_closed = True
        with _translated(self._where):
            try:
                self._database.flush()
            finally:
                self._database.close()

    def _has_keys(self) -> bool:
        with _translated(self._where):
            cursor = self._database.iter()
            cursor.seek_to_first()
            is_found: bool = cursor.valid()
            cursor.status()
        return is_found


class RocksStateStore:
    """Implements `gate.ports.StateStore` over a folder; cache and buffers are shared by all."""

    def __init__(
        self, folder: Path, *, cache_bytes: int = 64 << 20, write_buffer_bytes: int = 32 << 20
    ) -> None:
        """Remember the folder, which the first `open` makes."""
        self._folder = folder
        self._cache = Cache(cache_bytes)
        self._buffers = WriteBufferManager(write_buffer_bytes, False)
        self._buffer_bytes = write_buffer_bytes // 2

    def open(self, partition: int) -> _RocksPartition:
        """Follow the port."""
        where = self._folder / str(partition)
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = f"state store `{where}` can not be made: check disk and permissions: {error}"
            raise StoreFailed(text) from error
        with _translated(where):
            # Options given in another way are ignored when the database exists.
            database = Rdict(
                str(where), options=self._options(), column_families={"default": self._options()}
            )
        try:
            with _translated(where):
                unlogged: Any = WriteOptions()  # its stub calls this property a method
                unlogged.disable_wal = True
                database.set_write_options(unlogged)
            check_options(where)
            return _RocksPartition(database, where)
        except BaseException:
            with suppress(Exception):  # of a damaged one the end fails, too
                database.close()
            raise

    def move_aside(self, partition: int) -> str:
        """Follow the port."""
        where = self._folder / str(partition)
        number = 1
        while (aside := where.with_name(f"{partition}.damaged-{number}")).exists():
            number += 1
        try:
            where.rename(aside)
        except OSError as error:
            text = f"state store `{where}` can not be moved to `{aside}`: {error}"
            raise StoreFailed(text) from error
        return str(aside)

    def _options(self) -> Options:
        blocks = BlockBasedOptions()
        blocks.set_bloom_filter(_BLOOM_BITS_PER_KEY, False)  # before the factory, else ignored
        blocks.set_block_cache(self._cache)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(blocks)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_write_buffer_manager(self._buffers)
        options.set_write_buffer_size(self._buffer_bytes)
        options.set_keep_log_file_num(_LOG_FILES)
        options.set_max_log_file_size(_LOG_BYTES)
        return options


def check_options(where: Path) -> None:
    """Check that Bloom filter and compression took, as RocksDB itself wrote them down.

    Raises `StoreFailed`: without the filter each first-seen key costs a read of the disk.
    """
    try:
        newest = max(where.glob("OPTIONS-[0-9]*[0-9]"), key=lambda path: path.name)
        effective = newest.read_text("ascii", "replace")
    except (OSError, ValueError) as error:
        text = f"state store `{where}` has no readable options file: check disk and permissions"
        raise StoreFailed(text) from error
    for option in _EFFECTIVE_OPTIONS:
        if option not in effective:
            text = f"state store `{where}` runs without its options: expected `{option}`"
            raise StoreFailed(text)
