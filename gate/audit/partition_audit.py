"""One partition audited from its topics alone: five of them walked in step, leaf by leaf.

Lineage records say which leaves there are; decisions, input, changelog and quarantine must hold
exactly what goes with each of them. Where an entry is not known, that is one finding, and nothing
is said of what would go with it. Memory is one transaction and a slice of each topic, beside
16 bytes for each approved key. Shares no code with the gate except its readers and its verifier.

Promises: what lies past the last lineage record that was there at the start is pending, never
missing. Input that is no longer kept is counted as such: its entries verify, but are compared with
nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from gate.audit.absent_leaves import AbsentLeaves
from gate.audit.admission_keys import ApprovedKeys, state_key
from gate.audit.control_parts import ControlWalk
from gate.audit.copies import ChangelogWalk, QuarantineWalk
from gate.audit.decisions import DecisionWalk, Found
from gate.audit.findings import Fault, Findings
from gate.audit.input_walk import InputWalk
from gate.audit.kept_checkpoints import KeptCheckpoints
from gate.audit.kept_state import Restorable, Values
from gate.audit.partition_result import PartitionCounts, PartitionResult
from gate.audit.topics_reading import Cursor, Progress, record_at
from gate.audit.tree_walk import Step, TreeWalk, settled_size
from gate.core.proof.checkpoint import Note
from gate.core.proof.merkle import leaf_hash
from gate.core.proof.steps import read_leaf
from gate.core.proof.verdict import Refused
from gate.core.reasons import Code
from gate.core.topics import Topics
from gate.core.trust import TrustRoot
from gate.core.values import APPROVED, AdmissionRecord, Control, Decision, Gap, Genesis
from gate.core.wire.control_record import is_control_record
from gate.ports import LogReader, LogRecord, TopicPartition


class PartitionAudit:
    """Audits one partition once; call `walk`, then `finish`."""

    def __init__(
        self,
        reader: LogReader,
        topics: Topics,
        partition: int,
        *,
        keys: ApprovedKeys,
        findings: Findings,
        anchor: TrustRoot | None = None,
        notes: Iterable[Note] = (),
        progress: Progress | None = None,
        kept: Values | None = None,
    ) -> None:
        """Ask for the ends; the lineage's first, so that every other reaches at least as far.

        `notes` are checkpoints of this partition that somebody kept. `kept` is a `state`, from
        which to go on. Raises `ConfigInvalid` when it is none.
        """

        def cursor(topic: str) -> Cursor:
            return Cursor(reader, TopicPartition(topic, partition), progress=progress)

        self._reader, self._anchor = reader, anchor
        self._partition = partition
        self._keys = keys
        self._findings = findings
        self._lineage = cursor(topics.lineage)
        self._where = self._lineage.partition
        self._decisions = DecisionWalk((cursor(topics.approved), cursor(topics.denied)), findings)
        self._approved_topic = topics.approved
        self._absent = AbsentLeaves()
        self._changelog = ChangelogWalk(cursor(topics.changelog), findings, self._absent)
        self._quarantine = QuarantineWalk(cursor(topics.quarantine), findings, self._absent)
        self._input = InputWalk(cursor(topics.requests), findings)
        beyond = 0 if kept is None else kept.part("tree").number("size")
        self._notes = KeptCheckpoints(notes, self._where, findings, beyond=beyond)
        self._tree = TreeWalk(self._where, findings, self._notes)
        self._control = ControlWalk(self._changelog, self._where, findings, anchor)
        self._genesis: Genesis | None = None
        self._genesis_entry = b""
        self._prev_offset: int | None = -1
        self._last_offsets: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._denied_by: Counter[str] = Counter()
        self._is_sound = True
        self._last_offset = self._next_offset = -1
        if kept is not None:
            self._restore(kept)

    @property
    def is_settled(self) -> bool:
        """Say whether nothing was passed over that may still come: else there is no `state`."""
        pending = (self._counts["pending"], self._changelog.pending, self._quarantine.pending)
        return self._is_sound and not any(pending)

    @property
    def _parts(self) -> dict[str, Restorable]:
        return {
            "tree": self._tree,
            "control": self._control,
            "decisions": self._decisions,
            "changelog": self._changelog,
            "quarantine": self._quarantine,
            "input": self._input,
            "absent": self._absent,
        }

    def state(self) -> dict[str, object]:
        """Return what another audit needs to go on from here; JSON."""
        return {
            "last_offset": self._last_offset,
            "next_offset": self._next_offset,
            "genesis": self._genesis_entry.hex(),
            "prev_offset": self._prev_offset,
            "last_offsets": dict(self._last_offsets),
            "counts": dict(self._counts),
            "denied_by": dict(self._denied_by),
            **{name: part.state() for name, part in self._parts.items()},
        }

    def _restore(self, kept: Values) -> None:
        self._last_offset = kept.number("last_offset")
        self._next_offset = kept.number("next_offset")
        self._lineage.go_to(self._next_offset)
        self._genesis_entry = kept.data("genesis")
        self._prev_offset = kept.optional_number("prev_offset")
        self._last_offsets = kept.numbers("last_offsets")
        self._counts.update(kept.numbers("counts"))
        self._denied_by.update(kept.numbers("denied_by"))
        for name, part in self._parts.items():
            part.restore(kept.part(name))
        if self._genesis_entry:
            entry = read_leaf(self._genesis_entry, self._tree.origin, 0)
            self._genesis = entry if isinstance(entry, Genesis) else None

    def _stands_where_it_stood(self) -> bool:
        """INVARIANT (what was audited is still there): the last record is the very same."""
        if self._last_offset < 0:
            return True
        record = record_at(self._reader, self._where, self._last_offset)
        text = self._tree.differs_from(record)
        if text:
            note = self._tree.last_note
            fault = Fault.KEPT_CHECKPOINT_DIFFERS if record else Fault.KEPT_CHECKPOINT_MISSING
            root = "none" if note is None else note.root.hex()
            expected = f"root {root} at size {self._tree.size}, as the resume file keeps it"
            self._add(fault, expected, text, self._last_offset)
        return not text

    def walk(self, on_step: Callable[[], None] = lambda: None) -> None:
        """Walk the partition to its end; `on_step` is called after each transaction.

        A partition that is no longer what was audited before is not walked.
        """
        self._is_sound = self._stands_where_it_stood()
        for log_record in self._lineage.records() if self._is_sound else ():
            step = self._tree.step(log_record, self._control.chain.current or self._anchor)
            if step is not None:
                if step.is_first:
                    self._begin(step)
                self._walk(step)
                self._last_offset = log_record.offset
            self._next_offset = log_record.offset + 1
            on_step()

    def finish(self) -> PartitionResult:
        """Judge what lies at the ends, and return what was counted."""
        if self._is_sound:
            self._finish()
        return PartitionResult(
            self._result(),
            self._genesis,
            self._control.chain.current,
            self._control.chain.digests,
            self._tree.last_note,
        )

    def _finish(self) -> None:
        if self._tree.size == 0:
            self._add(Fault.LINEAGE_BROKEN, "a lineage that begins with Genesis", "none")
        size, next_offset = self._tree.size, self._tree.next_offset
        self._notes.finish(size)
        self._compare_end(self._decisions.finish())
        self._changelog.finish(size)
        self._quarantine.finish(size)
        self._input.finish(next_offset)

    def _compare_end(self, claimed_size: int) -> None:
        """Every decision read by now has its lineage record by now, unless that is undecided."""
        if claimed_size <= self._tree.size:
            return
        size = settled_size(self._reader, self._where)
        if size is not None and size < claimed_size:
            found = f"decisions of a tree of size {claimed_size} and lineage up to {size}"
            self._add(Fault.LINEAGE_BROKEN, "a lineage record for every decision", found)

    def _begin(self, step: Step) -> None:
        """Read Genesis: it says where the input begins and which trust root is the first."""
        first = step.record.entries[0] if step.record.entries else None
        text = "none"
        if first is not None and first.leaf_index == 0:
            entry = read_leaf(first.entry, self._tree.origin, 0)
            if isinstance(entry, Genesis):
                self._genesis, self._genesis_entry = entry, first.entry
                topic = self._input.where.topic
                if (entry.topic, entry.partition) == (topic, self._partition):
                    self._input.begin(entry.first_offset)
                    self._control.begin(entry, first.entry)
                    return
                text = f"topic `{entry.topic}` partition {entry.partition}"
            else:
                text = entry.text if isinstance(entry, Refused) else "another entry"
        self._add(Fault.GENESIS_DIFFERS, "Genesis of this partition at leaf 0", text, step.offset)

    def _walk(self, step: Step) -> None:
        """Judge one transaction: its tree and checkpoint, then each of its leaves in order."""
        trust = self._control.chain.current or self._anchor
        self._tree.judge(step, trust)
        record, origin = step.record, self._tree.origin
        entries = {entry.leaf_index: entry.entry for entry in record.entries}
        found, refused = self._decisions.gather(origin, record.tree_size, trust)
        leaves = range(record.prev_size, record.tree_size)
        if not all(index in entries or index in found or index in refused for index in leaves):
            self._decisions.pass_refused(origin)
            late, more = self._decisions.gather(origin, record.tree_size, trust)
            for index, items in late.items():
                found.setdefault(index, []).extend(items)
            refused |= more
        for entry_index in sorted(entries.keys() - set(range(record.prev_size, record.tree_size))):
            expected = f"entries of leaves {record.prev_size} to {record.tree_size - 1}"
            self._add(Fault.LINEAGE_BROKEN, expected, f"leaf {entry_index}", step.offset)
        self._hole(step, found)
        for index, digest in zip(leaves, step.hashes, strict=True):
            self._leaf(index, digest, entries.get(index), found.pop(index, []), refused, step)
        for index, items in sorted(found.items()):
            for item in items:
                self._at(Fault.LEAF_TWICE, item, "each leaf once", f"leaf {index} again")

    def _hole(self, step: Step, found: dict[int, list[Found]]) -> None:
        """Judge what decisions there are of leaves that no lineage record holds."""
        at, end = step.first_index, step.record.prev_size
        for index in sorted(index for index in found if at <= index < end):
            self._pass_absent(at, index)
            self._decision(index, None, found[index][0], step)
            del found[index][0]
            at = index + 1
        self._pass_absent(at, end)

    def _leaf(
        self,
        index: int,
        digest: bytes,
        entry: bytes | None,
        items: list[Found],
        refused: set[int],
        step: Step,
    ) -> None:
        for item in items[1:]:
            self._at(Fault.LEAF_TWICE, item, "each leaf once", f"leaf {index} again")
        if entry is not None:
            for item in items:
                self._at(Fault.LEAF_TWICE, item, "an entry of the lineage only", "a decision too")
            self._other_entry(index, digest, entry, step)
        elif items:
            self._decision(index, digest, items[0], step)
        else:
            self._pass_absent(index, index + 1)
            if index in refused:
                return
            if self._decisions.is_settled:
                expected = "its entry in approved, denied or the lineage"
                self._add(Fault.LEAF_MISSING, expected, "none", step.offset, index)
            else:
                self._counts["pending"] += 1

    def _pass_absent(self, start: int, end: int) -> None:
        """Pass leaves whose entries are not known: what goes with them can not be judged."""
        if start < end:
            self._absent.add(start, end)
            self._prev_offset = None
            self._input.pass_absent(end - start)

    def _decision(self, index: int, digest: bytes | None, item: Found, step: Step) -> None:
        entry, record = item.entry, item.record
        if digest is not None and leaf_hash(record.entry) != digest:
            found = leaf_hash(record.entry).hex()
            self._at(Fault.LEAF_DIFFERS, item, f"leaf hash {digest.hex()}", found)
        elif record.tree_size == step.record.tree_size and item.root != step.record.root:
            self._at(Fault.ROOT_DIFFERS, item, step.record.root.hex(), item.root.hex())
        if item.log_record.offset < self._last_offsets.get(item.where.topic, 0):
            self._at(Fault.LEAF_ORDER, item, "rising leaf indexes", "one after a later one")
        self._last_offsets[item.where.topic] = item.log_record.offset
        is_approved = entry.outcome == APPROVED
        if (item.where.topic == self._approved_topic) != is_approved:
            outcome = "approved" if is_approved else "denied"
            self._at(Fault.WRONG_TOPIC, item, f"the {outcome} topic", "this one")
        self._link(index, entry.prev_input_offset, entry.input_offset, step)
        source = self._input.take(entry, index)
        if source is not None:
            self._against_input(item, source)
        self._quarantine.judge(entry, index, self._tree.origin, source)
        if is_approved:
            self._counts["approved"] += 1
            self._approval(entry, index)
        else:
            self._counts["denied"] += 1
            self._denied_by[entry.reasons[0].code.name.lower()] += 1

    def _against_input(self, item: Found, source: LogRecord) -> None:
        if item.log_record.key != source.key:
            self._at(Fault.INPUT_DIFFERS, item, "the record key of the input", "another")
        is_refusal = item.entry.reasons[0].code is Code.CONTROL_REJECTED
        if is_control_record(source.value) != is_refusal:
            expected = "a control entry, or a refusal, exactly for control records"
            self._at(Fault.INPUT_DIFFERS, item, expected, "a decision of the other kind")

    def _approval(self, entry: Decision, index: int) -> None:
        key = state_key(entry.admission_key)
        self._keys.add(key)
        change = self._changelog.take(key, index)
        if change is None:
            return
        expected = AdmissionRecord(
            change.value.sequence, entry.epoch, index, entry.input_offset, entry.ask_sha256
        )
        if change.value != expected:
            self._changelog.differs(change, f"{expected}", f"{change.value}")

    def _other_entry(self, index: int, digest: bytes, data: bytes, step: Step) -> None:
        """Judge an entry that the lineage record itself carries."""
        if leaf_hash(data) != digest:
            expected, found = f"leaf hash {digest.hex()}", leaf_hash(data).hex()
            self._add(Fault.LEAF_DIFFERS, expected, found, step.offset, index)
        entry = read_leaf(data, self._tree.origin, index)
        if isinstance(entry, Refused):
            self._add(Fault.PROOF_REFUSED, "an entry", entry.text, step.offset, index)
        elif isinstance(entry, Decision):
            expected = "approved or denied for a decision"
            self._add(Fault.WRONG_TOPIC, expected, "the lineage", step.offset, index)
        elif isinstance(entry, Control):
            self._counts["control"] += 1
            self._link(index, entry.prev_input_offset, entry.input_offset, step)
            source = self._input.take(entry, index)
            if source is not None and not is_control_record(source.value):
                expected = "a control record in the input"
                self._add(Fault.INPUT_DIFFERS, expected, "another record", step.offset, index)
            self._control.advance(entry, index, source)
        elif isinstance(entry, Gap):
            self._counts["gaps"] += 1
            self._link(index, entry.prev_input_offset, entry.last_offset, step)
            self._input.skip(entry.first_offset, entry.last_offset, index)
            self._changelog.take(f"gap/{index}".encode(), index)
            self._quarantine.pass_gap(index)

    def _link(self, index: int, prev_offset: int, offset: int, step: Step) -> None:
        """Compare a link with the entry before, where that is known, and stand on this one."""
        known = self._prev_offset
        if known is not None and prev_offset != known:
            expected = f"a link to input offset {known}"
            self._add(Fault.LINK_BROKEN, expected, str(prev_offset), step.offset, index)
        self._prev_offset = offset

    def _at(self, fault: Fault, item: Found, expected: str, found: str) -> None:
        offset, index = item.log_record.offset, item.record.leaf_index
        self._findings.add(
            fault, item.where, expected=expected, found=found, offset=offset, leaf_index=index
        )

    def _add(
        self, fault: Fault, expected: str, found: str, offset: int = -1, index: int = -1
    ) -> None:
        self._findings.add(
            fault, self._where, expected=expected, found=found, offset=offset, leaf_index=index
        )

    def _result(self) -> PartitionCounts:
        pending = {
            "decisions": self._decisions.pending + self._counts["pending"],
            "changelog": self._changelog.pending,
            "quarantine": self._quarantine.pending,
            "input": self._input.pending,
        }
        return PartitionCounts(
            partition=self._partition,
            origin=self._tree.origin,
            tree_size=self._tree.size,
            checkpoints=self._tree.checkpoints,
            next_offset=self._tree.next_offset,
            input_records=self._input.compared,
            input_gone=self._input.gone,
            approved=self._counts["approved"],
            denied=self._counts["denied"],
            denied_by=dict(sorted(self._denied_by.items())),
            control=self._counts["control"],
            gaps=self._counts["gaps"],
            quarantined=self._quarantine.copies,
            pending=pending,
        )
