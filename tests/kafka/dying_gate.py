"""The command `gate` in a process that dies, or stops itself, at a named point of its work.

Started as `python -m tests.kafka.dying_gate run ...`; `DIES_AT` names the point, `DIES_ON` says at
which of its visits (0: at the first after a SIGUSR1) and `DIES_BY` by which signal. The adapters
are watched from outside: what happens is a list of words, and a point is a row of them.
"""

import os
import signal
import sys
import threading
from typing import Any

from gate.adapters import rocksdb
from gate.adapters.kafka import KafkaInput, KafkaOutput
from gate.adapters.telemetry import LogTelemetry
from gate.ports import EventKind

POINTS = {
    "before a poll": ("polls",),
    "after group metadata": ("is a member",),
    "before begin": ("begins",),
    "after begin": ("begun",),
    "mid-produce": ("begun", "produced", "produced", "produced"),
    "after send_offsets": ("begun", "offsets sent"),
    "before commit": ("begun", "offsets sent", "commits"),
    "during commit": ("begun", "offsets sent", "commits", "has waited"),
    "before the first apply": ("offsets of several sent", "committed"),
    "between two applies": ("offsets of several sent", "committed", "applied"),
    "after apply": ("committed", "reports"),
    "in the restore": ("applied", "restored a slice"),
}
"""A point is reached when its words have come, in this order, since the last begin."""

_COMMIT_TAKES_S = 0.001


class Watch:
    """Waits for a point; acts once, at its n-th visit."""

    def __init__(self, words: tuple[str, ...], visit: int, number: signal.Signals) -> None:
        self._words = words
        self._seen = 0
        self._visits_left = visit
        self._signal = number
        signal.signal(signal.SIGUSR1, self._arm)

    def _arm(self, *_: object) -> None:
        self._visits_left = 1

    def __call__(self, word: str) -> None:
        if word == "begins":
            self._seen = 0
        if self._visits_left == 0 or word != self._words[self._seen]:
            return
        self._seen += 1
        if self._seen == len(self._words):
            self._seen = 0
            self._visits_left -= 1
            if self._visits_left == 0:
                os.kill(os.getpid(), self._signal)

    def calls(self, owner: type, method: str, *, before: str = "", after: str = "") -> None:
        """Hear of every call of a method."""
        original = getattr(owner, method)

        def watched(itself: Any, *arguments: Any, **named: Any) -> Any:
            if before:
                self(before)
            found = original(itself, *arguments, **named)
            if after:
                self(after)
            return found

        setattr(owner, method, watched)

    def everything(self) -> None:
        """Hear of whatever a point may name."""
        self.calls(KafkaInput, "poll", before="polls")
        self.calls(KafkaInput, "group_identity", after="is a member")
        self.calls(KafkaOutput, "begin", before="begins", after="begun")
        self.calls(KafkaOutput, "produce", after="produced")
        self.calls(KafkaOutput, "commit", before="commits", after="committed")
        self.calls(rocksdb._RocksPartition, "apply", after="applied")
        self._offsets()
        self._waiting()
        self._events()

    def _offsets(self) -> None:
        original = KafkaOutput.send_offsets

        def watched(itself: KafkaOutput, offsets: Any, identity: Any) -> None:
            original(itself, offsets, identity)
            self("offsets sent")
            if len(offsets) > 1:
                self("offsets of several sent")

        KafkaOutput.send_offsets = watched

    def _waiting(self) -> None:
        original = KafkaOutput.commit

        def watched(itself: KafkaOutput) -> None:
            timer = threading.Timer(_COMMIT_TAKES_S, self, ["has waited"])
            timer.start()
            original(itself)
            timer.cancel()

        KafkaOutput.commit = watched

    def _events(self) -> None:
        original = LogTelemetry.emit
        words = {
            EventKind.TRANSACTION_COMMITTED: "reports",
            EventKind.RESTORE_PROGRESSED: "restored a slice",
        }

        def watched(itself: LogTelemetry, kind: EventKind, **fields: object) -> None:
            self(words.get(kind, ""))
            original(itself, kind, **fields)

        LogTelemetry.emit = watched


if __name__ == "__main__":
    Watch(
        POINTS[os.environ["DIES_AT"]],
        int(os.environ["DIES_ON"]),
        signal.Signals[os.environ["DIES_BY"]],
    ).everything()
    from gate.__main__ import main

    sys.exit(main())
