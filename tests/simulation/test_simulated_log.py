"""The simulated log does what a cluster does to a gate: each hazard can happen, and does.

These are the negative controls of the simulation: a guard of the gate is tested only if the world
can punish its absence.
"""

import pytest

from gate.errors import (
    Fenced,
    GateError,
    Lost,
    OutcomeUnknown,
    Pending,
    TransactionAborted,
    Unreadable,
)
from gate.ports import (
    Ends,
    GroupIdentity,
    OffsetCommit,
    OutputRecord,
    TopicPartition,
    TopicSpec,
)
from tests.simulation.simulated_broker import OFFSETS
from tests.simulation.simulated_log import SimulatedInput, SimulatedLog, SimulatedOutput
from tests.simulation.world import Boundary, Crash, Fault, Way, World, ways_of

REQUESTS, APPROVED = "requests", "approved"
FIRST, SECOND = TopicPartition(APPROVED, 0), TopicPartition(APPROVED, 1)


def a_log(*faults: Fault, seed: int = 0, marker_delay_ms_max: int = 0) -> SimulatedLog:
    log = SimulatedLog(World(seed, faults), marker_delay_ms_max=marker_delay_ms_max)
    log.admin().create_topics(
        [TopicSpec(name=name, partition_count=4, settings={}) for name in (REQUESTS, APPROVED)]
    )
    return log


def an_output(log: SimulatedLog, slot: str = "0") -> SimulatedOutput:
    output = log.output(transactional_id=f"gate.{slot}", input_topic=REQUESTS)
    output.open()
    return output


def a_member(log: SimulatedLog, slot: str = "0") -> SimulatedInput:
    member = log.input(slot=slot, group_id="gate", topic=REQUESTS)
    member.poll(records_max=1, timeout_ms=0)
    return member


def transact(
    output: SimulatedOutput,
    *records: tuple[TopicPartition, bytes],
    identity: GroupIdentity | None = None,
    next_offset: int = 1,
) -> None:
    output.begin()
    for (topic, partition), value in records:
        output.produce(OutputRecord(topic, partition, None, value))
    if identity is not None:
        output.send_offsets([OffsetCommit(0, next_offset, "target")], identity)
    output.commit()


def visible(log: SimulatedLog, partition: TopicPartition) -> list[bytes | None]:
    found = log.reader().read(partition, offset=0, records_max=1000).records
    return [record.value for record in found]


def is_pinned(log: SimulatedLog, partition: TopicPartition) -> bool:
    ends = log.reader().ends([partition])[partition]
    return ends.last_stable < ends.high_watermark


# --- two-step ends


def test_a_decided_transaction_is_hidden_until_its_markers_arrive() -> None:
    log = a_log()
    member, output = a_member(log), an_output(log)
    log.hold_markers()
    transact(output, (FIRST, b"a"), (SECOND, b"b"), identity=member.group_identity())
    log.write_foreign(OutputRecord(APPROVED, 0, None, b"after"))
    reader = log.reader()

    assert (visible(log, FIRST), visible(log, SECOND)) == ([], [])
    assert reader.last(FIRST) is None
    assert reader.ends([FIRST]) == {FIRST: Ends(0, 0, 2)}
    with pytest.raises(Pending):
        reader.committed("gate", REQUESTS, [0])
    assert reader.committed("gate", REQUESTS, [1]) == {1: None}

    log.deliver_markers(OFFSETS)
    assert reader.committed("gate", REQUESTS, [0]) == {0: OffsetCommit(0, 1, "target")}
    assert visible(log, FIRST) == [], "offsets may be there before the records"

    log.deliver_markers(FIRST)
    assert (visible(log, FIRST), visible(log, SECOND)) == ([b"a", b"after"], [])
    log.release_markers()
    assert visible(log, SECOND) == [b"b"]


def test_the_next_transaction_waits_for_the_last_to_complete() -> None:
    log = a_log()
    output = an_output(log)
    log.hold_markers()
    transact(output, (FIRST, b"a"), (SECOND, b"b"))
    transact(output, (SECOND, b"c"))

    assert visible(log, FIRST) == [b"a"]
    assert visible(log, SECOND) == [b"b"]


def test_markers_arrive_by_themselves_as_time_passes() -> None:
    log = a_log(marker_delay_ms_max=1_000)
    output = an_output(log)
    transact(output, (FIRST, b"a"), (SECOND, b"b"))

    assert is_pinned(log, FIRST) or is_pinned(log, SECOND)
    log.world.clock.advance(1_000)
    assert (visible(log, FIRST), visible(log, SECOND)) == ([b"a"], [b"b"])


def test_a_lost_marker_pins_until_the_next_transaction_decides_its_fate() -> None:
    for is_commit in (True, False):
        log = a_log()
        output = an_output(log)
        log.hold_markers()
        transact(output, (FIRST, b"acknowledged"))
        log.lose_markers(FIRST)
        log.release_markers()
        output.renew()
        assert is_pinned(log, FIRST), "a renewed producer does not heal it"

        output.begin()
        output.produce(OutputRecord(APPROVED, 0, None, b"next"))
        if is_commit:
            output.commit()
            assert visible(log, FIRST) == [b"acknowledged", b"next"]
        else:
            output.abort()
            assert visible(log, FIRST) == [], "an acknowledged record is erased"


