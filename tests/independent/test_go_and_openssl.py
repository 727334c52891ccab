"""Others accept what a gate published on the embedded log, and not with one bit changed.

Records come from the gate's own reader here, and from other programs in
`tests/kafka/test_independent.py`.
"""

from pathlib import Path

import pytest

from gate.core.proof import checkpoint
from tests.builders import NOW_MS
from tests.independent.others import ACCEPTED, GoJudge, go_judge, openssl, verifier_key
from tests.independent.published import (
    Published,
    consistency_cases,
    inclusion_cases,
    take_apart,
)
from tests.independent.suite import PUBLIC, AcceptedByOthers, resigned
from tests.independent.traffic import decide_requests
from tests.planted import planted
from tests.worlds import TOPICS, EmbeddedWorld

__all__ = ["go_judge", "openssl"]

pytestmark = pytest.mark.integration
PARTITIONS, REQUESTS = 2, 70


@pytest.fixture(scope="module")
def partitions(tmp_path_factory: pytest.TempPathFactory) -> list[Published]:
    return published_in(tmp_path_factory.mktemp("world"))


def published_in(folder: Path) -> list[Published]:
    world = EmbeddedWorld(folder, partitions=PARTITIONS)
    world.init()
    decide_requests(world, REQUESTS, at_ms=NOW_MS, batch_records_max=9)
    topics = [TOPICS.lineage, TOPICS.approved, TOPICS.denied]
    lineage, approved, denied = (world.records(topic) for topic in topics)
    return [
        take_apart(
            [r.value or b"" for r in lineage if r.partition == number],
            [r.value or b"" for r in approved + denied if r.partition == number],
        )
        for number in range(PARTITIONS)
    ]


class TestOnTheEmbeddedLog(AcceptedByOthers):
    decisions = REQUESTS + 2 * PARTITIONS


def test_the_gate_prints_its_key_as_others_read_it(partitions: list[Published]) -> None:
    origin = partitions[0].origin
    assert checkpoint.verifier_key(origin, PUBLIC) == verifier_key(origin, PUBLIC)


def test_a_path_alone_leads_to_one_root_from_trees_of_several_sizes(
    partitions: list[Published], go_judge: GoJudge
) -> None:
    """Why a verifier takes the size from the signed checkpoint and from nowhere else."""
    case, size = next(
        (case, decision["tree_size"])
        for decision in partitions[0].decisions
        for case in inclusion_cases(partitions[0]._replace(decisions=[decision]), PUBLIC)
        if decision["leaf_index"] < decision["tree_size"] // 2
    )
    cases = [
        case._replace(note=resigned(case.note, "checkpoint", size=b"%d" % other))
        for other in range(1, 2 * size)
        if other != size
    ]
    assert set(go_judge.refused_at(cases)) == {ACCEPTED, "inclusion"}


@pytest.mark.parametrize(
    ("module", "good", "bad", "step"),
    [
        ("merkle", 'b"\\x00" + entry', "entry", "inclusion"),
        ("merkle", 'b"\\x01" + left + right', 'b"\\x01" + right + left', "inclusion"),
        ("merkle", "right + path for", "path + right for", "inclusion"),
        ("merkle", 'b"" if old_size & (old_size - 1) == 0 else', 'b"" if True else', "consistency"),
        ("checkpoint", '+ b"\\n" + _ED25519 + public', "+ _ED25519 + public", "signature"),
    ],
    ids=["leaf prefix", "order of nodes", "order of a path", "consistency", "key id"],
)
def test_go_refuses_what_a_gate_with_a_planted_bug_published(
    tmp_path: Path, go_judge: GoJudge, module: str, good: str, bad: str, step: str
) -> None:
    with planted(f"gate.core.proof.{module}", good, bad):
        published = published_in(tmp_path)[0]
    cases = inclusion_cases(published, PUBLIC) + consistency_cases(published, PUBLIC)
    assert step in go_judge.refused_at(cases)
