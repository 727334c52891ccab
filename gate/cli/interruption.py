"""Ctrl-C inside a library that is written in C.

The Kafka client's admin calls return a result although Python's signal handler raised inside them;
the interpreter then raises `SystemError` from the `KeyboardInterrupt` that got lost.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for an interruption in whatever disguise it comes."""
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
