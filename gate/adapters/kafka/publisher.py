"""Publishes from outside the gate: the client's and the control tool's side.

Places are checked before anything is sent. A transactional id is taken over at its first use; a
publisher that took it over later fences this one.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from gate.adapters.kafka.clients import Cluster
from gate.adapters.kafka.errors import Reasons, denied, is_denied, told
from gate.adapters.kafka.membership import read_membership
from gate.adapters.kafka.output import Delivery, KafkaOutput
from gate.adapters.kafka.settings import (
    Connection,
    client_of,
    plain_properties,
    unjoined_properties,
)
from gate.errors import Fenced, OutcomeUnknown, TransactionAborted, Unreachable
from gate.ports import OffsetCommit, OutputRecord

_FLUSH_S: Final = 30.0


class KafkaPublisher:
    """Implements `gate.ports.Publisher`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cluster = Cluster(connection)
        self._reasons = Reasons()
        self._plain: Producer | None = None
        self._outputs: dict[str, KafkaOutput] = {}

    def close(self) -> None:
        """Close every producer."""
        for output in self._outputs.values():
            output.close()
        self._outputs.clear()
        self._plain = None

    def publish(
        self, records: Sequence[OutputRecord], *, transactional_id: str | None = None
    ) -> Sequence[int]:
        """Follow the port; without a transactional id a failure may leave some records visible."""
        for record in records:
            self._cluster.check_place(record)
        if not records:
            return []
        if transactional_id is not None:
            return self._publish_all_or_none(records, transactional_id)
        return self._publish_each(records)

    def publish_with_offsets(
        self,
        records: Sequence[OutputRecord],
        *,
        transactional_id: str,
        group_id: str,
        topic: str,
        offsets: Sequence[OffsetCommit],
        check: Callable[[], None],
    ) -> None:
        """Follow the port. A static member that stopped counts until its session ends.

        A broker takes the offsets of anybody who names the group and no generation: the check for
        members comes first, and only `init-lineage` goes this way.
        """
        for record in records:
            self._cluster.check_place(record)
        if self._cluster.has_members(group_id):
            seconds = self._connection.session_timeout_ms // 1000
            raise Fenced(
                f"expected group `{group_id}` to have no member, found one: stop the gate, then "
                f"wait up to {seconds} s: a gate that stopped counts until its session ends"
            )
        unjoined = client_of(
            Consumer, unjoined_properties(self._connection, group_id, self._reasons)
        )
        output = KafkaOutput(self._connection, transactional_id=transactional_id, input_topic=topic)
        try:
            identity = read_membership(unjoined.consumer_group_metadata(), group_id)
            output.open()
            check()
            output.begin()
            for record in records:
                output.produce(record)
            output.send_offsets(offsets, identity)
            output.commit()
        finally:
            output.close()
            unjoined.close()

    def _publish_each(self, records: Sequence[OutputRecord]) -> list[int]:
        if self._plain is None:
            self._plain = client_of(Producer, plain_properties(self._connection, self._reasons))
        producer, delivered = self._plain, _Delivered(len(records))
        for number, (topic, partition, key, value, headers) in enumerate(records):
            while True:
                try:
                    producer.produce(
                        topic,
                        value,
                        key,
                        partition,
                        on_delivery=delivered.callback(number),
                        headers=list(headers),
                    )
                    break
                except BufferError:
                    producer.poll(0.05)
                except KafkaException as raised:
                    raise TransactionAborted(f"publish: {told(raised.args[0])}") from raised
        left = producer.flush(_FLUSH_S)
        if left:
            producer.purge(in_queue=True, in_flight=True, blocking=False)
            servers = self._connection.bootstrap_servers
            gone = self._reasons.unreachable("publishing", f"{left} records are not sent", servers)
            raise OutcomeUnknown(str(gone)) from gone
        return delivered.offsets()

    def _publish_all_or_none(
        self, records: Sequence[OutputRecord], transactional_id: str
    ) -> list[int]:
        output = self._begun(transactional_id)
        delivered = _Delivered(len(records))
        try:
            for number, record in enumerate(records):
                output.produce(record, on_delivery=delivered.callback(number))
            output.commit()
        except (TransactionAborted, OutcomeUnknown, Unreachable):
            self._outputs.pop(transactional_id).close()  # aborts where that is certain
            raise
        return delivered.offsets()

    def _begun(self, transactional_id: str) -> KafkaOutput:
        """Return an output of the id with a transaction begun."""
        output = self._outputs.get(transactional_id)
        if output is None:
            output = KafkaOutput(
                self._connection, transactional_id=transactional_id, input_topic=""
            )
            output.open()
            self._outputs[transactional_id] = output
        try:
            output.begin()
        except OutcomeUnknown:  # nothing is open: a renewal is called for
            output.renew()
            output.begin()
        return output


class _Delivered:
    """Where the broker put each record.

    The callbacks only store: one that calls anything makes the client raise what no `except`
    clause catches, on a fenced producer.
    """

    def __init__(self, count: int) -> None:
        self._messages: list[Any] = [None] * count

    def callback(self, number: int) -> Delivery:
        messages = self._messages

        def store(_error: KafkaError | None, message: Message) -> None:
            messages[number] = message

        return store

    def offsets(self) -> list[int]:
        """Return the offsets.

        Raises `OutcomeUnknown` when one may not have been delivered, `Unreachable` and
        `TransactionAborted` when the broker refused one.
        """
        found = []
        for message in self._messages:
            error = None if message is None else message.error()
            if error is not None and is_denied(error):
                raise denied(error, f"publishing to topic `{message.topic()}`")
            if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise TransactionAborted(f"publish: a batch of records is refused: {told(error)}")
            if message is None or error is not None:
                why = "no report" if error is None else told(error)
                raise OutcomeUnknown(f"publish: a record may not have been delivered: {why}")
            found.append(int(message.offset()))
        return found
