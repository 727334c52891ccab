"""Exit codes, and which one each way of ending has. `design/operations.md` §1."""

from enum import IntEnum

from gate.errors import (
    ConfigInvalid,
    Fenced,
    GateError,
    Lost,
    PartitionStopped,
    StoreDamaged,
    StoreFailed,
    Unreadable,
)


class Code(IntEnum):
    """The closed list."""

    YES = 0
    NO = 1
    USAGE = 2
    INVALID = 3
    UNREACHABLE = 4
    DAMAGED = 5
    BUG = 70
    INTERRUPTED = 130
    READER_GONE = 141


_DAMAGE = (Fenced, PartitionStopped, StoreFailed, StoreDamaged, Lost, Unreadable)


class Usage(Exception):
    """The command line asks for something that makes no sense; `str()` is the message."""


def code_of(error: GateError) -> Code:
    """Return the code of an operating error; what may pass by waiting counts as unreachable."""
    if isinstance(error, ConfigInvalid):
        return Code.INVALID
    return Code.DAMAGED if isinstance(error, _DAMAGE) else Code.UNREACHABLE
