"""The transactional producer of one slot.

No delivery callbacks and no `flush()`: commit reports what failed, and on a fenced producer the
client would raise what no `except` clause catches. Answers the gap of clients without KIP-890 by
asking for a renewal before the next begin. `design/transaction.md` §4.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka import TopicPartition as ClientPartition

from gate.adapters.kafka.bounded import Caller, NoReturn
from gate.adapters.kafka.clients import Cluster
from gate.adapters.kafka.errors import (
    Kind,
    Reasons,
    at_the_end,
    denied,
    error_of,
    in_transaction,
    is_denied,
    kind_of,
    told,
)
from gate.adapters.kafka.settings import Connection, client_of, transactional_properties
from gate.errors import Fenced, GateError, OutcomeUnknown, TransactionAborted
from gate.ports import GroupIdentity, OffsetCommit, OutputRecord

Delivery = Callable[[KafkaError | None, Message], None]

_CALL_S: Final = 5.0
_OFFSETS_S: Final = 15.0
_CLOSE_S: Final = 5.0
_BUFFER_WAIT_S: Final = 0.05
_SLOW_COMMIT_S: Final = 5.0
_SLOW_INTERVAL_S: Final = 60.0
_IDLE_S: Final = 3_600.0
_EXPIRED_PART: Final = 0.9
_EXPIRED_MAX: Final = 3
_EXPIRED_WINDOW_S: Final = 600.0


class KafkaOutput:
    """Implements `gate.ports.Output`."""

    def __init__(self, connection: Connection, *, transactional_id: str, input_topic: str) -> None:
        self._connection = connection
        self._transactional_id = transactional_id
        self._input_topic = input_topic
        self._deadline_s = connection.transaction_timeout_ms / 1000
        self._cluster = Cluster(connection)
        self._reasons = Reasons()
        self._producer: Producer | None = None
        self._caller = Caller(transactional_id)
        self._places: set[tuple[str, int]] = set()
        self._is_begun = False
        self._is_in_doubt = False
        self._begun_at = 0.0
        self._used_at = 0.0
        self._slow_at = -_SLOW_INTERVAL_S
        self._renewal = ""
        self._expired_at: list[float] = []

    def open(self) -> None:
        """Follow the port. Raises `Unreachable`, `Fenced`."""
        self._reasons.clear()
        properties = transactional_properties(
            self._connection, self._transactional_id, self._reasons
        )
        self._producer = producer = client_of(Producer, properties)
        try:
            _again(producer.init_transactions, time.monotonic() + self._deadline_s)
        except KafkaException as raised:
            error = error_of(raised)
            if kind_of(error) is Kind.FENCED:
                raise Fenced(f"slot_in_use: {told(error)}") from raised
            doing = f"opening transactional id `{self._transactional_id}`"
            if is_denied(error):
                raise denied(error, doing) from raised
            servers = self._connection.bootstrap_servers
            raise self._reasons.unreachable(doing, told(error), servers) from raised
        self._is_begun = self._is_in_doubt = False
        self._renewal = ""
        self._used_at = time.monotonic()
        self._reasons.clear()

    def begin(self) -> None:
        """Follow the port."""
        producer = self._open_producer()
        assert not self._is_begun, "begin inside a transaction"
        assert not self._is_in_doubt, "begin after an unknown outcome without renew"
        producer.poll(0)
        cause, why = self._why_renew()
        if cause:
            raise OutcomeUnknown(f"producer must be renewed before it goes on: {why}", cause=cause)
        try:
            producer.begin_transaction()
        except KafkaException as raised:
            raise self._told(error_of(raised), in_transaction, "begin") from raised
        self._begun_at = time.monotonic()
        self._is_begun = True

    def produce(self, record: OutputRecord, *, on_delivery: Delivery | None = None) -> None:
        """Follow the port. `on_delivery` is the publisher's; the gate's loop gives none."""
        producer = self._open_producer()
        assert self._is_begun, "produce outside a transaction"
        topic, partition, key, value, headers = record
        if (topic, partition) not in self._places:
            self._cluster.check_place(record)
            self._places.add((topic, partition))
        while True:
            try:
                if headers or on_delivery:
                    producer.produce(
                        topic, value, key, partition, headers=list(headers), on_delivery=on_delivery
                    )
                else:
                    producer.produce(topic, value, key, partition)
            except BufferError as full:
                if time.monotonic() - self._begun_at > self._deadline_s:
                    text = f"produce: the queue stayed full: {full}"
                    raise TransactionAborted(text) from full
                producer.poll(_BUFFER_WAIT_S)
            except KafkaException as raised:
                raise self._refused(error_of(raised), record) from raised
            else:
                return

    def send_offsets(self, offsets: Sequence[OffsetCommit], identity: GroupIdentity) -> None:
        """Follow the port.

        INVARIANT (bounded): where the group's coordinator is gone, the client waits for it for
        ever, whatever timeout it is given (librdkafka issues 5456 and 5511).
        """
        producer = self._open_producer()
        assert self._is_begun, "send_offsets outside a transaction"
        positions = [
            ClientPartition(self._input_topic, partition, offset, metadata)
            for partition, offset, metadata in offsets
        ]
        doing = f"offsets of topic `{self._input_topic}` for group `{identity.group_id}`"
        deadline = min(self._begun_at + self._deadline_s, time.monotonic() + _OFFSETS_S)

        def send(timeout: float) -> None:
            producer.send_offsets_to_transaction(positions, identity.token, timeout)

        try:
            self._caller(lambda: _again(send, deadline), timeout_s=_OFFSETS_S + 1)
        except NoReturn as stuck:
            self._is_in_doubt = True
            raise OutcomeUnknown(f"{doing}: the client does not return") from stuck
        except KafkaException as raised:
            raise self._told(error_of(raised), in_transaction, doing) from raised

    def commit(self) -> None:
        """Follow the port: calls again after a timeout, until the transaction's own."""
        producer = self._open_producer()
        assert self._is_begun, "commit outside a transaction"
        started = time.monotonic()
        try:
            _again(producer.commit_transaction, started + self._deadline_s)
        except KafkaException as raised:
            answer = self._told(error_of(raised), at_the_end, self._doing("commit"))
            self._is_in_doubt = isinstance(answer, OutcomeUnknown)
            raise answer from raised
        self._is_begun = False
        self._used_at = time.monotonic()
        elapsed = self._used_at - started
        if elapsed > _SLOW_COMMIT_S and self._used_at - self._slow_at >= _SLOW_INTERVAL_S:
            self._slow_at = self._used_at
            self._renewal = f"the last commit took {int(elapsed * 1000)} ms"

    def abort(self) -> None:
        """Follow the port."""
        assert not self._is_in_doubt, "abort after an unknown outcome"
        if not self._is_begun:
            return
        producer = self._open_producer()
        deadline = time.monotonic() + self._deadline_s
        try:
            _again(producer.abort_transaction, deadline, is_conflict_final=True)
        except KafkaException as raised:
            answer = self._told(error_of(raised), at_the_end, self._doing("abort"))
            if not isinstance(answer, Fenced):
                answer = OutcomeUnknown(str(answer))
            self._is_in_doubt = isinstance(answer, OutcomeUnknown)
            raise answer from raised
        self._is_begun = False
        self._used_at = time.monotonic()

    def renew(self) -> None:
        """Follow the port."""
        self._discard()
        self.open()

    def close(self) -> None:
        """Follow the port; aborts what is open where that is certain. A second call is nothing."""
        producer = self._producer
        if producer is not None and self._is_begun and not self._is_in_doubt:
            with suppress(KafkaException):
                producer.abort_transaction(_CLOSE_S)
        self._discard()

    def _discard(self) -> None:
        if self._producer is not None:
            self._producer.purge(in_queue=True, in_flight=True, blocking=False)
            self._producer = None
        self._caller.close()
        self._caller = Caller(self._transactional_id)
        self._is_begun = self._is_in_doubt = False

    def _open_producer(self) -> Producer:
        assert self._producer is not None, "the output is not open"
        return self._producer

    def _why_renew(self) -> tuple[str, str]:
        """Say why a delayed end of an older transaction may be on its way, if it may."""
        if self._renewal:
            return "slow_commit", self._renewal
        if self._reasons.has_line_error:
            return "unreachable", "a broker could not be reached since the previous begin"
        if time.monotonic() - self._used_at > _IDLE_S:
            return "idle", "it was idle for an hour"
        return "", ""

    def _doing(self, end: str) -> str:
        topics = ", ".join(sorted({topic for topic, _ in self._places}))
        return f"{end} of transactional id `{self._transactional_id}` to {topics or 'no topic'}"

    def _refused(self, error: KafkaError, record: OutputRecord) -> GateError:
        """A record refused by the client itself: only this transaction is concerned."""
        if kind_of(error) in {Kind.FENCED, Kind.FATAL}:
            return self._told(error, in_transaction, "produce")
        where = f"topic `{record.topic}` partition {record.partition}"
        return TransactionAborted(f"produce to {where}: {told(error)}")

    def _told(
        self, error: KafkaError, judge: Callable[[KafkaError, str], GateError], doing: str
    ) -> GateError:
        """Judge an error; "fenced" after most of the timeout is the broker's own abort."""
        answer = judge(error, doing)
        now = time.monotonic()
        is_old = self._is_begun and now - self._begun_at >= self._deadline_s * _EXPIRED_PART
        if isinstance(answer, Fenced) and error.code() != KafkaError.FENCED_INSTANCE_ID and is_old:
            self._expired_at = [at for at in self._expired_at if now - at < _EXPIRED_WINDOW_S]
            self._expired_at.append(now)
            if len(self._expired_at) <= _EXPIRED_MAX:
                return OutcomeUnknown(f"the transaction outlived its timeout: {answer}")
        return answer


def _again(
    call: Callable[[float], None],
    deadline: float,
    *,
    is_conflict_final: bool = False,
) -> None:
    """Call again with the same arguments while the client says so, until the deadline."""
    while True:
        left = deadline - time.monotonic()
        try:
            call(max(min(left, _CALL_S), 0.001))
        except KafkaException as raised:
            error = error_of(raised)
            is_conflict = error.code() == KafkaError._CONFLICT  # noqa: SLF001
            if kind_of(error) is not Kind.RETRY or left <= 0 or (is_conflict and is_conflict_final):
                raise
        else:
            return
