"""Every step and code of `bad-input.md` §1: one entry, the right code, the gate goes on."""

import pytest

from gate.core.values import APPROVED
from gate.core.wire.record import read_decision_record
from tests.builders import a_bundle, a_request, an_activation
from tests.corpus import Case, all_cases
from tests.worlds import TOPICS, EmbeddedWorld

CASES = all_cases()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedWorld:
    """One world in which the whole corpus was decided, then one good request."""
    world = EmbeddedWorld(tmp_path_factory.mktemp("corpus"))
    world.init()
    world.control(an_activation(a_bundle(), topic_id=world.topic_id))
    world.submit((b"L-TAKEN", a_request(loan_id="L-TAKEN")))
    world.submit(*((case.key, case.value) for case in CASES), partition=0)
    world.submit((b"L-AFTER", a_request(loan_id="L-AFTER", request_id="after")))
    world.run()
    return world


def test_every_record_has_exactly_one_entry_and_the_gate_goes_on(world: EmbeddedWorld) -> None:
    decisions = world.decisions()
    assert len(decisions) == len(CASES) + 2
    assert [d.input_offset for d in decisions] == [
        record.offset for record in world.records(TOPICS.requests) if record.key or record.offset
    ][-len(decisions) :]
    assert (decisions[-1].request_id, decisions[-1].outcome) == ("after", APPROVED)


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case.name for case in CASES])
def test_the_entry_names_what_is_wrong(world: EmbeddedWorld, index: int) -> None:
    decision, case = world.decisions()[index + 1], CASES[index]
    found = tuple((r.code.name.lower(), r.rule, r.field) for r in decision.reasons)
    assert found == case.reasons


def test_exactly_the_listed_records_are_quarantined_untouched(world: EmbeddedWorld) -> None:
    kept = [(record.key, record.value) for record in world.records(TOPICS.quarantine)]

    def copy_of(case: Case) -> tuple[bytes | None, bytes | None]:
        return case.key, case.value if len(case.value or b"") <= 65_536 else b"\x00" * 4_096

    assert kept == [copy_of(case) for case in CASES if case.is_quarantined]


def test_a_denial_carries_no_ask(world: EmbeddedWorld) -> None:
    denied = [read_decision_record(record.value or b"") for record in world.records(TOPICS.denied)]
    assert len(denied) == len(CASES)
    assert {record.ask for record in denied} == {b""}
