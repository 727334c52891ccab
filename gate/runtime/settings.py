"""What the runtime is told once, at start: identities, bounds, and the ports it uses."""

from dataclasses import dataclass

from gate.core.state import LineageKeys
from gate.core.topics import Topics
from gate.ports import (
    Clock,
    Input,
    Judging,
    LogReader,
    Output,
    Signer,
    StateStore,
    Telemetry,
)
from gate.views import Monitor

BATCH_RECORDS_MAX = 5_000
BATCH_BYTES_MAX = 8 * 1024 * 1024
BATCH_PARTITIONS_MAX = 16
RESTORE_SLICE_RECORDS = 5_000
CHECK_INTERVAL_MS = 30_000
LAG_INTERVAL_MS = 5_000
INPUT_PIN_MS = 15_000
WAIT_MS = 10
ABSENT_WAIT_MS_MAX = 500
MARKER_WAIT_MS = 50
ENDED_WAIT_MS = 10_000
CURED_BY_TIME = frozenset({"pinned", "transaction_failing"})
"""Causes of a stop that may pass without an operator."""
MARKER_INTERVAL_MS = 2
FENCE_POLL_MS = 500
"""Long enough for an answer to the member's heartbeat, which is due after any longer standstill."""
FLUSH_INTERVAL_MS = 300_000
ABORTS_BEFORE_ISOLATION = 2
ABORTS_IN_A_ROW_MAX = 3
UNREADABLE_IN_A_ROW_MAX = 3
TRANSACTION_TIMEOUT_MS = 60_000
PIN_DEADLINE_MS = TRANSACTION_TIMEOUT_MS + 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Identities and bounds; `poll_timeout_ms` is how long one poll waits for a record."""

    domain: str
    gate: str
    topics: Topics
    keys: LineageKeys
    runtime_line: str
    batch_records_max: int = BATCH_RECORDS_MAX
    poll_timeout_ms: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything outside that the runtime may touch."""

    input: Input
    output: Output
    reader: LogReader
    stores: StateStore
    signer: Signer
    judging: Judging
    clock: Clock
    telemetry: Telemetry
    monitor: Monitor | None = None
