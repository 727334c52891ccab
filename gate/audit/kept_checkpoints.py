"""Checkpoints that somebody kept, against the tree that the topics hold now.

The only way to notice that last transactions are gone from every topic, or that the whole lineage
was written anew under the same key (`design/README.md` §1, P6).
"""

from collections.abc import Iterable, Mapping, Sequence

from gate.audit.findings import Fault, Findings
from gate.core import jcs
from gate.core.proof.checkpoint import Note
from gate.core.proof.merkle import Frontier, append
from gate.core.topics import Topics
from gate.core.values import LineageRecord
from gate.errors import ConfigInvalid
from gate.ports import TopicPartition


def by_partition(
    notes: Iterable[Note], topics: Topics, partitions: Sequence[int]
) -> Mapping[int, Sequence[Note]]:
    """Sort notes by the partition in their origin. Raises `ConfigInvalid` for one of none."""
    found: dict[int, list[Note]] = {}
    for note in notes:
        topic, number, _ = ["", *note.origin.split("/")][-3:]
        if topic != topics.requests or not number.isdigit() or int(number) not in partitions:
            raise ConfigInvalid(
                f"kept checkpoint: expected one of topic `{topics.requests}`, partitions "
                f"{', '.join(map(str, partitions))}, found log `{note.origin}`"
            )
        if note.size == 0:
            raise ConfigInvalid(f"kept checkpoint of `{note.origin}` has size 0: it proves nothing")
        found.setdefault(int(number), []).append(note)
    return found


def note_text(note: Note) -> str:
    """Return a checkpoint as the C2SP note that it was read from, to be kept in a file."""
    lines = [
        f"\u2014 {name} {jcs.encode_base64(key_id + signature)}\n"
        for name, key_id, signature in note.signatures
    ]
    return note.body.decode() + "\n" + "".join(lines)


class KeptCheckpoints:
    """The kept checkpoints of one partition, compared as the walk passes their sizes."""

    def __init__(
        self, notes: Iterable[Note], where: TopicPartition, findings: Findings, *, beyond: int = 0
    ) -> None:
        """Begin at size `beyond`. Raises `ConfigInvalid` for a note that lies before it."""
        self._waiting = sorted(notes, key=lambda note: note.size)
        self._where = where
        self._findings = findings
        for note in self._waiting[:1]:
            if note.size <= beyond:
                raise ConfigInvalid(
                    f"kept checkpoint of `{note.origin}`, size {note.size}, lies within what the "
                    f"resume file has audited, size {beyond}: compare it without --resume"
                )

    def compare(
        self, record: LineageRecord, hashes: Sequence[bytes], before: Frontier | None, offset: int
    ) -> None:
        """Compare those of sizes that this record adds; `before` is the tree before it, if known.

        Within a transaction the tree of the first leaves is built.
        """
        while self._waiting and self._waiting[0].size <= record.tree_size:
            note = self._waiting.pop(0)
            root: bytes | None = record.root
            if note.size < record.tree_size:
                root = None
                if before is not None and note.size > before.size:
                    root = append(before, hashes[: note.size - before.size]).root
            if root != note.root or record.log != note.origin:
                shown = "a tree that is not known" if root is None else f"root {root.hex()}"
                self._add(Fault.KEPT_CHECKPOINT_DIFFERS, note, f"{shown} of `{record.log}`", offset)

    def finish(self, size: int) -> None:
        """Name those of sizes that were not reached."""
        for note in self._waiting:
            self._add(Fault.KEPT_CHECKPOINT_MISSING, note, f"a tree of size {size}", -1)
        self._waiting = []

    def _add(self, fault: Fault, note: Note, found: str, offset: int) -> None:
        expected = f"root {note.root.hex()} at size {note.size} of `{note.origin}`, as it was kept"
        self._findings.add(fault, self._where, expected=expected, found=found, offset=offset)
