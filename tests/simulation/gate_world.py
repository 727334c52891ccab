"""The whole gate in the simulated world: people submit, processes die, and the topics are audited.

`SimulatedGate` is a world of `tests.worlds` whose log, store and clock are simulated. `live()` runs
gate processes, each new one after a crash or an exit, until everything is decided, and `audit()`
checks what `tests.lines` checks.
"""

import random
from collections.abc import Sequence

from gate.errors import Fenced, GateError, PartitionStopped
from gate.ports import Input, LogReader, Output, Publisher
from tests.builders import GATE, a_bundle, a_request, an_activation
from tests.lines import check_lines
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
        """Check (a) to (d) for every partition, once whatever was late has arrived."""
        self.world.calm()
        self.world.clock.advance(60_000)
        check_lines(self)


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
