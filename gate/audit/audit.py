"""The independent monitor: what a gate has done, judged from its topics alone.

Shares no code with the gate except the verifier (`core.proof`, the readers of `core.wire`,
signatures, trust). Claims, for each partition (`design/proof.md` §1, `design/decision.md` §6):

(a) every input record from Genesis's first offset up to the lineage's end is in exactly one entry,
    whose digest, time and key agree with it
(b) no admission key was approved twice, over all partitions
(d) every checkpoint continues the one before, over a tree built again from the leaf hashes, and is
    signed by a key that the trust root of that moment lists as active, or pinned; every index below
    the size occurs once, in the right topic and in order, with a proof that verifies; links have
    no holes
    beside: quarantine holds the untouched input of just those denials that call for it; the
    changelog holds one record for each state change, in consecutive sequence

(c), that deciding again gives the same bytes, is `replay`'s. Limits of what is proved: the trust
root in Genesis is only as good as the one given to compare it with, and last transactions that are
gone from every topic are missed only by those who kept a checkpoint of them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gate.audit.admission_keys import ApprovedKeys, state_key
from gate.audit.findings import Fault, Finding, Findings
from gate.audit.kept_checkpoints import by_partition, note_text
from gate.audit.kept_state import Kept, Recorder, Values
from gate.audit.partition_audit import PartitionAudit
from gate.audit.partition_result import PartitionCounts, PartitionResult
from gate.audit.topics_reading import Cursor, Progress
from gate.audit.tree_walk import not_vouched_for
from gate.core.proof.checkpoint import Note
from gate.core.topics import Topics
from gate.core.trust import TrustRoot
from gate.core.values import APPROVED, Decision
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import read_decision_record
from gate.errors import ConfigInvalid
from gate.ports import LogReader, TopicIdentity, TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What was counted and what was found; `is_ok` if and only if nothing was found.

    `findings` lists the first of `findings_count`. `is_anchored`: a trust root given by the
    auditor was compared. `partition_count` is the gate's: where not all were audited, a key
    approved in two partitions may have been missed. `checkpoints` are the newest, one a partition.
    """

    is_ok: bool
    is_anchored: bool
    keys: int
    keys_approved_twice: int
    partition_count: int
    partitions: tuple[PartitionCounts, ...]
    checkpoints: tuple[Note, ...]
    findings: tuple[Finding, ...]
    findings_count: int


_NOTHING = Kept({}, Values({"count": 0, "listed": []}, "shared"), b"")