def test_a_transaction_that_takes_too_long_is_aborted_for_it() -> None:
    log = a_log()
    output = an_output(log)
    output.begin()
    output.produce(OutputRecord(APPROVED, 0, None, b"slow"))
    log.world.clock.advance(60_001)

    with pytest.raises(OutcomeUnknown, match="timed out"):
        output.commit()
    output.renew()
    assert (visible(log, FIRST), is_pinned(log, FIRST)) == ([], False)


# --- late requests


@pytest.mark.parametrize("is_renewed", [True, False])
def test_a_late_copy_of_a_commit_ends_the_next_transaction_unless_renewed(
    is_renewed: bool,
) -> None:
    log = a_log(Fault(Boundary.COMMIT, 1, Way.DUPLICATED))
    output = an_output(log)
    before_ms = log.world.clock.monotonic_ms()
    transact(output, (FIRST, b"1"))
    assert log.world.clock.monotonic_ms() - before_ms > 5_000, "visibly slow"
    if is_renewed:
        output.renew()
    output.begin()
    output.produce(OutputRecord(APPROVED, 0, None, b"2"))
    log.world.clock.advance(10_000)
    output.produce(OutputRecord(APPROVED, 0, None, b"3"))
    output.produce(OutputRecord(APPROVED, 1, None, b"4"))
    output.abort()

    if is_renewed:
        assert (visible(log, FIRST), visible(log, SECOND)) == ([b"1"], [])
        assert not is_pinned(log, FIRST)
    else:
        assert (visible(log, FIRST), visible(log, SECOND)) == ([b"1", b"2"], [])
        assert is_pinned(log, FIRST), "the rest hangs"


def test_a_delayed_commit_is_harmless_after_renew() -> None:
    log = a_log(Fault(Boundary.COMMIT, 1, Way.DELAYED))
    output = an_output(log)
    with pytest.raises(OutcomeUnknown):
        transact(output, (FIRST, b"1"))
    output.renew()
    log.world.clock.advance(10_000)
    transact(output, (FIRST, b"2"))

    assert visible(log, FIRST) == [b"2"]


def test_a_delayed_commit_may_still_commit_before_renew() -> None:
    log = a_log(Fault(Boundary.COMMIT, 1, Way.DELAYED))
    output = an_output(log)
    with pytest.raises(OutcomeUnknown):
        transact(output, (FIRST, b"1"))
    log.world.clock.advance(10_000)
    output.renew()

    assert visible(log, FIRST) == [b"1"]


# --- the group


def test_a_second_slot_makes_the_group_rebalance() -> None:
    log = a_log()
    first = a_member(log, "a")
    before = first.group_identity()
    second = log.input(slot="b", group_id="gate", topic=REQUESTS)

    assert second.poll(records_max=1, timeout_ms=0) == ((), (), [])
    assert first.poll(records_max=1, timeout_ms=0) == ((0, 1), (0, 1, 2, 3), [])
    assert second.poll(records_max=1, timeout_ms=0) == ((2, 3), (), [])
    assert first.group_identity().generation == before.generation + 1
    with pytest.raises(TransactionAborted, match="expected generation"):
        transact(an_output(log), (FIRST, b"stale"), identity=before)
    second.close()
    assert first.poll(records_max=1, timeout_ms=0) == ((0, 1, 2, 3), (0, 1), [])


def test_a_process_that_stands_still_is_expelled_and_its_offsets_are_refused() -> None:
    log = a_log()
    zombie, output = a_member(log, "a"), an_output(log, "a")
    other = a_member(log, "b")
    zombie.poll(records_max=1, timeout_ms=0)
    other.poll(records_max=1, timeout_ms=0)
    log.stand_still("a")
    log.world.clock.advance(20_001)

    assert other.poll(records_max=1, timeout_ms=0) == ((0, 1, 2, 3), (2, 3), [])
    with pytest.raises(TransactionAborted, match="was expelled"):
        transact(output, (FIRST, b"zombie"), identity=zombie.group_identity())
    output.abort()
    assert zombie.poll(records_max=1, timeout_ms=0).revoked == (0, 1)
    assert visible(log, FIRST) == []


def test_a_new_process_of_a_slot_takes_its_partitions_without_a_rebalance() -> None:
    log = a_log()
    old, output = a_member(log), an_output(log)
    generation = old.group_identity().generation
    new = log.input(slot="0", group_id="gate", topic=REQUESTS)

    assert new.poll(records_max=1, timeout_ms=0).assigned == (0, 1, 2, 3)
    assert new.group_identity().generation == generation
    with pytest.raises(Fenced, match="slot_in_use"):
        transact(output, (FIRST, b"old"), identity=old.group_identity())
    with pytest.raises(Fenced):
        old.poll(records_max=1, timeout_ms=0)


def test_without_a_generation_the_broker_checks_nothing() -> None:
    log = a_log()
    stale = GroupIdentity(group_id="gate", generation=-1, member_id="", token=None)
    transact(an_output(log), (FIRST, b"unchecked"), identity=stale)

    assert visible(log, FIRST) == [b"unchecked"]


