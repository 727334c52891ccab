"""What reaches a terminal, and what does not."""

import io
import sys

import pytest

from gate.cli.answers import answer_text
from gate.cli.exits import Usage
from gate.cli.hints import HINTS
from gate.cli.notes import Notes
from gate.cli.screen import Format, confirm, has_colour, paint, write
from gate.core.reasons import Code, Phase, Reason


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_colours(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_none_shows_none(monkeypatch, name, value):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    assert not has_colour(Terminal())


def test_a_pipe_shows_no_colours():
    assert paint("x", "red", io.StringIO()) == "x"


def test_json_is_one_object_a_line_in_ascii(capsys):
    write(Format.JSON, {"b": "é\n", "a": 1}, "text")
    assert capsys.readouterr().out == '{"a": 1, "b": "\\u00e9\\n"}\n'


def test_without_a_terminal_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(Usage, match="pass --yes"):
        confirm("really?", is_agreed=False)
    assert confirm("really?", is_agreed=True)


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("yes\n", True), ("\n", False)])
def test_a_person_is_asked(monkeypatch, capsys, typed, agreed):
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert confirm("really?", is_agreed=False) is agreed
    assert capsys.readouterr().err == "really? [y/N] \n" + "nothing was published\n" * (not agreed)


def test_there_is_a_hint_for_every_code():
    assert set(HINTS) == set(Code)


def test_outside_text_can_not_move_the_cursor():
    reason = Reason(Code.FORBIDDEN, Phase.EVALUATE, "r", "", "a\x1b[2Jb\u202ec")
    shown = answer_text(
        approved=False,
        reasons=(reason,),
        constraints=(("max\x1b", "x\ny"),),
        expires_ms=None,
        notes=Notes(),
    )
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(shown.splitlines()) == 4