def audit(
    reader: LogReader,
    topics: Topics,
    *,
    trust: TrustRoot | None,
    partitions: Sequence[int] | None = None,
    notes: Sequence[Note] = (),
    recorder: Recorder | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Audit partitions of a gate, all of them by default.

    `trust` is the auditor's own trust root; without it Genesis's is taken as given. `notes` are
    checkpoints that he kept. With a `recorder` an audit that was cut goes on, to the same result,
    and one that had ended with what came since. Raises `ConfigInvalid` where there is no such gate,
    or a checkpoint or state is of another.
    """
    requests = _requests(reader, topics)
    numbers = range(requests.partition_count) if partitions is None else partitions
    noted = by_partition(notes, topics, numbers)
    kept = _NOTHING if recorder is None else recorder.kept() or _NOTHING
    keys = ApprovedKeys(is_recorded=recorder is not None, kept=kept.keys)
    findings = Findings(kept.shared)
    audits = {
        number: PartitionAudit(
            *(reader, topics, number),
            keys=keys,
            findings=findings,
            anchor=trust,
            notes=noted.get(number, ()),
            progress=progress,
            kept=kept.partitions.get(number),
        )
        for number in numbers
    }
    results = _Walk(audits, keys, findings, recorder, kept).run()
    _compare_partitions(results, topics, requests, trust, findings)
    repeated = _name_repeated(reader, topics, numbers, keys, findings, progress)
    return AuditResult(
        is_ok=findings.count == 0,
        is_anchored=trust is not None,
        keys=len(keys) - _surplus(keys, repeated),
        keys_approved_twice=len(repeated),
        partition_count=requests.partition_count,
        partitions=tuple(result.counts for result in results),
        checkpoints=tuple(result.last_note for result in results if result.last_note),
        findings=tuple(findings.listed),
        findings_count=findings.count,
    )


def _requests(reader: LogReader, topics: Topics) -> TopicIdentity:
    found = {name: reader.topic(name) for name in topics}
    for name, identity in found.items():
        if identity is None:
            raise ConfigInvalid(f"expected topic `{name}`, found none: check the gate's name")
    requests = found[topics.requests]
    assert requests is not None, "it was looked for"
    return requests


class _Walk:
    """Walks all partitions, one after another, and keeps where it stands.

    Nothing more is kept once something was passed over that may still come: keys and findings
    would then be ahead of a partition's own state.
    """

    def __init__(
        self,
        audits: Mapping[int, PartitionAudit],
        keys: ApprovedKeys,
        findings: Findings,
        recorder: Recorder | None,
        kept: Kept,
    ) -> None:
        self._audits = audits
        self._keys = keys
        self._findings = findings
        self._recorder = recorder
        self._states: dict[int, object] = {
            number: part.values for number, part in kept.partitions.items()
        }

    def run(self) -> Sequence[PartitionResult]:
        """Walk to all ends; then finish, whose findings are never kept: they are made again."""
        for number in self._audits:
            self._audits[number].walk(lambda number=number: self._step(number))  # type: ignore[misc]
            self._step(number, is_end=True)
        return [item.finish() for item in self._audits.values()]

    def _step(self, number: int, *, is_end: bool = False) -> None:
        recorder = self._recorder
        if recorder is None or not (is_end or recorder.is_due()):
            return
        if not self._audits[number].is_settled:
            self._recorder = None
            return
        self._states[number] = self._audits[number].state()
        recorder.keep(self._states, self._findings.state(), self._keys.take_added())


def _compare_partitions(
    results: Sequence[PartitionResult],
    topics: Topics,
    requests: TopicIdentity,
    trust: TrustRoot | None,
    findings: Findings,
) -> None:
    _compare_geneses(results, topics, requests, findings)
    if trust is not None:
        for result in results:
            _compare_trust(result, trust, topics, findings)


def _compare_geneses(
    results: Sequence[PartitionResult],
    topics: Topics,
    requests: TopicIdentity,
    findings: Findings,
) -> None:
    """All partitions began as one gate, on the topic that is there now."""
    first = next((result.genesis for result in results if result.genesis is not None), None)
    if first is None:
        return
    expected = first._replace(partition=0, first_offset=0, topic_id=requests.topic_id)
    expected = expected._replace(partition_count=requests.partition_count)
    for result in results:
        genesis = result.genesis
        if genesis is None:
            continue
        found = genesis._replace(partition=0, first_offset=0)
        if found != expected:
            names = [
                name
                for name, one, other in zip(expected._fields, expected, found, strict=True)
                if one != other
            ]
            findings.add(
                Fault.GENESIS_DIFFERS,
                TopicPartition(topics.lineage, result.counts.partition),
                expected="the Genesis of the other partitions, and of the topic that is there",
                found=f"another {', '.join(names)}",
                leaf_index=0,
            )


def _compare_trust(
    result: PartitionResult, trust: TrustRoot, topics: Topics, findings: Findings
) -> None:
    """The auditor's trust root stands in the lineage's chain, or judges its newest checkpoint."""
    newest = max(result.trust_digests, default=0)
    text = ""
    if trust.version <= newest:
        known = result.trust_digests.get(trust.version)
        if known != trust.sha256:
            text = "none of that version" if known is None else known.hex()
    elif result.last_note is None:
        text = "no checkpoint"
    else:
        text = not_vouched_for(result.last_note, trust)
    if text:
        findings.add(
            Fault.TRUST_ROOT_DIFFERS,
            TopicPartition(topics.lineage, result.counts.partition),
            expected=f"a lineage under trust root {trust.version} {trust.sha256.hex()}",
            found=text,
        )


def _name_repeated(
    reader: LogReader,
    topics: Topics,
    partitions: Sequence[int],
    keys: ApprovedKeys,
    findings: Findings,
    progress: Progress | None,
) -> frozenset[bytes]:
    """Return the keys approved twice; read the approved topics once more to name each of them."""
    repeated = keys.repeated()
    first: dict[bytes, str] = {}
    for number in partitions if repeated else ():
        where = TopicPartition(topics.approved, number)
        for log_record in Cursor(reader, where, progress=progress).records():
            try:
                record = read_decision_record(log_record.value or b"")
                entry = read_entry(record.entry)
            except WireError:
                continue
            if not isinstance(entry, Decision) or entry.outcome != APPROVED:
                continue
            key = state_key(entry.admission_key)
            if key not in repeated:
                continue
            place = f"partition {number} leaf {record.leaf_index}"
            if first.setdefault(key, place) != place:
                findings.add(
                    Fault.KEY_APPROVED_TWICE,
                    where,
                    expected=f"admission key {key.hex()} approved once, at {first[key]}",
                    found="another approval",
                    offset=log_record.offset,
                    leaf_index=record.leaf_index,
                )
    return repeated


def _surplus(keys: ApprovedKeys, repeated: frozenset[bytes]) -> int:
    return keys.count(repeated) - len(repeated) if repeated else 0


def json_of(result: AuditResult) -> dict[str, object]:
    """Return the result as a JSON value, for machines."""
    return {
        "ok": result.is_ok,
        "anchored": result.is_anchored,
        "partition_count": result.partition_count,
        "totals": _totals(result),
        "partitions": [_json_of_counts(counts) for counts in result.partitions],
        "checkpoints": [
            {
                "origin": note.origin,
                "size": note.size,
                "root": note.root.hex(),
                "note": note_text(note),
            }
            for note in result.checkpoints
        ],
        "findings_count": result.findings_count,
        "findings": [
            {**finding._asdict(), "fault": finding.fault.value} for finding in result.findings
        ],
    }


def text_of(result: AuditResult) -> str:
    """Return the result for people, safe on a terminal."""
    totals = _totals(result)
    denied_by: Counter[str] = Counter()
    for counts in result.partitions:
        denied_by.update(counts.denied_by)
    lines = [
        f"{name.replace('_', ' ')}: {count}"
        for name, count in totals.items()
        if count or "_" in name
    ]
    lines += [f"  denied by {name}: {count}" for name, count in sorted(denied_by.items())]
    if totals["input_gone"]:
        lines.append("entries whose input is no longer kept were compared with nothing")
    if len(result.partitions) < result.partition_count:
        lines.append(
            f"{len(result.partitions)} of {result.partition_count} partitions were audited: a key "
            "approved in another one as well is not seen"
        )
    if not result.is_anchored:
        lines.append("the trust root in Genesis was taken as given: compare it with your own")
    lines += [finding.text() for finding in result.findings]
    if result.findings_count > len(result.findings):
        lines.append(f"{result.findings_count - len(result.findings)} more findings")
    lines.append("ok: nothing found" if result.is_ok else f"findings: {result.findings_count}")
    return "\n".join(lines) + "\n"


def _totals(result: AuditResult) -> dict[str, int]:
    partitions = result.partitions
    genesis = sum(counts.tree_size > 0 for counts in partitions)
    return {
        "partitions": len(partitions),
        "input_records": sum(counts.input_records for counts in partitions),
        "input_gone": sum(counts.input_gone for counts in partitions),
        "entries": sum(counts.tree_size for counts in partitions),
        "genesis": genesis,
        "approved": sum(counts.approved for counts in partitions),
        "denied": sum(counts.denied for counts in partitions),
        "control": sum(counts.control for counts in partitions),
        "gaps": sum(counts.gaps for counts in partitions),
        "quarantined": sum(counts.quarantined for counts in partitions),
        "keys": result.keys,
        "keys_approved_twice": result.keys_approved_twice,
        "checkpoints": sum(counts.checkpoints for counts in partitions),
        "pending": sum(sum(counts.pending.values()) for counts in partitions),
    }


def _json_of_counts(counts: PartitionCounts) -> dict[str, object]:
    return {
        "partition": counts.partition,
        "origin": counts.origin,
        "tree_size": counts.tree_size,
        "checkpoints": counts.checkpoints,
        "next_offset": counts.next_offset,
        "input_records": counts.input_records,
        "input_gone": counts.input_gone,
        "approved": counts.approved,
        "denied": counts.denied,
        "denied_by": dict(counts.denied_by),
        "control": counts.control,
        "gaps": counts.gaps,
        "quarantined": counts.quarantined,
        "pending": dict(counts.pending),
    }
