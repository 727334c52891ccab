"""One full value of each record, its bytes, and its reader: what the table tests run over."""

from typing import Any, NamedTuple

from gate.core.reasons import Code, Phase, Reason
from gate.core.values import (
    ActionRequest,
    AdmissionRecord,
    Approval,
    Ask,
    Attestation,
    ClosedLineage,
    Control,
    ControlRecord,
    ControlStateRecord,
    Decision,
    DecisionRecord,
    Evaluated,
    First,
    Gap,
    Genesis,
    LineageEntry,
    LineageRecord,
    PinnedSchema,
    RequestSignature,
    SignalStatement,
)
from gate.core.wire import schemas
from gate.core.wire.ask import encode_ask, read_ask
from gate.core.wire.changelog import (
    encode_admission_record,
    encode_control_state,
    read_admission_record,
    read_control_state,
)
from gate.core.wire.control_record import encode_control_record, read_control_record
from gate.core.wire.entry import encode_entry, read_entry
from gate.core.wire.record import (
    encode_decision_record,
    encode_lineage_record,
    read_decision_record,
    read_lineage_record,
)
from gate.core.wire.request import encode_request, read_request
from gate.core.wire.statement import encode_statement, read_statement

KEY_ID = "0123456789abcdef0123456789abcdef"
AUDIENCE = "acme/loans"
PARAMETERS = (
    ("applicant", "ann"),
    ("attachment", b"\x00\xff"),
    ("country", "DE"),
    ("is_new", True),
    ("loan_amount", 15_000),
    ("offset", -3),
    ("remark", "höchste Eile " * 8),
    ("tags", ("a", "", "ü")),
)
ASK = Ask("ann@acme.example", "loan.approve", "loan/L-1", PARAMETERS)
STATEMENT = SignalStatement(
    "acme",
    "credit-bureau",
    "applicant",
    "ann",
    (("credit_score", 720), ("kyc_passed", True)),
    1_780_315_100_000,
    1_780_401_500_000,
)
CONTROL_RECORD = ControlRecord(2, b'{"payload":""}')
GENESIS = Genesis(
    domain="acme",
    gate="loans",
    cluster_id="c-1",
    topic="loans.requests.v1",
    topic_id="t-1",
    partition=3,
    partition_count=12,
    epoch=2,
    first_offset=1_000,
    previous=(ClosedLineage("acme/loans/loans.requests.v1/3/1", 77, b"\x07" * 32),),
    engine="gate-engine/1",
    limits=(("array_items_max", 256), ("value_bytes_max", 65_536)),
    schemas=tuple(PinnedSchema(*schema) for schema in schemas.ALL),
    lineage_secret_sha256=b"\x01" * 32,
    trust_root_sha256=b"\x02" * 32,
)
CONTROL = Control(
    kind=2,
    input_offset=1_001,
    prev_input_offset=-1,
    input_time_ms=1_780_315_200_000,
    input_sha256=b"\x03" * 32,
    id="loan-approval",
    version="1.0.3",
    sequence=7,
    digest=b"\x04" * 32,
    activation_sequence=1,
    signers=(KEY_ID, "f" * 32),
)
GAP = Gap(1_002, 1_004, 1_001, "unreadable", b'{"payload":"order"}')
DECISION = Decision(
    mode=1,
    domain="acme",
    gate="loans",
    input_topic="loans.requests.v1",
    input_partition=3,
    epoch=2,
    engine="gate-engine/1",
    trust_root_version=4,
    trust_root_sha256=b"\x05" * 32,
    policy_id="loan-approval",
    policy_version="1.0.3",
    policy_sequence=7,
    policy_sha256=b"\x06" * 32,
    input_offset=1_005,
    prev_input_offset=1_004,
    input_time_ms=1_780_315_200_500,
    input_sha256=b"\x07" * 32,
    ask_sha256=b"\x08" * 32,
    salt=b"\x09" * 16,
    request_id="r-1",
    actor="ann@acme.example",
    action="loan.approve",
    resource="loan/L-1",
    correlation_id="",
    actor_verified=True,
    admission_key=b"loans\x00L-1",
    outcome=1,
    reasons=(
        Reason(Code.APPROVED, Phase.NONE, "prime", "", ""),
        Reason(Code.MORE_REASONS, Phase.NONE),
    ),
    evaluated=(
        Evaluated("loan_amount", "ask", 15_000),
        Evaluated("country", "ask", "DE"),
        Evaluated("is_new", "default", False),
        Evaluated("tags", "ask", ("a", "b")),
        Evaluated("credit_score", "credit-bureau", 720, KEY_ID, b"\x0a" * 32, 1_780_315_100_000),
    ),
    approvals=(Approval("large-loan", "credit-officer", "bob", KEY_ID, b"\x0b" * 32),),
    constraints=(("max_amount", 15_000),),
    first=First(1, 17, 900),
    expires_ms=1_780_316_100_500,
)
DECISION_RECORD = DecisionRecord(
    entry=encode_entry(DECISION),
    log="acme/loans/loans.requests.v1/3/2",
    leaf_index=5,
    tree_size=8,
    inclusion_path=bytes(96),
    runtime="runtime gate/0.1.0 sha256:" + "0" * 64,
    signatures=(bytes(36 + 32), bytes(68)),
    ask=encode_ask(ASK),
)
LINEAGE_RECORD = LineageRecord(
    log="acme/loans/loans.requests.v1/3/2",
    prev_size=5,
    tree_size=8,
    root=b"\x0c" * 32,
    consistency=bytes(64),
    frontier=bytes(32),
    leaf_hashes=bytes(96),
    entries=(LineageEntry(5, encode_entry(CONTROL)), LineageEntry(6, encode_entry(GAP))),
    first_offset=1_001,
    next_offset=1_006,
    checkpoint="acme/loans/loans.requests.v1/3/2\n8\n\n— x y\n",
    target="AAAA",
)
ADMISSION_RECORD = AdmissionRecord(9, 2, 5, 1_005, b"\x08" * 32)
CONTROL_STATE = ControlStateRecord(10, 6, 1_006, b"\x00bundle")


