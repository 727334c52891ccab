"""An interruption that a C library lost is one all the same; its other errors are bugs."""

import pytest

from gate.cli.interruption import interruptible


def test_an_interruption_inside_a_library_is_one() -> None:
    def call() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interruption:
            raise SystemError("returned a result with an exception set") from interruption

    with pytest.raises(KeyboardInterrupt), interruptible():
        call()


def test_another_error_of_a_library_stays_what_it_is() -> None:
    with pytest.raises(SystemError, match="other"), interruptible():
        raise SystemError("other")
