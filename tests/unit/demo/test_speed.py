"""The speed is added up from the gate's own events."""

from pathlib import Path

from gate.demo.speed import speed_of
from gate.demo.summary import Speed

LOG = """\
{"event": "gate_started", "slot": "gate-0"}
a line that is no event
{"elapsed_ms": 20, "event": "transaction_committed", "records": 4, "slot": "gate-0"}
{"elapsed_ms": 480, "event": "transaction_committed", "records": 1996, "slot": "gate-0"}
{"event": "gate_stopped", "slot": "gate-0"}
"""


def test_transactions_are_added_up(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(LOG)
    speed = speed_of(log)
    assert speed == Speed(records=2000, transactions=2, elapsed_ms=500)
    assert speed.per_second == 4000


def test_a_gate_that_decided_nothing_has_no_speed(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("")
    assert speed_of(log).per_second == 0
