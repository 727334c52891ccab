import pytest

from gate.core.proof.meaning import _PHASES, contradiction
from gate.core.reasons import Code, Phase, Reason
from gate.core.values import CONTROL_NONE, SHADOW, Approval, ClosedLineage, First
from tests.unit.core.proof.lineages import (
    APPROVAL,
    DENIAL,
    GAP,
    GENESIS,
    NOW_MS,
    ORIGIN,
    POLICY_CONTROL,
    TRUST_CONTROL,
)

REPLAY = DENIAL._replace(
    reasons=(Reason(Code.REPLAYED, Phase.REPLAY),), first=First(1, 3, 2), input_offset=8
)
NO_POLICY = DENIAL._replace(
    reasons=(Reason(Code.NO_POLICY, Phase.POLICY),), policy_id="", policy_sha256=bytes(32)
)
FORBIDDEN = Reason(Code.FORBIDDEN, Phase.EVALUATE, rule="r")
MORE = Reason(Code.MORE_REASONS, Phase.NONE)
FULL = DENIAL._replace(reasons=(*[FORBIDDEN] * 31, MORE))


@pytest.mark.parametrize(
    "entry", [APPROVAL, DENIAL, REPLAY, NO_POLICY, FULL, TRUST_CONTROL, POLICY_CONTROL, GAP]
)
def test_what_the_gate_writes_does_not_contradict_itself(entry):
    assert contradiction(entry, ORIGIN, 9) is None


def test_genesis_is_leaf_0_and_only_genesis_is():
    assert contradiction(GENESIS, ORIGIN, 0) is None
    assert "expected Genesis at leaf 0" in contradiction(GENESIS, ORIGIN, 1)
    assert "expected Genesis at leaf 0" in contradiction(DENIAL, ORIGIN, 0)


def test_every_code_has_its_phases():
    assert list(_PHASES) == list(Code)


