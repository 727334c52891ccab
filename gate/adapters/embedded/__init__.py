"""The log in one SQLite file: durable, for one machine without a broker.

Promises what the ports promise: transactions all or nothing, records and input offsets in one
commit, fencing by epoch and generation inside that commit, holes where a broker writes markers,
append time from the injected clock. One gate per file; any number of readers and publishers in
other processes beside it. It has no pending offsets, late markers or pins (last stable offset =
high watermark), and it never removes records. `design/transaction.md` §10.

Each object owns a connection and is used by one thread at a time.
"""

from gate.adapters.embedded.admin import EmbeddedAdmin
from gate.adapters.embedded.input import EmbeddedInput
from gate.adapters.embedded.output import EmbeddedOutput
from gate.adapters.embedded.publisher import EmbeddedPublisher
from gate.adapters.embedded.reader import EmbeddedReader
from gate.adapters.embedded.seat import Seat

__all__ = [
    "EmbeddedAdmin",
    "EmbeddedInput",
    "EmbeddedOutput",
    "EmbeddedPublisher",
    "EmbeddedReader",
    "Seat",
]
