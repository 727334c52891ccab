"""Reads topics without being a member of a group.

Every wait is bounded. Records come from a consumer that is assigned by hand, read committed; ends,
offsets and topics from the admin client, so that asking for the ends of many partitions is one
request to each broker.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
)
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    ConfigResource,
    ConfigSource,
    OffsetSpec,
)

from gate.adapters.kafka.clients import Cluster, result
from gate.adapters.kafka.errors import Reasons, error_of, is_denied, told
from gate.adapters.kafka.offsets import GroupOffsets
from gate.adapters.kafka.records import record_of
from gate.adapters.kafka.settings import REQUEST_TIMEOUT_S, Connection, client_of, reader_properties
from gate.errors import GateError, Lost, Unreachable, Unreadable
from gate.ports import (
    Ends,
    LogRecord,
    OffsetCommit,
    ReadSlice,
    TopicIdentity,
    TopicPartition,
)

_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_POLL_S: Final = 0.2
_BULK_RECORDS: Final = 1_000
_LAST_WINDOW: Final = 8
_LAST_GROWTH: Final = 8
_LAST_POLL_S: Final = 0.002
_SLICE_MAX: Final = 5_000
_LINE_CODES: Final = frozenset(
    {
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
    }
)


class KafkaReader:
    """Implements `gate.ports.LogReader`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._servers = connection.bootstrap_servers
        self._groups: dict[str, GroupOffsets] = {}
        self._cluster = Cluster(connection)
        self._reasons = Reasons()
        self._consumer = client_of(Consumer, reader_properties(connection, self._reasons))
        self._known: set[str] = set()
        self._at: tuple[TopicPartition, int] | None = None

    def close(self) -> None:
        """Close every consumer."""
        for group in self._groups.values():
            group.close()
        self._consumer.close()

    def cluster_id(self) -> str:
        """Follow the port."""

        def question() -> str:
            asked = self._cluster.client.describe_cluster(request_timeout=self._cluster.patience_s)
            return str(result(asked).cluster_id)

        return self._cluster.ask("describing the cluster", question)

    def topic(self, name: str) -> TopicIdentity | None:
        """Follow the port; `settings` are those made for this topic, not the cluster's.

        They are empty without the right to read them: a gate that only runs needs none of them.
        """
        found = self._cluster.describe([name])[name]
        if found is None:
            return None
        settings = self._settings(name)
        if settings is None:
            return None
        return TopicIdentity(
            topic_id=str(found.topic_id), partition_count=len(found.partitions), settings=settings
        )

    def committed(
        self, group_id: str, topic: str, partitions: Sequence[int]
    ) -> Mapping[int, OffsetCommit | None]:
        """Follow the port. Raises `Unreachable` too."""
        if group_id not in self._groups:
            self._groups[group_id] = GroupOffsets(self._connection, group_id)
        return self._groups[group_id].committed(topic, partitions)

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        """Follow the port. Raises `Unreachable` for a partition that is not there."""
        if not partitions:
            return {}
        topics = ", ".join(sorted({where.topic for where in partitions}))
        doing = f"ends of {len(partitions)} partitions of {topics}"
        try:
            first, stable, high = self._cluster.ask(doing, lambda: self._ask_ends(partitions))
        except KafkaException as error:
            raise Unreachable(f"{doing}: {told(error_of(error))}") from error
        ends: dict[TopicPartition, Ends] = {}
        for where in partitions:
            begin = first[where]
            committed = max(begin, stable[where])
            ends[where] = Ends(begin, committed, max(committed, high[where]))
        return ends

    def read(self, partition: TopicPartition, *, offset: int, records_max: int) -> ReadSlice:
        """Follow the port. Raises `Unreachable` too."""
        ends = self.ends([partition])[partition]
        if not ends.first <= offset <= ends.high_watermark:
            text = (
                f"partition {partition.partition} of `{partition.topic}` can not be read from "
                f"offset {offset}: the log holds {ends.first} to {ends.high_watermark}"
            )
            raise Lost(text)
        if offset >= ends.last_stable or records_max <= 0:
            return ReadSlice([], offset)
        self._stand_at(partition, offset)
        try:
            found = self._collect(partition, offset, ends.last_stable, records_max)
        except GateError:
            self._rest()
            raise
        if _BULK_RECORDS <= records_max <= len(found.records):
            self._at = (partition, found.next_offset)  # the next slice is on its way already
        else:
            self._rest()
        return found

    def last(self, partition: TopicPartition) -> LogRecord | None:
        """Follow the port."""
        return self.last_of([partition])[partition]

    def last_of(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, LogRecord | None]:
        """Follow the port: looks at windows before each LSO, each larger than the one before."""
        found: dict[TopicPartition, LogRecord | None] = dict.fromkeys(partitions)
        ends = self.ends(partitions)
        left = {
            where: end.last_stable for where, end in ends.items() if end.last_stable > end.first
        }
        window = _LAST_WINDOW
        while left:
            starts = {where: max(ends[where].first, end - window) for where, end in left.items()}
            found.update(self._last_within(starts, left))
            left = {
                where: start
                for where, start in starts.items()
                if found[where] is None and start > ends[where].first
            }
            window *= _LAST_GROWTH
        return found

    def group_is_empty(self, group_id: str) -> bool:
        """Follow the port; a static member that closed counts until its session ends."""
        return not self._cluster.has_members(group_id)

    def _last_within(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> Mapping[TopicPartition, LogRecord]:
        """Return the last record in each partition's range, for those that have one."""
        for topic in {where.topic for where in starts}:
            self._know(topic)
        self._at = None
        self._consumer.assign([ClientPartition(*where, start) for where, start in starts.items()])
        found: dict[TopicPartition, LogRecord] = {}
        unread = dict(ends)
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        try:
            while unread:
                messages = self._consumer.consume(_SLICE_MAX, _LAST_POLL_S)
                for message in messages:
                    self._take_last(message, unread, found)
                if messages:
                    deadline = time.monotonic() + REQUEST_TIMEOUT_S
                elif time.monotonic() > deadline:
                    where, end = next(iter(unread.items()))
                    doing = f"reading partition {where.partition} of `{where.topic}`"
                    why = f"nothing came below offset {end}"
                    raise self._reasons.unreachable(doing, why, self._servers)
        finally:
            self._rest()
        return found

    def _take_last(
        self,
        message: Any,
        unread: dict[TopicPartition, int],
        found: dict[TopicPartition, LogRecord],
    ) -> None:
        error = message.error()
        where = TopicPartition(message.topic() or "", message.partition())
        if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._take_error(error, where, message.offset())
            return
        if where not in unread:
            return
        passed = message.offset() if error is not None else message.offset() + 1
        if error is None and passed <= unread[where]:
            found[where] = record_of(message)
        if passed >= unread[where]:
            del unread[where]

    def _know(self, topic: str) -> None:
        """Look for a topic's leaders: the client would look for those new to it once a second."""
        if topic not in self._known:
            try:
                self._consumer.list_topics(topic, timeout=REQUEST_TIMEOUT_S)
            except KafkaException as error:
                doing, why = f"leaders of topic `{topic}`", told(error_of(error))
                raise self._reasons.unreachable(doing, why, self._servers) from error
            self._known.add(topic)

    def _settings(self, name: str) -> Mapping[str, str] | None:
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)

        def question() -> Mapping[str, str]:
            asked = self._cluster.client.describe_configs(
                [resource], request_timeout=self._cluster.patience_s
            )
            try:
                answered = result(asked[resource])
            except KafkaException as raised:
                if is_denied(error_of(raised)):
                    return {}
                raise
            entries = sorted(answered.values(), key=lambda entry: entry.name)
            return {
                entry.name: entry.value
                for entry in entries
                if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
            }

        try:
            return self._cluster.ask(f"settings of topic `{name}`", question)
        except KafkaException:  # it was deleted since
            return None

    def _ask_ends(
        self, partitions: Sequence[TopicPartition]
    ) -> tuple[Mapping[TopicPartition, int], ...]:
        """Ask for first, last stable and highest offsets: three requests under way at once."""
        committed, everything = IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED
        asked = [
            self._cluster.client.list_offsets(
                {ClientPartition(topic, number): spec for topic, number in partitions},
                isolation_level=isolation,
                request_timeout=self._cluster.patience_s,
            )
            for spec, isolation in (
                (_EARLIEST, everything),
                (_LATEST, committed),
                (_LATEST, everything),
            )
        ]
        return tuple(
            {
                TopicPartition(where.topic, where.partition): _offset(future, where)
                for where, future in futures.items()
            }
            for futures in asked
        )

    def _rest(self) -> None:
        """Fetch nothing more: at the end of a partition the client would ask all the time."""
        self._consumer.unassign()
        self._at = None

    def _stand_at(self, partition: TopicPartition, offset: int) -> None:
        """Read on where the last slice ended, or begin anew."""
        if self._at != (partition, offset):
            self._know(partition.topic)
            where = ClientPartition(partition.topic, partition.partition, offset)
            self._consumer.assign([where])

    def _collect(
        self, partition: TopicPartition, offset: int, end: int, records_max: int
    ) -> ReadSlice:
        """Take messages until enough came, or the consumer has passed `end`."""
        records: list[LogRecord] = []
        deadline = time.monotonic() + REQUEST_TIMEOUT_S
        while True:
            first = self._consumer.poll(_POLL_S)
            rest = records_max - len(records) - 1
            messages: list[Any] = [] if first is None else [first]
            if first is not None and first.error() is None and rest > 0:
                messages += self._consumer.consume(min(rest, _SLICE_MAX), 0)
            for message in messages:
                error = message.error()
                if error is None:
                    records.append(record_of(message))
                    offset = records[-1].offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                    offset = max(offset, message.offset())
                else:
                    self._take_error(error, partition, message.offset())
            if len(records) >= records_max or offset >= end:
                return ReadSlice(records, offset)
            if messages:
                deadline = time.monotonic() + REQUEST_TIMEOUT_S
            elif time.monotonic() > deadline:
                doing = f"reading partition {partition.partition} of `{partition.topic}`"
                why = f"nothing came below offset {end}"
                raise self._reasons.unreachable(doing, why, self._servers)

    def _take_error(self, error: KafkaError, partition: TopicPartition, offset: int) -> None:
        if error.code() in _LINE_CODES:
            return  # the client goes on trying; the deadline is ours
        text = (
            f"partition {partition.partition} of `{partition.topic}` can not be read from offset "
            f"{offset}: {told(error)}"
        )
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            raise Lost(text, partition=partition.partition, offset=offset)
        raise Unreadable(text, partition=partition.partition, offset=offset)


def _offset(future: "Future[Any]", where: ClientPartition) -> int:
    """Return an offset that a leader has told.

    INVARIANT (no answer is no end): of a leader that is gone the client tells no error but an
    offset of -1001, for the last stable offset as for the high watermark, as if all were settled.
    """
    offset = int(result(future).offset)
    if offset < 0:
        text = f"nobody answers for partition {where.partition} of `{where.topic}`"
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, text))
    return offset