APPROVED_REASON = Reason(Code.APPROVED, Phase.NONE)
ORIGIN_2 = ORIGIN.removesuffix("/1") + "/2"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (APPROVAL._replace(mode=SHADOW), "expected mode ENFORCED"),
        (APPROVAL._replace(domain="other.example"), "not those of the origin"),
        (APPROVAL._replace(gate="refunds"), "not those of the origin"),
        (APPROVAL._replace(input_topic="x"), "not those of the origin"),
        (APPROVAL._replace(input_partition=4), "not those of the origin"),
        (APPROVAL._replace(epoch=2), "not those of the origin"),
        (APPROVAL._replace(gate="pay/ments"), "not those of the origin"),
        (APPROVAL._replace(prev_input_offset=5), "link to the record before: 5 to 5"),
        (APPROVAL._replace(prev_input_offset=-2), "link to the record before: -2 to 5"),
        (APPROVAL._replace(input_time_ms=-1), "out of range"),
        (APPROVAL._replace(trust_root_version=0), "out of range"),
        (APPROVAL._replace(policy_sequence=-1), "out of range"),
        (DENIAL._replace(policy_id=""), "do not name a policy together"),
        (DENIAL._replace(policy_sha256=bytes(32)), "do not name a policy together"),
        (DENIAL._replace(reasons=()), "expected 1 to 32 reasons, got 0"),
        (DENIAL._replace(reasons=(FORBIDDEN,) * 33), "expected 1 to 32 reasons, got 33"),
        (DENIAL._replace(reasons=(FORBIDDEN, MORE)), "only as the last of 32"),
        (DENIAL._replace(reasons=(MORE,)), "only as the last of 32"),
        (FULL._replace(reasons=(*[FORBIDDEN] * 31, MORE._replace(phase=Phase.ENCODE))), "phase"),
        (FULL._replace(reasons=(MORE, *[FORBIDDEN] * 30, MORE)), "does not exist"),
        (DENIAL._replace(reasons=(Reason(Code.FORBIDDEN, Phase.ADMIT),)), "does not exist"),
        (
            DENIAL._replace(reasons=(FORBIDDEN, Reason(Code.STALE, Phase.ADMIT))),
            "a step with a finding ends the evaluation",
        ),
        (APPROVAL._replace(reasons=(FORBIDDEN,)), "does not belong to the outcome"),
        (DENIAL._replace(reasons=(APPROVED_REASON,)), "does not belong to the outcome"),
        (DENIAL._replace(first=First(1, 3, 2)), "`first` stands in replays"),
        (REPLAY._replace(first=None), "`first` stands in replays"),
        (REPLAY._replace(first=First(2, 3, 2)), "`first` is out of range"),
        (REPLAY._replace(first=First(0, 3, 2)), "`first` is out of range"),
        (REPLAY._replace(first=First(1, 0, 2)), "`first` is out of range"),
        (REPLAY._replace(first=First(1, 3, -1)), "`first` is out of range"),
        (REPLAY._replace(first=First(1, 9, 2)), "does not lie before"),
        (REPLAY._replace(first=First(1, 3, 8)), "does not lie before"),
        (DENIAL._replace(expires_ms=NOW_MS + 1), "a denial has no"),
        (DENIAL._replace(constraints=(("a", 1),)), "a denial has no"),
        (DENIAL._replace(approvals=(Approval("r", "o", "h", "k", bytes(32)),)), "a denial has no"),
        (APPROVAL._replace(expires_ms=None), "an approval expires"),
        (APPROVAL._replace(expires_ms=NOW_MS), "an approval expires"),
        (APPROVAL._replace(policy_id="", policy_sha256=bytes(32)), "an approval has a policy"),
        (APPROVAL._replace(admission_key=b""), "an approval has a policy"),
        (APPROVAL._replace(ask_sha256=bytes(32)), "an approval has a policy"),
        (TRUST_CONTROL._replace(kind=CONTROL_NONE), "did nothing"),
        (TRUST_CONTROL._replace(prev_input_offset=0), "link to the record before"),
        (TRUST_CONTROL._replace(signers=()), "signers are missing"),
        (TRUST_CONTROL._replace(signers=("b", "a")), "signers are missing, or not ascending"),
        (TRUST_CONTROL._replace(signers=("a", "a")), "signers are missing, or not ascending"),
        (TRUST_CONTROL._replace(sequence=1), "0 for a trust root"),
        (POLICY_CONTROL._replace(activation_sequence=0), "sequences count policies from 1"),
        (GAP._replace(last_offset=5), "range is empty"),
        (GAP._replace(prev_input_offset=6), "range is empty"),
        (GAP._replace(order=b""), "operators' order"),
    ],
)
def test_an_entry_that_the_gate_can_not_have_written_is_named(entry, text):
    assert text in contradiction(entry, ORIGIN, 9)


CLOSED = ClosedLineage(ORIGIN, 12, bytes(32))


@pytest.mark.parametrize(
    ("entry", "log", "text"),
    [
        (GENESIS, ORIGIN_2, "not those of the origin"),
        (GENESIS._replace(partition_count=3), ORIGIN, "out of range"),
        (GENESIS._replace(first_offset=-1), ORIGIN, "out of range"),
        (GENESIS._replace(previous=(CLOSED,)), ORIGIN, "from epoch 2 on"),
        (GENESIS._replace(epoch=2), ORIGIN_2, "from epoch 2 on"),
        (GENESIS._replace(limits=(("b", 1), ("a", 1))), ORIGIN, "not ascending"),
        (GENESIS._replace(schemas=GENESIS.schemas * 2), ORIGIN, "not ascending"),
    ],
)
def test_a_genesis_that_the_gate_can_not_have_written_is_named(entry, log, text):
    assert text in contradiction(entry, log, 0)


def test_a_later_epoch_names_the_lineages_before_it():
    assert contradiction(GENESIS._replace(epoch=2, previous=(CLOSED,)), ORIGIN_2, 0) is None
