"""Others accept what a gate published on the embedded log, and refuse it with one bit changed.

Records come from the gate's own reader here, and from other programs in
`tests/kafka/test_independent.py`.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from gate.core.proof import checkpoint
from tests.builders import NOW_MS, a_key
from tests.independent.others import (
    ACCEPTED,
    Case,
    GoJudge,
    OpenSsl,
    go_judge,
    openssl,
    pem,
    to_base64,
    verifier_key,
)
from tests.independent.published import (
    Published,
    consistency_cases,
    inclusion_cases,
    note_of,
    split_note,
    take_apart,
)
from tests.independent.traffic import decide_requests
from tests.worlds import TOPICS, EmbeddedWorld

__all__ = ["go_judge", "openssl"]

pytestmark = pytest.mark.integration
PARTITIONS, REQUESTS = 2, 70
PUBLIC = a_key("checkpoint").public


@pytest.fixture(scope="module")
def partitions(tmp_path_factory: pytest.TempPathFactory) -> list[Published]:
    world = EmbeddedWorld(tmp_path_factory.mktemp("world"), partitions=PARTITIONS)
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


class Pair(NamedTuple):
    """A decision claimed under a checkpoint, and the step from the checkpoint before it."""

    inclusion: Case
    consistency: Case


@pytest.fixture
def pair(partitions: list[Published]) -> Pair:
    """Of the middle of a lineage: every path has hashes on both sides."""
    published = partitions[0]
    step = consistency_cases(published, PUBLIC)[-2]
    under_it = [c for c in inclusion_cases(published, PUBLIC) if c.note == step.note and c.leaf]
    assert all((step.proof, step.older, under_it[1].path))
    return Pair(under_it[1], step)


def test_go_accepts_every_decision_and_every_step_between_checkpoints(
    partitions: list[Published], go_judge: GoJudge
) -> None:
    assert sum(len(published.decisions) for published in partitions) == REQUESTS + 2 * PARTITIONS
    assert min(len(published.lineage) for published in partitions) > 4
    for published in partitions:
        inclusions = inclusion_cases(published, PUBLIC)
        steps = consistency_cases(published, PUBLIC)
        assert set(go_judge.verdicts(inclusions + steps)) == {ACCEPTED}


def test_a_decision_record_carries_the_checkpoint_of_its_lineage_record(
    partitions: list[Published],
) -> None:
    for published in partitions:
        roots = {record["tree_size"]: record["root"] for record in published.lineage}
        notes = {note_of(d, roots[d["tree_size"]]) for d in published.decisions}
        assert notes <= set(published.notes.values())


def test_openssl_accepts_the_signature_of_every_checkpoint(
    partitions: list[Published], openssl: OpenSsl
) -> None:
    for published in partitions:
        for note in published.notes.values():
            assert openssl.accepts(*split_note(note), PUBLIC)


def test_the_key_is_printed_as_others_print_it() -> None:
    origin = "acme.example/payments/payments.requests.v1/0/1"
    assert checkpoint.verifier_key(origin, PUBLIC) == verifier_key(origin, PUBLIC)


def flips(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the bytes with one bit changed, for each bit of the part named."""
    for place in range(begin, len(data) if end is None else end):
        for bit in range(8):
            changed = data[place] ^ 1 << bit
            yield data[:place] + bytes([changed]) + data[place + 1 :]


def body_end(note: bytes) -> int:
    return note.rindex(b"\n\n") + 1


def flipped_signatures(note: bytes) -> Iterator[bytes]:
    """Yield the note with one bit of the 64 bytes changed; base64 has bits that mean nothing."""
    body, signature = split_note(note.decode())
    line = note[len(body) + 1 :].decode()
    key_id = bytes.fromhex(verifier_key(line.split()[1], PUBLIC).split("+")[1])
    for changed in flips(signature):
        encoded = to_base64(key_id + changed)
        yield body + f"\n— {line.split()[1]} {encoded}\n".encode()


def each_flip(pair: Pair, part: str) -> list[Case]:
    case, step = pair
    size = case.note.index(b"\n") + 1
    size_end = case.note.index(b"\n", size)
    changed: dict[str, Iterator[Case]] = {
        "signature": (case._replace(note=note) for note in flipped_signatures(case.note)),
        "body": (case._replace(note=n) for n in flips(case.note, 0, body_end(case.note))),
        "size": (case._replace(note=n) for n in flips(case.note, size, size_end)),
        "leaf": (case._replace(leaf=leaf) for leaf in flips(case.leaf or b"")),
        "index": (case._replace(index=(case.index or 0) ^ 1 << bit) for bit in range(63)),
        "path": (case._replace(path=path) for path in flips(case.path)),
        "older signature": (
            step._replace(older=note) for note in flipped_signatures(step.older or b"")
        ),
        "older body": (
            step._replace(older=note)
            for note in flips(step.older or b"", 0, body_end(step.older or b""))
        ),
        "proof": (step._replace(proof=proof) for proof in flips(step.proof)),
    }
    return list(changed[part])


