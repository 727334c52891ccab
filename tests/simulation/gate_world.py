"""The whole gate in the simulated world: people submit, processes die, and the topics are audited.

`SimulatedGate` is a world of `tests.worlds` whose log, store and clock are simulated. `live()` runs
gate processes, each new one after a crash or an exit, until everything is decided, and `audit()`
checks the lines (a) to (d) of `proof.md` §1 from the topics alone; (c) by a plain fold of the core
over the input, in one batch, without transactions.
"""

import hashlib
import random
from collections.abc import Sequence

from gate.core.control.state import ControlState, begin
from gate.core.lineage import Place, Standing, is_control, judge, key_records
from gate.core.proof.merkle import Frontier, append, verify_consistency
from gate.core.state import Salts
from gate.core.trust import verify_first
from gate.core.values import Genesis, LineageRecord
from gate.core.wire.entry import read_entry
from gate.core.wire.record import read_decision_record, read_lineage_record
from gate.errors import Fenced, GateError, PartitionStopped
from gate.ports import Input, LogReader, LogRecord, Output, Publisher
from tests.builders import GATE, a_bundle, a_request, a_root_envelope, an_activation
from tests.simulation.simulated_log import SimulatedLog
from tests.simulation.simulated_store import SimulatedStateStore
from tests.simulation.world import Crash, Fault
from tests.simulation.world import World as SimulatedWorld
from tests.worlds import TOPICS, World

LIVES_MAX = 60


class SimulatedGate(World):
    """People, one slot, and a log that fails by plan."""

    def __init__(
        self,
        seed: int = 0,
        faults: Sequence[Fault] = (),
        *,
        partitions: int = 2,
        marker_delay_ms_max: int = 0,
    ) -> None:
        self.world = SimulatedWorld(seed)
        self.log = SimulatedLog(self.world, marker_delay_ms_max=marker_delay_ms_max)
        super().__init__(admin=self.log.admin(), partitions=partitions, clock=self.world.clock)
        self.stores = SimulatedStateStore(self.world)
        self.endings: list[str] = []
        self.init()
        self.log.release_markers()
        self.world.clock.advance(marker_delay_ms_max + 1)
        self.world.visits.clear()
        self.world.plan(faults)

    def reader(self) -> LogReader:
        return self.log.reader()

    def publisher(self) -> Publisher:
        return self.log.publisher()

    def make_input(self) -> Input:
        return self.log.input(slot="gate-0", group_id=GATE, topic=TOPICS.requests)

    def make_output(self, slot: str) -> Output:
        return self.log.output(transactional_id=f"{GATE}.{slot}", input_topic=TOPICS.requests)

    def activate(self, **bundle: object) -> None:
        now_ms = self.clock.now_ms()
        self.control(
            an_activation(
                a_bundle(requester="open", source=OPEN_POLICY, **bundle),
                topic_id=self.topic_id,
                not_after_ms=now_ms + 3_600_000,
            )
        )

    def submit_some(self, count: int, *, keys: int = 12) -> None:
        """Publish requests under a few keys, so that many are replays and conflicts; and junk."""
        draw = self.world.random
        for _ in range(count):
            self._submit_one(draw, keys)

    def _submit_one(self, draw: random.Random, keys: int) -> None:
        if draw.random() < 0.1:
            self.submit((b"L-0", draw.choice((b"junk", None, b"\xc3\x01" + bytes(20)))))
            return
        loan = f"L-{draw.randrange(keys)}"
        request = a_request(
            loan_id=loan,
            loan_amount=draw.choice((100, 200, 60_000)),
            score=None,
            signer=None,
            request_id=f"r-{draw.randrange(10**9)}",
            issued_at_ms=self.clock.now_ms(),
        )
        self.submit((loan.encode(), request))

    def live(self) -> None:
        """Run processes of the slot until one ends caught up."""
        for _ in range(LIVES_MAX):
            try:
                self.run(batch_records_max=self.world.random.randint(1, 9))
            except Crash as crash:
                self.endings.append(f"crash: {crash}")
                self.stores.crash()
            except (GateError, AssertionError) as error:
                if isinstance(error, AssertionError):
                    raise
                self.endings.append(f"{type(error).__name__}: {error}")
                if isinstance(error, PartitionStopped) and error.cause != "transaction_failing":
                    raise
                if isinstance(error, Fenced):
                    self.world.clock.advance(30_000)
            else:
                self.endings.append("caught up")
                return
        raise AssertionError(f"no end after {LIVES_MAX} lives: {self.endings[-3:]}")

    def audit(self) -> None:
        """Check (a) to (d) for every partition."""
        self.world.clock.advance(60_000)  # whatever was late has arrived
        approved: set[bytes] = set()
        for number in range(self.partitions):
            inputs = [r for r in self.records(TOPICS.requests) if r.partition == number]
            leaves = self._leaves(number)
            expected = fold(self, number, inputs)
            assert leaves == expected, "(a), (c): entries differ from a plain fold of the input"
            for leaf in leaves[1:]:
                entry = read_entry(leaf)
                if getattr(entry, "outcome", 0):
                    assert entry.admission_key not in approved, "(b): a key approved twice"
                    approved.add(entry.admission_key)

    def _leaves(self, number: int) -> list[bytes]:
        """Every leaf of the lineage, put together from lineage and decision topics; and (d)."""
        lineage = [
            read_lineage_record(r.value or b"")
            for r in self.records(TOPICS.lineage)
            if r.partition == number
        ]
        found: dict[int, bytes] = {}
        for record in lineage:
            for item in record.entries:
                assert found.setdefault(item.leaf_index, item.entry) is item.entry
        for topic in (TOPICS.approved, TOPICS.denied):
            for r in self.records(topic):
                if r.partition == number:
                    decision = read_decision_record(r.value or b"")
                    assert decision.leaf_index not in found, "(a): one leaf index twice"
                    found[decision.leaf_index] = decision.entry
        leaves = [found[index] for index in sorted(found)]
        assert sorted(found) == list(range(len(found))), "(a): a leaf index is missing"
        _check_consistency(lineage, leaves)
        return leaves


OPEN_POLICY = """\
format: gate-policy/1
policy: loans
version: 1.0.0
sequence: 1
owner: credit-risk@acme.example
governs: [loan.approve]
valid: {from: "2020-01-01T00:00:00Z", until: "2060-01-01T00:00:00Z"}
requester: open
window: {max_age: 30d, max_ahead: 1h}
resource: "loan/{request.loan_id}"
key: {space: loans, generation: 1, parts: [request.loan_id]}
request:
  loan_id: {type: string, max_len: 40, chars: "A-Z0-9-"}
  applicant: {type: string, max_len: 64}
  loan_amount: {type: int, min: 1, max: 100000, unit: EUR}
rules:
  - id: too-large
    deny: request.loan_amount > 50000
    message: "Loans of {request.loan_amount} EUR are above the limit."
  - id: any
    allow: request.loan_amount > 0
constraints:
  valid_for: 15m
"""


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
