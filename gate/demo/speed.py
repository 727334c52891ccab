"""How fast the gate was, from what it logged itself: one event for each transaction."""

import json
from pathlib import Path

from gate.demo.summary import Speed
from gate.ports import EventKind


def speed_of(log: Path) -> Speed:
    """Add up the transactions in a gate process's log; other lines are passed over."""
    records = transactions = elapsed_ms = 0
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        if event.get("event") == EventKind.TRANSACTION_COMMITTED.value:
            records += event["records"]
            elapsed_ms += event["elapsed_ms"]
            transactions += 1
    return Speed(records=records, transactions=transactions, elapsed_ms=elapsed_ms)
