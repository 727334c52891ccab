"""The lines (a) to (d) of `proof.md` §1, checked from the topics alone.

(c) by a plain fold of the core over the input, one record at a time, without transactions.
"""

import hashlib
from collections.abc import Sequence

from gate.core.control.state import ControlState, begin
from gate.core.lineage import Place, Standing, is_control, judge, key_records
from gate.core.proof.merkle import Frontier, append, verify_consistency
from gate.core.state import Salts
from gate.core.trust import verify_first
from gate.core.values import Genesis, LineageRecord
from gate.core.wire.entry import read_entry
from gate.core.wire.record import read_decision_record, read_lineage_record
from gate.ports import LogRecord
from tests.builders import a_root_envelope
from tests.worlds import TOPICS, World


def check_lines(world: World) -> None:
    """Check every partition of a world whose gate has decided everything."""
    world.settle()
    approved: set[bytes] = set()
    for number in range(world.partitions):
        inputs = [r for r in world.records(TOPICS.requests) if r.partition == number]
        leaves = leaves_of(world, number)
        assert leaves == fold(world, number, inputs), (
            "(a), (c): entries are not a fold of the input"
        )
        for leaf in leaves[1:]:
            entry = read_entry(leaf)
            if getattr(entry, "outcome", 0):
                assert entry.admission_key not in approved, "(b): a key approved twice"
                approved.add(entry.admission_key)


def leaves_of(world: World, number: int) -> list[bytes]:
    """Return every leaf, put together from lineage and decision topics; checks (d)."""
    lineage = [
        read_lineage_record(r.value or b"")
        for r in world.records(TOPICS.lineage)
        if r.partition == number
    ]
    found: dict[int, bytes] = {}
    for record in lineage:
        for item in record.entries:
            assert found.setdefault(item.leaf_index, item.entry) is item.entry
    for topic in (TOPICS.approved, TOPICS.denied):
        for r in world.records(topic):
            if r.partition == number:
                decision = read_decision_record(r.value or b"")
                assert decision.leaf_index not in found, "(a): one leaf index twice"
                found[decision.leaf_index] = decision.entry
    leaves = [found[index] for index in sorted(found)]
    assert sorted(found) == list(range(len(found))), "(a): a leaf index is missing"
    _check_consistency(lineage, leaves)
    return leaves


def _check_consistency(lineage: Sequence[LineageRecord], leaves: Sequence[bytes]) -> None:
    frontier, at, root = Frontier(0, ()), 0, b""
    for record in lineage:
        assert record.prev_size == at, "(d): a lineage record does not continue the one before"
        hashes = [hashlib.sha256(b"\x00" + leaf).digest() for leaf in leaves[at : record.tree_size]]
        assert b"".join(hashes) == record.leaf_hashes
        appended = append(frontier, hashes)
        if at:
            assert verify_consistency(
                at, root, record.tree_size, record.root, record.consistency
            ), "(d)"
        assert appended.root == record.root, "(d): the root is not that of the leaves"
        frontier, at, root = appended.frontier, record.tree_size, record.root
    assert at == len(leaves)


def fold(world: World, number: int, inputs: Sequence[LogRecord]) -> list[bytes]:
    """Decide the input of a partition with nothing but the core, one record at a time."""
    first = next(
        read_lineage_record(r.value or b"")
        for r in world.records(TOPICS.lineage)
        if r.partition == number
    )
    leaves = [first.entries[0].entry]
    genesis = read_entry(leaves[0])
    assert isinstance(genesis, Genesis)
    place = Place(first.log, number, world.partitions, Salts(world.keys, first.log))
    envelope = a_root_envelope()
    control: ControlState = begin(genesis, verify_first(envelope), envelope)
    standing = Standing(control, Frontier(1, (bytes(32),)), 2, -1, -1, -1, -1)
    taken: dict[bytes, bytes] = {}
    for record in inputs:
        keyed = key_records([record], place=place, control=standing.control)
        judged = judge(keyed, taken, place=place, standing=standing)
        assert is_control(record) or len(judged.leaves) == 1
        leaves += [leaf.entry for leaf in judged.leaves]
        taken |= {key: value for key, value, is_part in judged.changes if not is_part}
        standing = standing._replace(
            control=judged.control,
            sequence=judged.sequence,
            frontier=Frontier(len(leaves), (bytes(32),)),
            prev_input_offset=record.offset,
        )
    return leaves
