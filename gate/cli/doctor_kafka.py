"""What `gate doctor` asks of a Kafka cluster: what it is, what it does, who may do what."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gate import wiring
from gate.cli.doctor_check import Check, Status, ok
from gate.config import Config
from gate.core.topics import TopicStanding
from gate.core.values import Genesis
from gate.ports import LogReader, TopicPartition
from gate.wiring.diagnosis import Acl, KafkaProbe, open_probe, try_transactions

_APIS: Final = {"Metadata": 12, "TxnOffsetCommit": 3, "ListOffsets": 2, "OffsetFetch": 7}
"""Topic ids, group metadata in a transaction, read committed ends, stable offsets: Kafka 3.1."""
_END: Final = "EndTxn"
_END_OF_KAFKA_4: Final = 5
_TRANSACTION_MS: Final = 60_000
_SESSION_MS: Final = 20_000
_WEEK_MINUTES: Final = 7 * 24 * 60
_STILL_MS: Final = 4_000
_LOOK_MS: Final = 100
_FRESH_MS: Final = 60_000
_AHEAD_MS: Final = 2_000
_NEEDED: Final = frozenset({"READ", "DESCRIBE"})
_TOO_MANY: Final[tuple[str, ...]] = ("ALTER", "DELETE", "ALTER_CONFIGS", "CREATE")
_CHANGES: Final = frozenset({"WRITE", "ALL", "ALTER", "DELETE", "ALTER_CONFIGS"})


def checks_of_cluster(
    config: Config,
    reader: LogReader,
    standing: Mapping[str, TopicStanding | None],
    genesis: Genesis | None,
) -> Iterator[Check]:
    """Look at the cluster. Raises `Unreachable`."""
    probe = open_probe(config)
    found, settings = probe.cluster(), probe.broker_settings()
    yield ok("brokers", "to be reached", ", ".join(found.brokers))
    yield _apis(probe)
    yield _cluster_id(found.cluster_id, genesis)
    yield _limits(settings)
    there = tuple(name for name in wiring.topics(config) if standing[name] is not None)
    if wiring.topics(config).requests in there:
        yield from _transactions(config)
    yield _ends(config, reader, there)
    yield _clock(config, reader, there)
    yield _group(config, probe)
    authorizer = None if settings is None else settings.get("authorizer.class.name")
    yield _authorizer(config, authorizer)
    if authorizer != "":
        yield from _rights(config, standing)
        is_told = found.rights is not None and "DESCRIBE" in found.rights
        yield from _writers(config, probe.acls(wiring.topics(config)), is_told=is_told)


def _apis(probe: KafkaProbe) -> Check:
    expected = ", ".join(f"{name} {least}" for name, least in _APIS.items()) + " (Kafka 3.1)"
    found = probe.api_versions()
    if not found:
        return Check(
            "broker version", Status.UNKNOWN, expected, "the client does not tell",
            "ask with `kafka-broker-api-versions.sh`",
        )  # fmt: skip
    told = ", ".join(f"{name} {found.get(name, (0, 0))[1]}" for name in (*_APIS, _END))
    if found.get(_END, (0, 0))[1] >= _END_OF_KAFKA_4:
        told += " (Kafka 4.0 or newer; its finalized features the client does not tell)"
    if any(found.get(name, (0, 0))[1] < least for name, least in _APIS.items()):
        return Check("broker version", Status.BAD, expected, told, "upgrade the brokers to Kafka 4")
    return ok("broker version", expected, told)


def _cluster_id(found: str, genesis: Genesis | None) -> Check:
    if genesis is None:
        return Check(
            "cluster id", Status.UNKNOWN, "that of Genesis", f"{found}, and no Genesis yet",
            "run `gate init-lineage`",
        )  # fmt: skip
    if found == genesis.cluster_id:
        return ok("cluster id", "that of Genesis", found)
    return Check(
        "cluster id", Status.BAD, f"{genesis.cluster_id} as Genesis says", found,
        "put `bootstrap.servers` right: this is another cluster, or a copy of it",
    )  # fmt: skip


def _limits(settings: Mapping[str, str | None] | None) -> Check:
    name = "broker settings"
    if settings is None:
        return Check(
            name, Status.UNKNOWN, "to be seen", "no right to look",
            "grant DESCRIBE_CONFIGS on the cluster to whoever runs this",
        )  # fmt: skip
    wrong = [
        (f"{key} {sign} {limit}", f"{key} = {value}")
        for key, sign, limit in (
            ("transaction.max.timeout.ms", ">=", _TRANSACTION_MS),
            ("group.max.session.timeout.ms", ">=", _SESSION_MS),
            ("group.min.session.timeout.ms", "<=", _SESSION_MS),
            ("offsets.retention.minutes", ">=", _WEEK_MINUTES),
        )
        if (value := settings.get(key)) is not None
        and (int(value) < limit if sign == ">=" else int(value) > limit)
    ]
    if wrong:
        expected, found = (", ".join(part) for part in zip(*wrong, strict=True))
        return Check(name, Status.BAD, expected, found, "set it on the brokers")
    return ok(name, "room for transactions of 60 s, sessions of 20 s, a week's rest", "there")


def _transactions(config: Config) -> Iterator[Check]:
    shown = try_transactions(config)
    trial = f"a transaction of `{config.gate}-doctor`, which wrote to no topic"
    for name, is_shown, expected in (
        ("isolation", shown.hides_open, "an offset of an open transaction is not stable"),
        ("aborting", shown.forgets_aborted, "an offset of an aborted transaction is gone"),
        ("fencing", shown.fences, "the older of two producers of one id can not commit"),
    ):
        if is_shown is None:
            yield Check(
                name, Status.UNKNOWN, expected, shown.why or "it came not so far",
                f"grant WRITE on TransactionalId and READ on group `{config.gate}-doctor`",
            )  # fmt: skip
        elif is_shown:
            yield ok(name, expected, f"shown with {trial}")
        else:
            yield Check(
                name, Status.BAD, expected, f"not so, in {trial}",
                "do not run a gate here: this is no broker with the transactions of Apache Kafka",
            )  # fmt: skip


def _ends(config: Config, reader: LogReader, topics: Sequence[str]) -> Check:
    """See whether transactions end: one that is open for some milliseconds is a gate at work."""
    name, expected = "open transactions", f"none older than {_STILL_MS // 1000} s"
    clock = wiring.clock()
    where = [TopicPartition(topic, n) for topic in topics for n in _numbers(config, reader, topic)]
    ends = reader.ends(where)
    open_at = {w: end.high_watermark for w, end in ends.items() if end.last_stable < end[2]}
    until_ms = clock.monotonic_ms() + _STILL_MS
    while open_at and clock.monotonic_ms() < until_ms:
        clock.sleep_ms(_LOOK_MS)
        ends = reader.ends(list(open_at))
        open_at = {w: end for w, end in open_at.items() if ends[w].last_stable < end}
    if not open_at:
        return ok(name, expected, f"in {len(where)} partitions, every transaction has ended")
    first = min(open_at)
    return Check(
        name, Status.BAD, expected,
        f"{len(open_at)} partitions are held, such as `{first.topic}` {first.partition}: last "
        f"stable offset {ends[first].last_stable}, high watermark {ends[first].high_watermark}",
        "whoever writes there ends or stops it, or its timeout does; find it with "
        f"`kafka-transactions.sh describe-producers --topic {first.topic} --partition "
        f"{first.partition}`; nobody but the gate may have a TransactionalId that writes there",
    )  # fmt: skip


def _numbers(config: Config, reader: LogReader, topic: str) -> range:
    found = reader.topic(topic)
    return range(config.log.partitions if found is None else found.partition_count)


def _clock(config: Config, reader: LogReader, topics: Sequence[str]) -> Check:
    """Compare clocks by the newest record: one from the future shows much, an old one nothing."""
    name, expected = "clock", "that of the brokers and of this machine to agree"
    lineage = wiring.topics(config).lineage
    last = [
        record.append_time_ms
        for number in (_numbers(config, reader, lineage) if lineage in topics else ())
        if (record := reader.last(TopicPartition(lineage, number))) is not None
    ]
    age_ms = wiring.clock().now_ms() - max(last, default=0)
    if age_ms < -_AHEAD_MS:
        return Check(
            name, Status.BAD, expected, f"the newest record is {-age_ms} ms in the future",
            "set both by NTP: requests are judged by the brokers' clock",
        )  # fmt: skip
    if age_ms <= _FRESH_MS:
        return ok(name, expected, f"the newest record is {age_ms} ms old")
    return Check(
        name, Status.UNKNOWN, expected, "no record of the last minute to compare with",
        "ask again while the gate decides",
    )  # fmt: skip


def _group(config: Config, probe: KafkaProbe) -> Check:
    name, expected = "group", f"static members of group `{config.gate}` only, a slot each"
    members = probe.members(config.gate)
    if members is None:
        return Check(
            name, Status.UNKNOWN, expected, "no right to look",
            f"grant DESCRIBE on group `{config.gate}`",
        )  # fmt: skip
    foreign = [member for member in members if member.slot is None]
    if foreign:
        return Check(
            name, Status.BAD, expected,
            f"`{foreign[0].member_id}` on {foreign[0].host}, which has no slot",
            "stop that consumer: it takes partitions away from the gate and decides nothing",
        )  # fmt: skip
    told = "; ".join(
        f"`{member.slot}` on {member.host}: partitions {list(member.partitions)}"
        for member in sorted(members, key=lambda member: str(member.slot))
    )
    return ok(name, expected, told or "no member: no gate runs")


def _authorizer(config: Config, found: str | None) -> Check:
    name, expected = "access", "brokers that ask who may do what"
    if found is None:
        return Check(
            name, Status.UNKNOWN, expected, "no right to look",
            "grant DESCRIBE_CONFIGS on the cluster to whoever runs this",
        )  # fmt: skip
    if found:
        return ok(name, expected, f"`{found}`; super users can not be seen by anybody")
    return Check(
        name, Status.WARNING if config.insecure_dev else Status.BAD, expected,
        "no authorizer: anybody may write decisions",
        "set `authorizer.class.name` on the brokers and give each role its rights",
    )  # fmt: skip


def _rights(config: Config, standing: Mapping[str, TopicStanding | None]) -> Iterator[Check]:
    topics = wiring.topics(config)
    for topic in topics:
        found = standing[topic]
        if found is None or found.rights is None:
            continue
        name = f"own rights on {topic}"
        needed = _NEEDED | ({"WRITE"} if topic in topics.outputs else frozenset())
        unneeded = _TOO_MANY if topic in topics.outputs else (*_TOO_MANY, "WRITE")
        too_many = [right for right in unneeded if right in found.rights]
        told = ", ".join(sorted(found.rights))
        if missing := sorted(needed - found.rights):
            yield Check(
                name, Status.BAD, ", ".join(sorted(needed)), told, f"grant {', '.join(missing)}"
            )
        elif too_many:
            yield Check(
                name, Status.WARNING, ", ".join(sorted(needed)), told,
                f"the gate needs no {', '.join(too_many)}: give it to the control tool's principal",
            )  # fmt: skip
        else:
            yield ok(name, ", ".join(sorted(needed)), told)


def _writers(
    config: Config, acls: Mapping[str, Sequence[Acl]], *, is_told: bool
) -> Iterator[Check]:
    """Say who may write. An empty answer counts only from a broker that lets us ask."""
    topics = wiring.topics(config)
    for topic in topics.outputs:
        name, expected = f"writers of {topic}", "the gate's principal alone"
        found = sorted(
            {a.principal for a in acls[topic] if a.operation in _CHANGES and not a.is_deny}
        )
        if not acls[topic] and not is_told:
            yield Check(
                name, Status.UNKNOWN, expected, "no answer that can be believed",
                "grant DESCRIBE on the cluster to whoever runs this",
            )  # fmt: skip
        elif not acls[topic]:
            yield Check(
                name, Status.WARNING, expected, "no rights are given on it at all",
                "grant WRITE on it to the gate's principal: until a topic has rights, brokers with "
                "`allow.everyone.if.no.acl.found` let anybody write, and that can not be seen",
            )  # fmt: skip
        elif len(found) > 1:
            yield Check(
                name, Status.BAD, expected, ", ".join(found),
                "take WRITE, ALTER and DELETE from all others; super users are not shown",
            )  # fmt: skip
        else:
            yield ok(name, expected, f"{', '.join(found) or 'nobody'}; super users are not shown")
