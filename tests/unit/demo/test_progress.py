"""Progress on stderr: steps always, a plain line each ten seconds without a terminal."""

import io

from gate.demo.progress import Progress
from tests.worlds import StillClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_line_is_written_each_ten_seconds() -> None:
    stream, clock = io.StringIO(), StillClock()
    progress = Progress(stream, step_count=2, clock=clock)
    progress.step("Sending")
    with progress.counting("sending", 3_000) as told:
        told(1)
        clock.sleep_ms(10_000)
        told(1_500)
        told(1_501)
        clock.sleep_ms(10_000)
        told(3_000)
    progress.tell("done")
    assert stream.getvalue().splitlines() == [
        "[1/2] Sending",
        "      sending: 1,500 of 3,000",
        "      sending: 3,000 of 3,000",
        "      done",
    ]


def test_a_long_line_is_not_broken() -> None:
    stream = io.StringIO()
    Progress(stream, step_count=1, clock=StillClock()).step("/long" * 60)
    assert stream.getvalue() == f"[1/1] {'/long' * 60}\n"


def test_a_terminal_gets_a_bar_and_with_no_color_no_colour(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = drawn()
    monkeypatch.setenv("NO_COLOR", "1")
    plain = drawn()
    assert "3/3" in coloured
    assert "3/3" in plain
    assert "\x1b[38;" in coloured or "\x1b[3" in coloured
    assert "\x1b[3" not in plain


def drawn() -> str:
    stream = Terminal()
    progress = Progress(stream, step_count=1, clock=StillClock())
    with progress.counting("sending", 3) as told:
        told(3)
    return stream.getvalue()
