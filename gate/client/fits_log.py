"""Whether a configuration is that of the gate whose topics are there.

For whoever starts or checks a gate: mistakes that the topics show at once, each with its cure. It
is no safeguard: the gate itself stops a partition whose state is another one's, and what can not
be seen in a few records is left to it.
"""

from pathlib import Path
from typing import NamedTuple

from gate.client.in_force import read_in_force
from gate.core.proof.checkpoint import CheckpointInvalid, note_key_id, read_signed_note
from gate.core.signature import key_id
from gate.core.topics import Topics
from gate.core.trust import KeyRefusal
from gate.core.values import Genesis
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_lineage_record
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid
from gate.ports import LogReader, LogRecord, TopicPartition


class Own(NamedTuple):
    """What a gate is configured to be, and the files of its key and secret."""

    domain: str
    gate: str
    partition_count: int
    lineage_secret: Path
    lineage_secret_sha256: bytes
    checkpoint: Path
    checkpoint_public: bytes


def check_fits(own: Own, reader: LogReader, topics: Topics) -> None:
    """Compare with the requests topic and with the lineage of partition 0, where there is one.

    Raises `ConfigInvalid` naming both sides and the cure.
    """
    requests = reader.topic(topics.requests)
    if requests is None:
        raise ConfigInvalid(
            f"log has no topic `{topics.requests}`: run `gate init-lineage` first, or check `gate`"
        )
    if requests.partition_count != own.partition_count:
        raise ConfigInvalid(
            f"`log.partitions`: expected {requests.partition_count} as topic `{topics.requests}` "
            f"has, got {own.partition_count}: the count is fixed at the first start"
        )
    where = TopicPartition(topics.lineage, 0)
    last = reader.last(where) if reader.topic(topics.lineage) is not None else None
    if last is None:
        return
    genesis = read_genesis(reader, topics)
    if genesis is not None:
        _check_genesis(own, genesis)
    _check_signer(own, last, reader, topics)


def read_genesis(reader: LogReader, topics: Topics) -> Genesis | None:
    """Return the Genesis of partition 0, unless there is none, or it can not be read."""
    if reader.topic(topics.lineage) is None:
        return None
    where = TopicPartition(topics.lineage, 0)
    first = reader.ends([where])[where].first
    records = reader.read(where, offset=first, records_max=1).records
    return _genesis(records[0]) if records else None


def _genesis(record: LogRecord) -> Genesis | None:
    """Return the Genesis of a lineage's first record, unless it is not there to be read."""
    try:
        entries = read_lineage_record(record.value or b"").entries
        entry = read_entry(entries[0].entry) if entries else None
    except WireError:
        return None
    return entry if isinstance(entry, Genesis) else None


def _check_genesis(own: Own, genesis: Genesis) -> None:
    for name, expected, got in (
        ("domain", genesis.domain, own.domain),
        ("gate", genesis.gate, own.gate),
    ):
        if expected != got:
            raise ConfigInvalid(
                f"`{name}`: expected `{escaped(expected)}` as this gate's Genesis says, got "
                f"`{escaped(got)}`: put it back, or name the log of the other gate"
            )
    if genesis.lineage_secret_sha256 != own.lineage_secret_sha256:
        raise ConfigInvalid(
            f"lineage secret `{own.lineage_secret}` is not the one with which this gate began: "
            "copy the secret from another node of this gate or from a backup"
        )


def _check_signer(own: Own, last: LogRecord, reader: LogReader, topics: Topics) -> None:
    """Check our key: it signed last, or else the trust root in force must list it.

    What is in force is read from the whole changelog, so only for a key that did not sign last.
    """
    try:
        record = read_lineage_record(last.value or b"")
        signed = {item.key_id for item in read_signed_note(record.checkpoint).signatures}
    except (WireError, CheckpointInvalid):
        return
    if note_key_id(record.log, own.checkpoint_public) in signed:
        return
    root = read_in_force(reader, topics).state.trust_root
    if isinstance(root.checkpoint_key(own.checkpoint_public, record.log), KeyRefusal):
        raise ConfigInvalid(
            f"checkpoint key `{own.checkpoint}` ({key_id(own.checkpoint_public)}) is not listed as "
            f"active for `{record.log}` in trust root {root.version}, which is in force: copy the "
            "key from another node, or activate a trust root that lists it"
        )
