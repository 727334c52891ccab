"""Entries: a Decision of a prepared block, and the limits of what is read back."""

from typing import Any

import pytest

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import ENFORCED, SHADOW, Decision, Evaluated, Gap
from gate.core.wire import schemas
from gate.core.wire.changelog import is_admission_record
from gate.core.wire.entry import (
    decision_block,
    encode_control,
    encode_decision,
    encode_entry,
    encode_gap,
    encode_genesis,
    read_entry,
)
from gate.core.wire.reader import WireError
from tests.unit.core.wire.oracle import Oracle
from tests.unit.core.wire.samples import CONTROL, DECISION, GAP, GENESIS, SAMPLES


def encoded(**changed: Any) -> bytes:
    return encode_entry(DECISION._replace(**changed))


def test_each_kind_has_its_own_encoder() -> None:
    assert encode_genesis(GENESIS) == encode_entry(GENESIS)
    assert encode_control(CONTROL) == encode_entry(CONTROL)
    assert encode_gap(GAP) == encode_entry(GAP)


def test_one_block_serves_decisions_that_share_it() -> None:
    fields = DECISION._asdict()
    constant = {name: fields.pop(name) for name in list(fields)[:13]}
    block = decision_block(**constant)
    for offset in (1_005, 1_006):
        entry = encode_decision(block, **(fields | {"input_offset": offset}))
        assert entry.startswith(block)
        assert read_entry(entry) == DECISION._replace(input_offset=offset)


@pytest.mark.parametrize(
    "changed",
    [
        {"reasons": (), "evaluated": (), "approvals": (), "constraints": ()},
        {"first": None, "expires_ms": None},
        {"outcome": 0, "mode": 0, "actor_verified": False},
        {"evaluated": (Evaluated("a", "ask", "x" * 9_000),)},
        {"evaluated": (Evaluated("a", "ask", b"x" * 9_000), Evaluated("b", "ask", -1))},
        {"evaluated": (Evaluated("a", "issuer", 1, "", bytes(32), 1),)},
        {"evaluated": (Evaluated("a", "issuer", 1, "k", bytes(32), 0),)},
        {"evaluated": (Evaluated("a", "issuer", 1, "", b"\x01" + bytes(31), 0),)},
        {"evaluated": tuple(Evaluated(f"n{i:03}", "ask", i) for i in range(100))},
        {"reasons": tuple(Reason(code, phase) for code in Code for phase in Phase)},
        {"prev_input_offset": -1, "input_offset": 2**62, "input_time_ms": -1},
        {"expires_ms": 0, "input_time_ms": 2**63 - 1},
    ],
)
def test_fastavro_agrees_on_a_decision(changed: dict[str, Any]) -> None:
    decision = DECISION._replace(**changed)
    data = encode_entry(decision)
    Oracle("entry-decision").agrees(data, decision)
    assert repr(read_entry(data)) == repr(decision)


def test_what_is_remembered_never_mixes_values_that_python_calls_equal() -> None:
    inputs = [Evaluated("a", "ask", item) for item in (True, 1, False, 0)]
    read = [read_entry(encoded(evaluated=(item,))) for item in inputs]
    assert repr([entry.evaluated[0] for entry in read if isinstance(entry, Decision)]) == repr(
        inputs
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": -1},
        {"outcome": 2},
        {"mode": -1},
        {"mode": 2},
        {"reasons": (Reason(-1, Phase.NONE),)},  # type: ignore[arg-type]
        {"reasons": (Reason(Code.APPROVED, 9),)},  # type: ignore[arg-type]
        {"input_partition": 2**31},
        {"policy_sha256": bytes(31)},
    ],
)
def test_a_decision_without_an_encoding_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        encoded(**changed)


@pytest.mark.parametrize("name", ["input_sha256", "ask_sha256", "salt"])
def test_a_digest_of_another_length_is_a_programmer_s_error(name: str) -> None:
    with pytest.raises(AssertionError):
        encoded(**{name: b"short"})


def outcome_at() -> int:
    denied, approved = encoded(outcome=0), encoded(outcome=1)
    (position,) = [i for i in range(len(denied)) if denied[i] != approved[i]]
    return position


@pytest.mark.parametrize("byte", [0x01, 0x03, 0x04, 0x80, 0xFF])
def test_an_outcome_out_of_range_is_refused_where_fastavro_reads_approved(byte: int) -> None:
    data = bytearray(encoded())
    data[outcome_at()] = byte
    with pytest.raises(WireError) as caught:
        read_entry(bytes(data))
    assert (caught.value.code, caught.value.field) == (Code.MALFORMED, "outcome")


def test_fastavro_alone_would_read_an_outcome_of_minus_one_as_approved() -> None:
    data = bytearray(encoded())
    data[outcome_at()] = 0x01
    assert Oracle("entry-decision").read(bytes(data))["outcome"] == "APPROVED"


def test_the_first_symbols_are_the_safe_ones() -> None:
    assert (SHADOW, ENFORCED) == (0, 1)
    decision = read_entry(encoded(mode=0, outcome=0))
    assert isinstance(decision, Decision)
    assert (decision.mode, decision.outcome) == (0, 0)


def test_an_entry_of_32_kib_is_read_and_one_byte_more_is_not() -> None:
    overhead = len(encode_gap(Gap(1, 2, 0, "", bytes(20_000)))) - 20_000
    fits = encode_gap(Gap(1, 2, 0, "", bytes(32 * 1024 - overhead)))
    assert len(fits) == 32 * 1024
    assert encode_entry(read_entry(fits)) == fits
    with pytest.raises(WireError) as caught:
        read_entry(encode_gap(Gap(1, 2, 0, "", bytes(32 * 1024 - overhead + 1))))
    assert caught.value.code is Code.LIMIT_EXCEEDED


def test_only_an_entry_s_fingerprint_is_read_as_one() -> None:
    for sample in SAMPLES:
        if not sample.schema.startswith("entry-"):
            with pytest.raises(WireError) as caught:
                read_entry(sample.data)
            assert caught.value.code is Code.SCHEMA_UNKNOWN


def test_an_admission_record_is_told_by_its_header() -> None:
    told = {sample.schema for sample in SAMPLES if is_admission_record(sample.data)}
    assert told == {"changelog-admission"}
    assert is_admission_record(schemas.header(schemas.CHANGELOG_ADMISSION))
