"""First start: Genesis and the first trust root in every partition, in one transaction.

An explicit act, never a fallback: an absent offset on a gate that has decided before is damage.
`design/transaction.md` §3, last paragraph.
"""

from enum import Enum

from gate.core.genesis import first_genesis, first_records
from gate.core.signature import key_id
from gate.core.state import LineageKeys
from gate.core.topics import Topics, init_transactional_id
from gate.core.trust import KeyRefusal, TrustRoot
from gate.errors import ConfigInvalid
from gate.ports import (
    Clock,
    LogReader,
    OffsetCommit,
    OutputRecord,
    Publisher,
    Signer,
    TopicIdentity,
    TopicPartition,
    TopicSpec,
)

REQUESTS_SETTINGS = {
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": "262144",
    "compression.type": "uncompressed",
}
CHANGELOG_SETTINGS = {"cleanup.policy": "compact"}


class Beginning(Enum):
    """Where in the requests topic a lineage begins."""

    BEGINNING = "beginning"
    END = "end"


def topic_specs(topics: Topics, partition_count: int) -> tuple[TopicSpec, ...]:
    """Return the topics of a gate, as `init-lineage` makes them on the embedded log."""
    settings = {topics.requests: REQUESTS_SETTINGS, topics.changelog: CHANGELOG_SETTINGS}
    return tuple(
        TopicSpec(name=name, partition_count=partition_count, settings=settings.get(name, {}))
        for name in topics
    )


def init_lineage(
    *,
    domain: str,
    gate: str,
    topics: Topics,
    keys: LineageKeys,
    root: TrustRoot,
    root_envelope: bytes,
    runtime_line: str,
    beginning: Beginning,
    reader: LogReader,
    publisher: Publisher,
    signer: Signer,
    clock: Clock,
) -> int:
    """Write Genesis, the first trust root, targets and offsets; return the partition count.

    Refuses (`ConfigInvalid`) unless the group is empty and has no offset, the outputs hold
    nothing, and the trust root is of this domain, not expired and lists our checkpoint key.
    """
    identities = {name: reader.topic(name) for name in topics}
    requests, changelog = identities[topics.requests], identities[topics.changelog]
    if requests is None or changelog is None:
        missing = ", ".join(sorted(name for name, found in identities.items() if found is None))
        raise ConfigInvalid(f"expected the gate's topics, found none named {missing}")
    _check_empty(topics, gate, identities, requests.partition_count, reader)
    _check_root(root, domain, clock.now_ms())
    starts = _first_offsets(topics, requests.partition_count, beginning, reader)
    records: list[OutputRecord] = []
    offsets: list[OffsetCommit] = []
    for number, first_offset in enumerate(starts):
        genesis = first_genesis(
            domain=domain,
            gate=gate,
            cluster_id=reader.cluster_id(),
            topic=topics.requests,
            topic_id=requests.topic_id,
            partition=number,
            partition_count=requests.partition_count,
            first_offset=first_offset,
            lineage_secret_sha256=keys.secret_sha256,
            trust_root_sha256=root.sha256,
        )
        first = first_records(
            genesis,
            root,
            root_envelope,
            keys=keys,
            changelog_topic_id=changelog.topic_id,
            runtime=runtime_line,
            public_key=signer.public_key(),
            sign=signer.sign,
        )
        _check_signer(root, signer.public_key(), first.origin)
        records += [OutputRecord(topics.changelog, number, k, v) for k, v in first.changelog]
        records.append(OutputRecord(topics.lineage, number, first.origin.encode(), first.lineage))
        offsets.append(OffsetCommit(number, first_offset, first.target))
    publisher.publish_with_offsets(
        records,
        transactional_id=init_transactional_id(gate),
        group_id=gate,
        topic=topics.requests,
        offsets=offsets,
    )
    return requests.partition_count


def _check_empty(
    topics: Topics,
    gate: str,
    identities: "dict[str, TopicIdentity | None]",
    partition_count: int,
    reader: LogReader,
) -> None:
    if not reader.group_is_empty(gate):
        raise ConfigInvalid(f"group `{gate}` has members; stop the gate before `init-lineage`")
    committed = reader.committed(gate, topics.requests, list(range(partition_count)))
    taken = sorted(number for number, offset in committed.items() if offset is not None)
    if taken:
        raise ConfigInvalid(
            f"expected no committed offset of group `{gate}`, found one for partition {taken[0]}; "
            "this gate has a lineage already: just run it"
        )
    for name in topics.outputs:
        found = identities[name]
        if found is None or found.partition_count != partition_count:
            count = 0 if found is None else found.partition_count
            raise ConfigInvalid(
                f"topic `{name}`: expected {partition_count} partitions as the requests topic has, "
                f"found {count}"
            )
        ends = reader.ends([TopicPartition(name, number) for number in range(partition_count)])
        for where, end in sorted(ends.items()):
            if end.high_watermark > 0:
                raise ConfigInvalid(
                    f"expected topic `{name}` to be empty, found {end.high_watermark} records in "
                    f"partition {where.partition}; a lineage is begun once"
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