def request_bytes(**changed: Any) -> bytes:
    """Encode a full request, signed and attested, with some fields changed."""
    attestation = Attestation(encode_statement(STATEMENT), KEY_ID, b"\x0d" * 64)
    fields: dict[str, Any] = {
        "audience": AUDIENCE,
        "request_id": "r-1",
        **ASK._asdict(),
        "attestations": (attestation, Attestation(b"", "", bytes(64))),
        "issued_at_ms": 1_780_315_200_000,
        "expires_at_ms": 1_780_315_800_000,
        "correlation_id": "c-1",
        "signature": RequestSignature(KEY_ID, b"\x0e" * 64),
    }
    return encode_request(**(fields | changed))


def encode_read_request(request: ActionRequest) -> bytes:
    """Encode a request that was read."""
    fields = request._asdict()
    del fields["ask"], fields["signed_bytes"]
    return encode_request(**fields)


class Sample(NamedTuple):
    """A record: its schema's file, bytes, value, reader and encoder."""

    schema: str
    data: bytes
    value: Any
    read: Any
    encode: Any


REQUEST_BYTES = request_bytes()
SAMPLES = (
    Sample(
        "action-request",
        REQUEST_BYTES,
        read_request(REQUEST_BYTES),
        read_request,
        encode_read_request,
    ),
    Sample("ask", encode_ask(ASK), ASK, read_ask, encode_ask),
    Sample(
        "signal-statement",
        encode_statement(STATEMENT),
        STATEMENT,
        read_statement,
        encode_statement,
    ),
    Sample(
        "control-record",
        encode_control_record(CONTROL_RECORD),
        CONTROL_RECORD,
        read_control_record,
        encode_control_record,
    ),
    Sample("entry-genesis", encode_entry(GENESIS), GENESIS, read_entry, encode_entry),
    Sample("entry-control", encode_entry(CONTROL), CONTROL, read_entry, encode_entry),
    Sample("entry-decision", encode_entry(DECISION), DECISION, read_entry, encode_entry),
    Sample("entry-gap", encode_entry(GAP), GAP, read_entry, encode_entry),
    Sample(
        "decision-record",
        encode_decision_record(DECISION_RECORD),
        DECISION_RECORD,
        read_decision_record,
        encode_decision_record,
    ),
    Sample(
        "lineage-record",
        encode_lineage_record(LINEAGE_RECORD),
        LINEAGE_RECORD,
        read_lineage_record,
        encode_lineage_record,
    ),
    Sample(
        "changelog-admission",
        encode_admission_record(ADMISSION_RECORD),
        ADMISSION_RECORD,
        read_admission_record,
        encode_admission_record,
    ),
    Sample(
        "changelog-control",
        encode_control_state(CONTROL_STATE),
        CONTROL_STATE,
        read_control_state,
        encode_control_state,
    ),
)
