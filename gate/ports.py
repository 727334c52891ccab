"""The seam: what the runtime asks of the outside world, and the values that cross.

The log's implementations (Kafka; embedded; simulated, in tests) pass one conformance suite.
Terms: an *offset* that is committed or applied is of the next record; a record carries its own.
*Last stable offset* (LSO): below it every transaction has ended. *High watermark*: end of the log.
`design/transaction.md` §10.
"""

from collections.abc import Callable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from gate.core.topics import TopicSpec, TopicStanding

Headers = tuple[tuple[str, bytes], ...]


class LogRecord(NamedTuple):
    """One committed record of a topic partition. `is_append_time`: the broker set the time."""

    partition: int
    offset: int
    append_time_ms: int
    is_append_time: bool
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class OutputRecord(NamedTuple):
    """One record to be produced to an explicit partition."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class OffsetCommit(NamedTuple):
    """The next input offset of a partition, with its recovery target as metadata."""

    partition: int
    next_offset: int
    metadata: str


class Ends(NamedTuple):
    """First offset still in the log, last stable offset, high watermark."""

    first: int
    last_stable: int
    high_watermark: int


class ReadSlice(NamedTuple):
    """Committed records in offset order, and the offset from which to read on.

    `next_offset` passes markers and aborted records, so an empty slice may still make progress.
    """

    records: Sequence[LogRecord]
    next_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicIdentity:
    """What must not change under the gate."""

    topic_id: str
    partition_count: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupIdentity:
    """Who commits offsets. `token` is the adapter's own object for the client library.

    `generation` below 0 or an empty `member_id` means that a broker would check nothing: the
    runtime refuses to commit with it.
    """

    group_id: str
    generation: int
    member_id: str
    token: object


class Polled(NamedTuple):
    """What one poll brought, to be handled in the order revoked, assigned, records."""

    assigned: tuple[int, ...]
    revoked: tuple[int, ...]
    records: Sequence[LogRecord]


class Input(Protocol):
    """The requests topic as a member of the gate's consumer group; read committed."""

    def poll(self, *, records_max: int, timeout_ms: int) -> Polled:
        """Return assignment events and records of partitions that are not paused.

        Rebalances happen only inside this call, which never raises without having returned what
        they brought. A newly assigned partition is paused until `resume`. Raises `Unreadable`,
        `Lost`, `Unreachable`, `Fenced`.
        """

    def resume(self, partition: int, *, offset: int) -> None:
        """Deliver the partition's records from `offset` on; also repositions it."""

    def pause(self, partition: int) -> None:
        """Deliver nothing of the partition until `resume`."""

    def group_identity(self) -> GroupIdentity:
        """Return the present membership, for `Output.send_offsets`."""

    def close(self) -> None:
        """Leave the group."""


class Output(Protocol):
    """The transactional producer of one slot."""

    def open(self) -> None:
        """Take over the transactional id: ends the predecessor's transaction, fences it."""

    def begin(self) -> None:
        """Begin a transaction.

        Raises `Fenced`, and `OutcomeUnknown` while a renewal is due: nothing is open then; call
        `renew`.
        """

    def produce(self, record: OutputRecord) -> None:
        """Add a record to the transaction. Raises `TransactionAborted` when it can not be sent."""

    def send_offsets(self, offsets: Sequence[OffsetCommit], identity: GroupIdentity) -> None:
        """Add input offsets to the transaction. Raises `TransactionAborted`, `Fenced`."""

    def commit(self) -> None:
        """Commit. Returns only if committed.

        Raises `TransactionAborted` (certainly not committed; call `abort`), `OutcomeUnknown`
        (either; never call `abort`, call `renew`), `Fenced` (not committed; let go),
        `Unreachable` (refused for want of a right, so not committed; call `abort`).
        """

    def abort(self) -> None:
        """Abort the open transaction, if any. Raises `OutcomeUnknown`, `Fenced`."""

    def renew(self) -> None:
        """Discard the producer and open another with the same id; settles what was open."""

    def close(self) -> None:
        """Close without ending an open transaction by commit."""


class LogReader(Protocol):
    """Reads topics without being a member of a group; read committed, except `ends`."""

    def cluster_id(self) -> str:
        """Return the id of the cluster."""

    def topic(self, name: str) -> TopicIdentity | None:
        """Return the topic's identity, `None` when there is no such topic."""

    def committed(
        self, group_id: str, topic: str, partitions: Sequence[int]
    ) -> Mapping[int, OffsetCommit | None]:
        """Return the stable committed offsets. Raises `Pending` while one is undecided."""

    def ends(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Ends]:
        """Return the ends of all partitions named, in one call.

        Raises `Unreachable` unless the leader of each has answered.
        """

    def read(self, partition: TopicPartition, *, offset: int, records_max: int) -> ReadSlice:
        """Return committed records from `offset` on, below the LSO.

        Raises `Lost` below the first offset and beyond the high watermark, `Unreadable`.
        """

    def last(self, partition: TopicPartition) -> LogRecord | None:
        """Return the last committed record below the LSO, `None` when there is none."""

    def last_of(
        self, partitions: Sequence[TopicPartition]
    ) -> Mapping[TopicPartition, LogRecord | None]:
        """Return `last` of all partitions named, in as few requests as it takes."""

    def group_is_empty(self, group_id: str) -> bool:
        """Say whether nobody is a member of the group."""


