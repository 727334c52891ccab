"""A gate in a process of its own that dies by a signal when it judges one planted record.

Arguments: the folder of the world, the request id that kills, the name of the signal.
"""

import sys
from pathlib import Path

from gate.adapters.judging import JudgingFile
from gate.adapters.rocksdb import RocksStateStore
from gate.errors import PartitionStopped
from tests.planted import planted
from tests.worlds import EmbeddedWorld

folder, request_id, signal_name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
world = EmbeddedWorld(folder, partitions=1)
world.stores = RocksStateStore(folder / "state")
gate = world.gate(judging=JudgingFile(folder / "state", 1))
poison = (
    f"import os, signal\n    if prepared.request and prepared.request.request_id == {request_id!r}:"
    f"\n        os.kill(os.getpid(), signal.{signal_name})\n    request, policy ="
)
with planted(
    "gate.core.admission",
    "request, policy = prepared.request, prepared.policy\n    if prepared.reasons:",
    poison + " prepared.request, prepared.policy\n    if prepared.reasons:",
):
    try:
        gate.run(should_stop=lambda: False, until_caught_up=True)
    except PartitionStopped as stop:
        print(stop)
        sys.exit(5)
