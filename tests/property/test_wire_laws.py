"""Laws of the wire formats, with fastavro as the oracle in both directions."""

import io
from typing import Any

import fastavro
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import (
    Ask,
    Attestation,
    Decision,
    DecisionRecord,
    Evaluated,
    First,
    RequestSignature,
    SignalStatement,
)
from gate.core.wire import encoder
from gate.core.wire.ask import encode_ask, read_ask
from gate.core.wire.entry import encode_entry, read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.record import encode_decision_record, read_decision_record
from gate.core.wire.request import encode_request, read_request
from gate.core.wire.statement import encode_statement, read_statement
from gate.core.wire.text import escaped, has_forbidden
from tests.unit.core.wire.oracle import Oracle
from tests.unit.core.wire.samples import DECISION, SAMPLES, encode_read_request

ORACLES = {sample.schema: Oracle(sample.schema) for sample in SAMPLES}

longs = st.integers(-(2**63), 2**63 - 1)
ints = st.integers(-(2**31), 2**31 - 1)
characters = st.characters(exclude_categories=("Cs",))
names = st.text(characters, max_size=64)
texts = st.text(characters, max_size=100)
values = st.one_of(
    st.booleans(),
    longs,
    texts,
    st.binary(max_size=100),
    st.lists(texts, max_size=5).map(tuple),
)
parameters = st.lists(st.tuples(names, values), max_size=6).map(tuple)
digests = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
asks = st.builds(Ask, names, names, names, parameters)
statements = st.builds(SignalStatement, names, names, names, names, parameters, longs, longs)
requests = st.fixed_dictionaries(
    {
        "audience": names,
        "request_id": names,
        "actor": names,
        "action": names,
        "resource": names,
        "parameters": parameters,
        "attestations": st.lists(
            st.builds(Attestation, st.binary(max_size=100), names, signatures), max_size=3
        ).map(tuple),
        "issued_at_ms": longs,
        "expires_at_ms": st.none() | longs,
        "correlation_id": names,
        "signature": st.none() | st.builds(RequestSignature, names, signatures),
    }
)
decisions = st.builds(
    DECISION._replace,
    mode=st.integers(0, 1),
    outcome=st.integers(0, 1),
    epoch=ints,
    input_offset=longs,
    prev_input_offset=longs,
    input_time_ms=longs,
    actor=texts,
    actor_verified=st.booleans(),
    admission_key=st.binary(max_size=100),
    reasons=st.lists(
        st.builds(Reason, st.sampled_from(Code), st.sampled_from(Phase), names, names, texts),
        max_size=4,
    ).map(tuple),
    evaluated=st.lists(
        st.builds(Evaluated, names, names, values, names, digests | st.just(bytes(32)), longs),
        max_size=5,
    ).map(tuple),
    constraints=parameters,
    first=st.none() | st.builds(First, ints, longs, longs),
    expires_ms=st.none() | longs,
)
records = st.builds(
    DecisionRecord,
    st.binary(max_size=200),
    texts,
    longs,
    longs,
    st.binary(max_size=100),
    texts,
    st.lists(st.binary(max_size=80), max_size=3).map(tuple),
    st.binary(max_size=100),
)


@given(requests)
def test_a_request_is_what_fastavro_reads_and_writes(fields: dict[str, Any]) -> None:
    data = encode_request(**fields)
    request = read_request(data)
    assert {name: getattr(request, name) for name in fields} == fields
    ORACLES["action-request"].agrees(data, request)
    assert read_ask(request.ask) == Ask(
        request.actor, request.action, request.resource, request.parameters
    )
    assert request.signed_bytes == encode_request(**(fields | {"signature": None}))


@given(asks)
def test_an_ask_is_what_fastavro_reads_and_writes(ask: Ask) -> None:
    data = encode_ask(ask)
    assert repr(read_ask(data)) == repr(ask)
    ORACLES["ask"].agrees(data, ask)


@given(statements)
def test_a_statement_is_what_fastavro_reads_and_writes(statement: SignalStatement) -> None:
    data = encode_statement(statement)
    assert repr(read_statement(data)) == repr(statement)
    ORACLES["signal-statement"].agrees(data, statement)


@given(decisions)
def test_a_decision_is_what_fastavro_reads_and_writes(decision: Decision) -> None:
    data = encode_entry(decision)
    assert repr(read_entry(data)) == repr(decision)
    ORACLES["entry-decision"].agrees(data, decision)


@given(records)
def test_a_decision_record_is_what_fastavro_reads_and_writes(record: DecisionRecord) -> None:
    data = encode_decision_record(record)
    assert repr(read_decision_record(data)) == repr(record)
    ORACLES["decision-record"].agrees(data, record)


@given(longs)
def test_an_integer_is_what_fastavro_writes(number: int) -> None:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, {"type": "long"}, number)
    assert encoder.long(number) == encoder.recurring_long(number) == stream.getvalue()


@settings(max_examples=300)
@given(
    st.sampled_from(SAMPLES),
    st.lists(
        st.tuples(st.integers(10, 2000), st.integers(0, 3), st.binary(max_size=4)),
        min_size=1,
        max_size=4,
    ),
)
def test_whatever_is_accepted_encodes_to_itself_and_fastavro_agrees(
    sample: Any, edits: list[tuple[int, int, bytes]]
) -> None:
    data = sample.data
    for start, removed, inserted in edits:
        at = start % len(data)
        data = data[:at] + inserted + data[at + removed :]
    try:
        value = sample.read(data)
    except WireError:
        return
    assert sample.encode(value) == data
    ORACLES[sample.schema].agrees(data, value)


@given(st.binary(max_size=300))
def test_any_body_is_read_or_refused_and_never_fails_otherwise(body: bytes) -> None:
    for sample in SAMPLES:
        data = sample.data[:10] + body
        try:
            value = sample.read(data)
        except WireError:
            continue
        assert sample.encode(value) == data


@given(requests)
def test_a_read_request_encodes_to_its_own_bytes(fields: dict[str, Any]) -> None:
    data = encode_request(**fields)
    assert encode_read_request(read_request(data)) == data


@given(st.text())
def test_an_escaped_text_shows_nothing_forbidden(text: str) -> None:
    assert not has_forbidden(escaped(text))
    if not has_forbidden(text):
        assert escaped(text) == text