@pytest.mark.parametrize(
    ("part", "step"),
    [
        ("signature", "signature"),
        ("body", "signature"),
        ("size", "signature"),
        ("leaf", "inclusion"),
        ("index", "inclusion"),
        ("path", "inclusion"),
        ("older signature", "older"),
        ("older body", "older"),
        ("proof", "consistency"),
    ],
)
def test_go_refuses_any_flipped_bit(pair: Pair, go_judge: GoJudge, part: str, step: str) -> None:
    cases = each_flip(pair, part)
    assert len(cases) >= 16
    assert Counter(go_judge.refused_at(cases)) == {step: len(cases)}


def resigned(note: bytes, key: str, **lines: bytes) -> bytes:
    """Sign the checkpoint anew, with some of its lines changed; the key keeps the log's name."""
    origin, size, root, runtime, *_ = note.split(b"\n")
    root, size = lines.get("root", root), lines.get("size", size)
    origin = lines.get("origin", origin)
    body = b"\n".join([origin, size, root, runtime, b""])
    name = origin.decode()
    key_id = bytes.fromhex(verifier_key(name, a_key(key).public).split("+")[1])
    line = to_base64(key_id + a_key(key).sign(body))
    return body + f"\n— {name} {line}\n".encode()


def test_go_refuses_what_is_signed_well_but_not_in_the_tree(pair: Pair, go_judge: GoJudge) -> None:
    """Each guard alone: signatures hold, or are of another's key or log."""
    case, step = pair
    older = step.older or b""
    fork = {"root": to_base64(bytes(32)).encode()}
    refused = {
        "same checkpoint signed again": case._replace(note=resigned(case.note, "checkpoint")),
        "another root": case._replace(note=resigned(case.note, "checkpoint", **fork)),
        "index at the size": case._replace(index=int(case.note.split(b"\n")[1])),
        "path too long": case._replace(path=case.path + bytes(32)),
        "path too short": case._replace(path=case.path[:-32]),
        "forked before": step._replace(older=resigned(older, "checkpoint", **fork)),
        "forked since": step._replace(note=resigned(step.note, "checkpoint", **fork)),
        "steps back": step._replace(note=older, older=step.note),
        "proof too short": step._replace(proof=step.proof[:-32]),
        "another's key": case._replace(note=resigned(case.note, "requester")),
        "another log": case._replace(note=resigned(case.note, "checkpoint", origin=b"a/b")),
        "key of another name": case._replace(key="a/b" + case.key[case.key.index("+") :]),
    }
    assert dict(zip(refused, go_judge.refused_at(list(refused.values())), strict=True)) == {
        "same checkpoint signed again": ACCEPTED,
        "another root": "inclusion",
        "index at the size": "inclusion",
        "path too long": "inclusion",
        "path too short": "inclusion",
        "forked before": "consistency",
        "forked since": "consistency",
        "steps back": "consistency",
        "proof too short": "consistency",
        "another's key": "signature",
        "another log": "signature",
        "key of another name": "key",
    }


def test_a_path_alone_leads_to_one_root_from_trees_of_several_sizes(
    pair: Pair, go_judge: GoJudge
) -> None:
    """Why a verifier takes the size from the signed checkpoint and from nowhere else."""
    case = pair.inclusion
    size = int(case.note.split(b"\n")[1])
    others = [other for other in range(1, 2 * size) if other != size]
    cases = [
        case._replace(note=resigned(case.note, "checkpoint", size=b"%d" % other))
        for other in others
    ]
    assert set(go_judge.refused_at(cases)) == {ACCEPTED, "inclusion"}


def test_go_refuses_a_checkpoint_of_another_log_under_the_key_of_this_one(
    partitions: list[Published], go_judge: GoJudge
) -> None:
    """One key serves all partitions, so the signature could be moved; the first line may not."""
    body, signature = split_note(partitions[1].lineage[-1]["checkpoint"])
    key = verifier_key(partitions[0].origin, PUBLIC)
    name, key_id = key.split("+")[:2]
    moved = f"\n— {name} {to_base64(bytes.fromhex(key_id) + signature)}\n".encode()

    assert go_judge.refused_at([Case(key, body + moved)]) == ["checkpoint"]


def test_openssl_refuses_a_flipped_body_signature_or_key(
    partitions: list[Published], openssl: OpenSsl
) -> None:
    body, signature = split_note(partitions[0].lineage[-1]["checkpoint"])
    starts = [0, *(place + 1 for place, byte in enumerate(body[:-1]) if byte == ord("\n"))]
    assert (len(starts), openssl.accepts(body, signature, PUBLIC)) == (4, True)
    for place in (*starts, len(body) - 1):
        assert not openssl.accepts(next(flips(body, place)), signature, PUBLIC)
    for place in (0, 31, 32, 63):
        assert not openssl.accepts(body, next(flips(signature, place)), PUBLIC)
    assert not openssl.accepts(body, signature, a_key("requester").public)
    assert pem(PUBLIC).count("\n") == 3
