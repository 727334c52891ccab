"""A log out of reach: waited for, up to a deadline that begins anew with each absence."""

from gate.errors import Unreachable
from gate.ports import EventKind
from gate.runtime.settings import (
    ABSENT_WAIT_MS_MAX,
    PIN_DEADLINE_MS,
    WAIT_MS,
    GateSettings,
    Ports,
)


class Absence:
    """The present absence of the log, if there is one; `text` says what is out of reach."""

    def __init__(self, settings: GateSettings, ports: Ports) -> None:
        """Begin with a log within reach."""
        self._topic = settings.topics.requests
        self._ports = ports
        self._since_ms = 0
        self.text = ""
        self.is_writing = False
        """Whether transactions fail, though questions may be answered: a right to write is gone."""

    def wait(self, gone: Unreachable) -> None:
        """Wait an eighth of the absence, at most half a second; raises `gone` past the deadline."""
        now_ms = self._ports.clock.monotonic_ms()
        if not self.text:
            self._since_ms, self.text = now_ms, str(gone)
            self._ports.telemetry.emit(EventKind.LOG_UNREACHABLE, why=self.text)
        elif now_ms - self._since_ms > PIN_DEADLINE_MS:
            raise gone
        elapsed_ms = now_ms - self._since_ms
        self._ports.clock.sleep_ms(max(WAIT_MS, min(elapsed_ms // 8, ABSENT_WAIT_MS_MAX)))

    def end(self) -> None:
        """Take note that the log did what it is for."""
        self.text, self.is_writing = "", False

    def answered(self) -> None:
        """Take note that questions are answered; it does not end what transactions fail for."""
        if not self.is_writing:
            self.end()

    def ask(self) -> None:
        """After a poll, with nothing to decide: a log that also answers questions is back.

        Else the next absence, hours later, would be counted from the beginning of this one.
        """
        if self.text and not self.is_writing:
            try:
                self._ports.reader.topic(self._topic)
            except Unreachable as gone:
                self.wait(gone)
            else:
                self.end()
