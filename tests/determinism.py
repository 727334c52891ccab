"""Decides the bad-input corpus and good requests; prints the digest of every leaf as JSON.

Run as a script in other processes and settings: the output must be the same bytes (P3).
Arguments: how many records a batch takes, and `shuffled` to decide partitions in turns.
"""

import hashlib
import json
import sys

from gate.core.control.state import begin
from gate.core.genesis import first_genesis, first_standing, genesis_origin
from gate.core.lineage import Place, Standing, is_control, judge, key_records
from gate.core.proof.merkle import Frontier, leaf_hash, root
from gate.core.sealing import seal
from gate.core.state import Salts, derive_keys
from gate.core.trust import verify_first
from gate.core.wire.entry import encode_genesis
from gate.ports import LogRecord
from tests.builders import (
    DOMAIN,
    GATE,
    NOW_MS,
    RUNTIME_LINE,
    a_bundle,
    a_request,
    a_root_envelope,
    an_activation,
)
from tests.corpus import all_cases

TOPIC_ID = "00000000-0000-4000-8000-000000000001"
PARTITIONS = 2


def the_input(partition: int) -> list[LogRecord]:
    """The records of one partition; loans belong where their key says, junk is everywhere."""
    control = an_activation(a_bundle(), topic_id=TOPIC_ID)
    values: list[tuple[bytes | None, bytes | None]] = [(None, control)]
    values.append((b"L-TAKEN", a_request(loan_id="L-TAKEN")))
    values += [(case.key, case.value) for case in all_cases()]
    values += [
        (f"L-{n}".encode(), a_request(loan_id=f"L-{n}", request_id=f"r-{n}")) for n in range(12)
    ]
    values += [(None, control), (None, control[:-3])]
    return [
        LogRecord(partition, 3 * offset, NOW_MS + offset % 3, True, key, value)
        for offset, (key, value) in enumerate(values)
    ]


class Line:
    """One partition's fold, a batch at a time."""

    def __init__(self, partition: int) -> None:
        envelope = a_root_envelope()
        trust_root = verify_first(envelope)
        keys = derive_keys(bytes(range(32)))
        genesis = first_genesis(
            domain=DOMAIN,
            gate=GATE,
            cluster_id="cluster",
            topic=f"{GATE}.requests.v1",
            topic_id=TOPIC_ID,
            partition=partition,
            partition_count=PARTITIONS,
            first_offset=0,
            lineage_secret_sha256=keys.secret_sha256,
            trust_root_sha256=trust_root.sha256,
        )
        log = genesis_origin(genesis)
        self.leaves = [encode_genesis(genesis)]
        self.place = Place(log, partition, PARTITIONS, Salts(keys, log))
        self.standing: Standing = first_standing(
            begin(genesis, trust_root, envelope),
            Frontier(1, (leaf_hash(self.leaves[0]),)),
            2,
        )
        self.taken: dict[bytes, bytes] = {}

    def decide(self, records: list[LogRecord]) -> None:
        keyed = key_records(records, place=self.place, control=self.standing.control)
        judged = judge(keyed, self.taken, place=self.place, standing=self.standing)
        sealed = seal(judged, place=self.place, standing=self.standing, runtime=RUNTIME_LINE)
        self.leaves += [leaf.entry for leaf in judged.leaves]
        self.taken |= {key: value for key, value, is_part in judged.changes if not is_part}
        self.standing = sealed.standing


def batches(records: list[LogRecord], size: int) -> list[list[LogRecord]]:
    cut: list[list[LogRecord]] = [[]]
    for record in records:
        cut[-1].append(record)
        if is_control(record) or len(cut[-1]) == size:
            cut.append([])
    return [batch for batch in cut if batch]


def decide_all(size: int, *, shuffled: bool) -> dict[str, object]:
    lines = [Line(number) for number in range(PARTITIONS)]
    work = [
        (line, batch)
        for number, line in enumerate(lines)
        for batch in batches(the_input(number), size)
    ]
    if shuffled:
        work.sort(key=lambda item: item[1][0].offset)
    for line, batch in work:
        line.decide(batch)
    return {
        "leaves": [hashlib.sha256(b"".join(line.leaves)).hexdigest() for line in lines],
        "roots": [root(line.standing.frontier).hex() for line in lines],
        "control": [line.standing.control.sha256().hex() for line in lines],
        "count": [len(line.leaves) for line in lines],
    }


if __name__ == "__main__":
    print(json.dumps(decide_all(int(sys.argv[1]), shuffled="shuffled" in sys.argv)))
