"""First start: Genesis and the first trust root in every partition, in one transaction.

An explicit act, never a fallback: an absent offset on a gate that has decided before is damage.
`design/transaction.md` §3, last paragraph.
"""

from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from gate.core.genesis import FirstRecords, first_genesis, first_records, genesis_origin
from gate.core.signature import key_id
from gate.core.state import LineageKeys
from gate.core.topics import Topics, init_transactional_id
from gate.core.trust import KeyRefusal, TrustRoot
from gate.core.values import Genesis
from gate.errors import ConfigInvalid, Pending, Pinned
from gate.ports import (
    Clock,
    LogReader,
    OffsetCommit,
    OutputRecord,
    Publisher,
    Signer,
    TopicIdentity,
    TopicPartition,
)
from gate.runtime.settings import ENDED_WAIT_MS, WAIT_MS
from gate.runtime.settled import held, is_held


class Beginning(Enum):
    """Where in the requests topic a lineage begins."""

    BEGINNING = "beginning"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStart:
    """What a new lineage begins with, in every partition."""

    domain: str
    gate: str
    topics: Topics
    keys: LineageKeys
    root: TrustRoot
    root_envelope: bytes
    runtime_line: str
    beginning: Beginning


def init_lineage(
    start: FirstStart, *, reader: LogReader, publisher: Publisher, signer: Signer, clock: Clock
) -> int:
    """Write Genesis, the first trust root, targets and offsets; return the partition count.

    Refuses (`ConfigInvalid`) unless the group is empty and has no offset, the outputs hold
    nothing, and the trust root is of this domain, not expired and lists our checkpoint key.
    """
    topics, gate = start.topics, start.gate
    requests, changelog = _check_empty(topics, gate, reader)
    _check_root(start.root, start.domain, clock.now_ms())
    starts = _first_offsets(topics, requests.partition_count, start.beginning, reader)
    records: list[OutputRecord] = []
    offsets: list[OffsetCommit] = []
    for number, first_offset in enumerate(starts):
        genesis = first_genesis(
            domain=start.domain,
            gate=gate,
            cluster_id=reader.cluster_id(),
            topic=topics.requests,
            topic_id=requests.topic_id,
            partition=number,
            partition_count=requests.partition_count,
            first_offset=first_offset,
            lineage_secret_sha256=start.keys.secret_sha256,
            trust_root_sha256=start.root.sha256,
        )
        first = _sign_first(start, genesis, changelog.topic_id, signer)
        records += _output_records(first, number, topics)
        offsets.append(OffsetCommit(number, first_offset, first.target))
    publisher.publish_with_offsets(
        records,
        transactional_id=init_transactional_id(gate),
        group_id=gate,
        topic=topics.requests,
        offsets=offsets,
        check=lambda: _wait_for_nothing(topics, gate, requests.partition_count, reader, clock),
    )
    return requests.partition_count


def _sign_first(
    start: FirstStart, genesis: Genesis, changelog_topic_id: str, signer: Signer
) -> FirstRecords:
    _check_signer(start.root, signer.public_key(), genesis_origin(genesis))
    return first_records(
        genesis,
        start.root,
        start.root_envelope,
        keys=start.keys,
        changelog_topic_id=changelog_topic_id,
        runtime=start.runtime_line,
        public_key=signer.public_key(),
        sign=signer.sign,
    )


def _output_records(first: FirstRecords, number: int, topics: Topics) -> list[OutputRecord]:
    records = [OutputRecord(topics.changelog, number, k, v) for k, v in first.changelog]
    lineage = OutputRecord(topics.lineage, number, first.origin.encode(), first.lineage)
    return [*records, lineage]


def _check_empty(
    topics: Topics, gate: str, reader: LogReader
) -> tuple[TopicIdentity, TopicIdentity]:
    """Return requests and changelog, if the group is new and all topics are there and empty."""
    found = {name: identity for name in topics if (identity := reader.topic(name)) is not None}
    missing = sorted(set(topics) - found.keys())
    if missing:
        raise ConfigInvalid(
            f"expected the gate's topics, found none named {', '.join(missing)}: make them with "
            "`gate topics apply`"
        )
    count = found[topics.requests].partition_count
    if not reader.group_is_empty(gate):
        raise ConfigInvalid(
            f"expected group `{gate}` to have no member, found one: stop the gate, then wait up to "
            "20 s: on Kafka a gate that stopped counts until its session ends"
        )
    for name in topics.outputs:
        _check_count(name, found[name], count)
    with suppress(Pending, Pinned):  # taking the id over ends what an earlier try left open
        _check_nothing(topics, gate, count, reader)
    return found[topics.requests], found[topics.changelog]


def _wait_for_nothing(
    topics: Topics, gate: str, partition_count: int, reader: LogReader, clock: Clock
) -> None:
    """Check that no lineage was begun, once the id is ours: nobody can begin one in between.

    What an earlier try left open was ended by that; its markers take a moment.
    """
    deadline_ms = clock.monotonic_ms() + ENDED_WAIT_MS
    while True:
        try:
            _check_nothing(topics, gate, partition_count, reader)
        except (Pending, Pinned):
            if clock.monotonic_ms() >= deadline_ms:
                raise
            clock.sleep_ms(WAIT_MS)
        else:
            return


def _check_nothing(topics: Topics, gate: str, partition_count: int, reader: LogReader) -> None:
    """Raise `ConfigInvalid` for a committed offset or record; aborted ones are nothing.

    Raises `Pending` and `Pinned` while a transaction is open.
    """
    numbers = range(partition_count)
    committed = reader.committed(gate, topics.requests, list(numbers))
    taken = sorted(number for number, offset in committed.items() if offset is not None)
    if taken:
        raise ConfigInvalid(
            f"expected no committed offset of group `{gate}`, found one for partition {taken[0]}; "
            "this gate has a lineage already: just run it"
        )
    outputs = [TopicPartition(name, number) for name in topics.outputs for number in numbers]
    for where, end in reader.ends(outputs).items():
        if is_held(end):
            raise held(where, end)
    for where, last in reader.last_of(outputs).items():
        if last is not None:
            raise ConfigInvalid(
                f"expected topic `{where.topic}` to be empty, found a record at offset "
                f"{last.offset} of partition {where.partition}; a lineage is begun once"
            )


def _check_count(name: str, identity: TopicIdentity, count: int) -> None:
    if identity.partition_count != count:
        raise ConfigInvalid(
            f"topic `{name}`: expected {count} partitions as the requests topic has, "
            f"found {identity.partition_count}"
        )


def _check_root(root: TrustRoot, domain: str, now_ms: int) -> None:
    if root.domain != domain:
        raise ConfigInvalid(f"trust root: expected domain `{domain}`, found `{root.domain}`")
    if now_ms >= root.expires_ms:
        raise ConfigInvalid("trust root has expired: build and sign its successor first")


def _check_signer(root: TrustRoot, public_key: bytes, origin: str) -> None:
    if isinstance(root.checkpoint_key(public_key, origin), KeyRefusal):
        raise ConfigInvalid(
            f"trust root {root.version} does not list checkpoint key {key_id(public_key)} as "
            f"active for `{origin}`"
        )


def _first_offsets(
    topics: Topics, partition_count: int, beginning: Beginning, reader: LogReader
) -> list[int]:
    where = [TopicPartition(topics.requests, number) for number in range(partition_count)]
    ends = reader.ends(where)
    if beginning is Beginning.BEGINNING:
        return [ends[partition].first for partition in where]
    return [ends[partition].last_stable for partition in where]
