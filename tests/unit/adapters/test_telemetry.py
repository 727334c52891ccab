"""Events are single lines of ASCII JSON, and emitting never raises."""

import io
import json

import pytest

from gate.adapters.clock import SystemClock
from gate.adapters.telemetry import LogTelemetry
from gate.ports import EventKind


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError("no space left on device")


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_event_is_one_line_of_json_with_what_was_bound() -> None:
    stream = io.StringIO()
    telemetry = LogTelemetry(stream=stream, slot="gate-0")
    telemetry.emit(EventKind.TRANSACTION_COMMITTED, records=7, partitions=(1, 2))
    telemetry.emit(EventKind.GATE_STOPPED)

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first.pop("timestamp") <= second.pop("timestamp")
    assert first == {
        "event": "transaction_committed",
        "partitions": [1, 2],
        "records": 7,
        "slot": "gate-0",
    }
    assert second == {"event": "gate_stopped", "slot": "gate-0"}


def test_outside_text_is_escaped() -> None:
    stream = io.StringIO()
    text = 'a"\n{"event": "forged"}\x1b[2J\u202eevil\u2028'
    LogTelemetry(stream=stream).emit(EventKind.PARTITION_STOPPED, text=text, raw=b"\xff\n")

    (line,) = stream.getvalue().splitlines()
    assert line.isascii()
    assert line.isprintable()
    found = json.loads(line)
    assert (found["text"], found["raw"]) == (text, "ff0a")


@pytest.mark.parametrize(
    "fields", [{"event": "taken"}, {"value": Unprintable()}, {"value": {b"key": 1}}]
)
def test_an_event_that_can_not_be_written_is_lost(fields: dict[str, object]) -> None:
    LogTelemetry(stream=io.StringIO()).emit(EventKind.GATE_STARTED, **fields)
    LogTelemetry(stream=Broken()).emit(EventKind.GATE_STARTED, value=1)


def test_events_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    LogTelemetry().emit(EventKind.GATE_STARTED)

    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err)["event"] == "gate_started"


def test_the_system_clock_never_goes_back_and_waits() -> None:
    clock = SystemClock()
    before_ms = clock.monotonic_ms()
    clock.sleep_ms(2)
    clock.sleep_ms(0)
    clock.sleep_ms(-1)

    assert clock.monotonic_ms() - before_ms >= 2
    assert clock.now_ms() > 1_700_000_000_000