def test_a_member_that_does_not_poll_is_expelled() -> None:
    log = a_log()
    a_member(log)
    log.world.clock.advance(180_000)
    assert not log.reader().group_is_empty("gate")
    log.world.clock.advance(2)

    assert log.reader().group_is_empty("gate")


# --- accidents


def test_accidents_show() -> None:
    log = a_log()
    member = a_member(log)
    transact(an_output(log), (FIRST, b"1"), (FIRST, b"2"), identity=member.group_identity())
    log.damage(FIRST, 1)
    reader = log.reader()
    before = reader.topic(APPROVED)

    assert reader.read(FIRST, offset=0, records_max=9).next_offset == 1
    for read in (
        lambda: reader.read(FIRST, offset=1, records_max=9),
        lambda: reader.last(FIRST),
    ):
        with pytest.raises(Unreadable):
            read()
    log.truncate(FIRST, 2)
    with pytest.raises(Lost):
        reader.read(FIRST, offset=1, records_max=9)
    log.forget_offsets("gate", REQUESTS)
    assert reader.committed("gate", REQUESTS, [0]) == {0: None}
    log.recreate(APPROVED)
    after = reader.topic(APPROVED)
    assert before is not None
    assert after is not None
    assert before.topic_id != after.topic_id
    assert reader.ends([FIRST]) == {FIRST: Ends(0, 0, 0)}


def test_a_topic_with_create_time_says_so() -> None:
    log = a_log()
    settings = {"message.timestamp.type": "CreateTime"}
    log.admin().create_topics([TopicSpec(name="odd", partition_count=1, settings=settings)])
    log.write_foreign(OutputRecord("odd", 0, None, b"x"))

    (record,) = log.reader().read(TopicPartition("odd", 0), offset=0, records_max=1).records
    assert record.is_append_time is False


# --- faults

IN_A_TRANSACTION = (Boundary.BEGIN, Boundary.PRODUCE, Boundary.SEND_OFFSETS, Boundary.COMMIT)


@pytest.mark.parametrize(
    ("boundary", "way"), [(b, way) for b in IN_A_TRANSACTION for way in ways_of(b)]
)
def test_each_way_of_failing_has_its_effect(boundary: Boundary, way: Way) -> None:
    log = a_log(Fault(boundary, 1, way))
    member, output = a_member(log), an_output(log)
    error: BaseException | None = None
    try:
        transact(output, (FIRST, b"1"), identity=member.group_identity())
    except (GateError, Crash) as caught:
        error = caught
    an_output(log)  # the next process, or the renewed producer

    is_committed = boundary is Boundary.COMMIT and way in {
        Way.HAPPENED_ANYWAY,
        Way.CRASH_AFTER,
        Way.DUPLICATED,
    }
    kinds: dict[Way, type[BaseException]] = {
        Way.CRASH_BEFORE: Crash,
        Way.CRASH_AFTER: Crash,
        Way.REFUSED: TransactionAborted,
        Way.DELAYED: OutcomeUnknown,
        Way.DUPLICATED: type(None),
    }
    failed: dict[Boundary, type[BaseException]] = {
        Boundary.BEGIN: Fenced,
        Boundary.PRODUCE: TransactionAborted,
        Boundary.SEND_OFFSETS: TransactionAborted,
        Boundary.COMMIT: OutcomeUnknown,
    }
    assert type(error) is kinds.get(way, failed[boundary])
    assert visible(log, FIRST) == ([b"1"] if is_committed else [])
    assert log.reader().committed("gate", REQUESTS, [0])[0] == (
        OffsetCommit(0, 1, "target") if is_committed else None
    )
    assert log.world.fired == [Fault(boundary, 1, way)]


def test_faults_come_at_their_visit_and_visits_are_counted() -> None:
    log = a_log(Fault(Boundary.PRODUCE, 3, Way.DID_NOT_HAPPEN))
    output = an_output(log)
    output.begin()
    record = OutputRecord(APPROVED, 0, None, b"x")
    output.produce(record)
    output.produce(record)
    with pytest.raises(TransactionAborted):
        output.produce(record)

    assert log.world.visits == {Boundary.OPEN: 1, Boundary.BEGIN: 1, Boundary.PRODUCE: 3}


def test_a_fault_that_can_not_be_is_refused() -> None:
    with pytest.raises(AssertionError, match="poll can not fail so: happened anyway"):
        World(0, [Fault(Boundary.POLL, 1, Way.HAPPENED_ANYWAY)])


def _history(seed: int) -> list[object]:
    log = a_log(seed=seed, marker_delay_ms_max=50)
    output = an_output(log)
    seen: list[object] = []
    for number in range(20):
        transact(output, (FIRST, b"%d" % number), (SECOND, b"%d" % number))
        seen.append((visible(log, FIRST), log.reader().ends([SECOND])[SECOND]))
    return seen


def test_a_seed_is_a_history() -> None:
    assert _history(7) == _history(7)
    assert _history(7) != _history(8)