class Publisher(Protocol):
    """Publishes records from outside the gate: the client's and the control tool's side."""

    def publish(
        self, records: Sequence[OutputRecord], *, transactional_id: str | None = None
    ) -> Sequence[int]:
        """Publish all records and return their offsets, in order.

        With a transactional id all or none become visible, and another publisher of that id is
        fenced. Raises `Unreachable`, `TransactionAborted`, `OutcomeUnknown`, `Fenced`.
        """

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
        """Publish records and set a memberless group's offsets, all or none (`init-lineage`).

        `check` is called once the id is taken over, which ended what another had begun with it,
        and before anything is written: what it raises is passed on. Raises as `publish`; `Fenced`
        also while the group has a member. A gate that stopped is one until its session ends.
        """


class Admin(Protocol):
    """Makes topics and looks after them; deletes none, and grows none."""

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create the topics; one that exists is left alone."""

    def standing(self, names: Sequence[str]) -> Mapping[str, TopicStanding | None]:
        """Return how topics stand, `None` for one that is not there."""

    def alter_topic(self, name: str, settings: Mapping[str, str]) -> None:
        """Set these settings of a topic; others stay as they are."""


class StateChange(NamedTuple):
    """One changelog record: an admission under its state key, or a part of the control state."""

    key: bytes
    value: bytes
    is_control: bool


STORE_FORMAT = 1
"""The one `StoreIdentity.format` this gate writes; a store with a higher one is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreIdentity:
    """What a store belongs to; a store with another identity is not this partition's."""

    format: int
    requests_topic_id: str
    changelog_topic_id: str
    partition: int
    partition_count: int
    lineage_secret_sha256: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedPosition:
    """How far a store has applied; written in one batch with the changes themselves.

    `replay_from` is a lower bound for the changelog offset of the first record not applied.
    """

    sequence: int
    fingerprint: int
    replay_from: int
    next_offset: int
    tree_size: int
    frontier: bytes
    control_sha256: bytes


EMPTY_POSITION = AppliedPosition(
    sequence=0,
    fingerprint=0,
    replay_from=0,
    next_offset=-1,
    tree_size=0,
    frontier=b"",
    control_sha256=bytes(32),
)


class PartitionStore(Protocol):
    """One partition's local state. Raises `StoreDamaged` on corruption, `StoreFailed` on I/O."""

    def identity(self) -> StoreIdentity | None:
        """Return what it belongs to, `None` for a store just made."""

    def position(self) -> AppliedPosition:
        """Return how far it has applied."""

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return the admission records under these state keys, in order."""

    def control_items(self) -> Sequence[tuple[bytes, bytes]]:
        """Return every part of the control state, ascending by key."""

    def apply(
        self,
        changes: Sequence[StateChange],
        position: AppliedPosition,
        identity: StoreIdentity,
    ) -> None:
        """Write changes, position and identity in one atomic batch."""

    def flush(self) -> None:
        """Make everything applied survive a crash of the machine."""

    def close(self) -> None:
        """Flush and close. A second call does nothing."""


class StateStore(Protocol):
    """The slot's folder of stores, one per partition."""

    def open(self, partition: int) -> PartitionStore:
        """Open or make the store. Raises `StoreDamaged`, `StoreFailed`."""

    def move_aside(self, partition: int) -> str:
        """Set the closed store aside for inspection and say where it is now."""


class Signer(Protocol):
    """Holds one private Ed25519 key."""

    def public_key(self) -> bytes:
        """Return the 32 bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature over exactly `message`."""


class Judging(Protocol):
    """Remembers over a death of the process which record it was judging."""

    @property
    def offsets(self) -> MutableSequence[int]:
        """The offset under judgement by partition, -1 for none; survives the process."""

    def suspect(self, partition: int) -> int | None:
        """Return the offset of the record whose judging killed the process twice, if any.

        Only SIGSEGV, SIGABRT and SIGBUS count; kill -9, lack of memory and power loss never do.
        """


class Clock(Protocol):
    """Time as the runtime sees it; never an argument of a decision."""

    def now_ms(self) -> int:
        """Return milliseconds since 1970 UTC."""

    def monotonic_ms(self) -> int:
        """Return milliseconds that never go back."""

    def sleep_ms(self, duration_ms: int) -> None:
        """Wait."""


class EventKind(Enum):
    """The closed list of events. Past tense; no payloads, no keys."""

    GATE_STARTED = "gate_started"
    GATE_STOPPED = "gate_stopped"
    PARTITION_ASSIGNED = "partition_assigned"
    PARTITION_READY = "partition_ready"
    PARTITION_REVOKED = "partition_revoked"
    PARTITION_STOPPED = "partition_stopped"
    STORE_MOVED_ASIDE = "store_moved_aside"
    RESTORE_PROGRESSED = "restore_progressed"
    TRANSACTION_COMMITTED = "transaction_committed"
    TRANSACTION_ABORTED = "transaction_aborted"
    OUTCOME_UNKNOWN = "outcome_unknown"
    PRODUCER_RENEWED = "producer_renewed"
    LOG_UNREACHABLE = "log_unreachable"
    INPUT_PINNED = "input_pinned"
    CONTROL_ACCEPTED = "control_accepted"
    CONTROL_REFUSED = "control_refused"


class Telemetry(Protocol):
    """Takes events; one per transaction, never one per record."""

    def emit(self, kind: EventKind, **fields: object) -> None:
        """Record that something happened. Never raises."""
