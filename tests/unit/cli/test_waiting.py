"""Waiting and long work: bounded, and never silent for long."""

import io
import sys

from gate.audit.topics_reading import Reached
from gate.cli.restore_bar import RestoreBar
from gate.cli.waiting import reading_shown, wait_until
from gate.ports import EventKind, TopicPartition


class SteppedClock:
    """Implements `gate.ports.Clock`; sleeping is what makes time pass."""

    def __init__(self) -> None:
        self.time_ms = 0

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ms(self) -> int:
        return self.time_ms

    def sleep_ms(self, duration_ms: int) -> None:
        self.time_ms += duration_ms


class Heard:
    """Implements `gate.ports.Telemetry`."""

    def __init__(self) -> None:
        self.kinds: list[EventKind] = []

    def emit(self, kind: EventKind, **fields: object) -> None:
        self.kinds.append(kind)


def test_waiting_ends_at_its_deadline_and_says_so_every_ten_seconds(capsys):
    clock = SteppedClock()
    assert not wait_until(lambda: False, seconds=25, clock=clock)
    assert clock.time_ms == 25_000
    assert capsys.readouterr().err == (
        "waiting for the gate's answer: 10 s\nwaiting for the gate's answer: 20 s\n"
    )


def test_waiting_ends_as_soon_as_it_is_done():
    clock = SteppedClock()
    assert wait_until(lambda: clock.time_ms >= 100, seconds=25, clock=clock)
    assert clock.time_ms == 100


def test_waiting_for_no_time_asks_once():
    asked = []
    assert not wait_until(lambda: bool(asked.append(1)), seconds=0, clock=SteppedClock())
    assert asked == [1]


def test_without_a_terminal_reading_tells_a_line_each_ten_seconds(capsys):
    clock = SteppedClock()
    with reading_shown("auditing", clock) as told:
        for offset in range(25):
            clock.sleep_ms(1_000)
            told(Reached(TopicPartition("t", 3), offset, 25))
    assert capsys.readouterr().err == (
        "auditing t/3: offset 9 of 25\nauditing t/3: offset 19 of 25\n"
    )


def test_without_a_terminal_a_restore_speaks_through_its_events():
    heard = Heard()
    with RestoreBar(heard) as bar:
        bar.emit(EventKind.RESTORE_PROGRESSED, partition=0, sequence=1, target_sequence=2)
        bar.emit(EventKind.PARTITION_READY, partition=0)
    assert heard.kinds == [EventKind.RESTORE_PROGRESSED, EventKind.PARTITION_READY]


def test_on_a_terminal_a_restore_is_drawn_and_everything_else_told(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, heard = Terminal(), Heard()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with RestoreBar(heard) as bar:
        bar.emit(EventKind.RESTORE_PROGRESSED, partition=7, sequence=1, target_sequence=2)
        bar.emit(EventKind.PARTITION_READY, partition=7)
    assert heard.kinds == [EventKind.PARTITION_READY]
    assert "restoring partition 7" in terminal.getvalue()
