"""A call of the client is waited for no longer than told."""

import threading
import time

import pytest

from gate.adapters.kafka.bounded import Caller, NoReturn


def test_calls_are_made_one_after_the_other_by_one_thread():
    caller, seen = Caller("slot"), []
    for number in range(3):
        caller(lambda n=number: seen.append((n, threading.current_thread().name)), timeout_s=5)

    assert seen == [(0, "slot"), (1, "slot"), (2, "slot")]
    caller.close()


def test_what_a_call_raises_is_raised_to_who_waits():
    caller = Caller("slot")

    def refused():
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        caller(refused, timeout_s=5)
    caller(lambda: None, timeout_s=5)
    caller.close()


def test_a_call_that_does_not_return_is_left_behind_with_its_thread():
    caller, release, ended = Caller("slot"), threading.Event(), threading.Event()

    def stuck():
        release.wait()
        ended.set()

    started = time.monotonic()
    with pytest.raises(NoReturn):
        caller(stuck, timeout_s=0.1)
    assert time.monotonic() - started < 5
    caller.close()
    release.set()
    assert ended.wait(5)
    assert caller._thread is not None
    caller._thread.join(5)
    assert not caller._thread.is_alive()
