"""One suite for what a gate published on whatever log: others accept it, and nothing altered.

A module that takes it gives a fixture `partitions`, each partition's records taken apart, and the
number of decisions; `go_judge` and `openssl` are fixtures of `others`.
"""

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import pytest

from tests.builders import a_key
from tests.independent.others import (
    ACCEPTED,
    Case,
    GoJudge,
    OpenSsl,
    to_base64,
    verifier_key,
)
from tests.independent.published import (
    Published,
    consistency_cases,
    inclusion_cases,
    note_of,
    split_note,
)

PUBLIC = a_key("checkpoint").public


class Pair(NamedTuple):
    """A decision claimed under a checkpoint, and the step to it from the checkpoint before."""

    inclusion: Case
    consistency: Case


def a_pair(published: Published) -> Pair:
    """Return the last step that has decisions, with the last of them or the one before."""
    inclusions = inclusion_cases(published, PUBLIC)
    for step in reversed(consistency_cases(published, PUBLIC)[1:]):
        under_it = [case for case in inclusions if case.note == step.note and case.leaf]
        if under_it:
            return Pair(under_it[-2:][0], step)
    raise AssertionError("no transaction has a decision")


def flips(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield the bytes with one bit changed, for each bit of the part named."""
    for place in range(begin, len(data) if end is None else end):
        for bit in range(8):
            changed = data[place] ^ 1 << bit
            yield data[:place] + bytes([changed]) + data[place + 1 :]


def signed_as(name: str, public: bytes, body: bytes, signature: bytes) -> bytes:
    """Return the note of a body and a signature, under a key's name and id."""
    key_id = bytes.fromhex(verifier_key(name, public).split("+")[1])
    return body + f"\n— {name} {to_base64(key_id + signature)}\n".encode()


def resigned(note: bytes, signer: str, *, name: str = "", **lines: bytes) -> bytes:
    """Return a note well signed by a test key, with some lines of the checkpoint changed."""
    origin, size, root, runtime, *_ = note.split(b"\n")
    changed = {"origin": origin, "size": size, "root": root, "runtime": runtime, **lines}
    body = b"\n".join([*changed.values(), b""])
    key = a_key(signer)
    return signed_as(name or changed["origin"].decode(), key.public, body, key.sign(body))


def _flipped_bodies(note: bytes) -> Iterator[bytes]:
    return flips(note, 0, note.rindex(b"\n\n") + 1)


def _flipped_sizes(note: bytes) -> Iterator[bytes]:
    begin = note.index(b"\n") + 1
    return flips(note, begin, note.index(b"\n", begin))


def _flipped_signatures(note: bytes) -> Iterator[bytes]:
    """Change each bit of the signature itself: the last letter of its base64 has spare bits."""
    body, signature = split_note(note.decode())
    name = body.decode().partition("\n")[0]
    return (signed_as(name, PUBLIC, body, changed) for changed in flips(signature))


def _flipped(pair: Pair, part: str) -> list[Case]:
    case, step = pair
    older = step.older or b""
    changed: dict[str, Iterator[Case]] = {
        "signature": (case._replace(note=note) for note in _flipped_signatures(case.note)),
        "body": (case._replace(note=note) for note in _flipped_bodies(case.note)),
        "size": (case._replace(note=note) for note in _flipped_sizes(case.note)),
        "leaf": (case._replace(leaf=leaf) for leaf in flips(case.leaf or b"")),
        "index": (case._replace(index=(case.index or 0) ^ 1 << bit) for bit in range(63)),
        "path": (case._replace(path=path) for path in flips(case.path)),
        "older signature": (step._replace(older=note) for note in _flipped_signatures(older)),
        "older body": (step._replace(older=note) for note in _flipped_bodies(older)),
        "proof": (step._replace(proof=proof) for proof in flips(step.proof)),
    }
    return list(changed[part])


class AcceptedByOthers:
    """The claims. `decisions` is how many the partitions hold together."""

    decisions: ClassVar[int]

    def test_go_accepts_every_decision_and_every_step_between_checkpoints(
        self, partitions: list[Published], go_judge: GoJudge
    ) -> None:
        assert sum(len(published.decisions) for published in partitions) == self.decisions
        assert min(len(published.lineage) for published in partitions) > 3
        for published in partitions:
            inclusions = inclusion_cases(published, PUBLIC)
            steps = consistency_cases(published, PUBLIC)
            assert set(go_judge.verdicts(inclusions + steps)) == {ACCEPTED}

    def test_a_decision_record_carries_the_checkpoint_of_its_lineage_record(
        self, partitions: list[Published]
    ) -> None:
        for published in partitions:
            roots = {record["tree_size"]: record["root"] for record in published.lineage}
            notes = {note_of(d, roots[d["tree_size"]]) for d in published.decisions}
            assert notes <= {record["checkpoint"] for record in published.lineage}

    def test_openssl_accepts_the_signature_of_every_checkpoint(
        self, partitions: list[Published], openssl: OpenSsl
    ) -> None:
        for published in partitions:
            for record in published.lineage:
                assert openssl.accepts(*split_note(record["checkpoint"]), PUBLIC)

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
    def test_go_refuses_any_flipped_bit(
        self, partitions: list[Published], go_judge: GoJudge, part: str, step: str
    ) -> None:
        pair = a_pair(partitions[0])
        cases = _flipped(pair, part)
        assert len(cases) >= 8
        assert Counter(go_judge.refused_at(cases)) == {step: len(cases)}

    def test_go_refuses_what_is_signed_well_but_is_not_in_the_tree(
        self, partitions: list[Published], go_judge: GoJudge
    ) -> None:
        case, step = a_pair(partitions[0])
        older = step.older or b""
        fork = {"root": to_base64(bytes(32)).encode()}
        judged = {
            "the same, signed again": (
                case._replace(note=resigned(case.note, "checkpoint")),
                ACCEPTED,
            ),
            "another root": (
                case._replace(note=resigned(case.note, "checkpoint", **fork)),
                "inclusion",
            ),
            "index at the size": (
                case._replace(index=int(case.note.split(b"\n")[1])),
                "inclusion",
            ),
            "path too long": (case._replace(path=case.path + bytes(32)), "inclusion"),
            "path too short": (case._replace(path=case.path[:-32]), "inclusion"),
            "forked before": (
                step._replace(older=resigned(older, "checkpoint", **fork)),
                "consistency",
            ),
            "forked since": (
                step._replace(note=resigned(step.note, "checkpoint", **fork)),
                "consistency",
            ),
            "a step back": (step._replace(note=older, older=step.note), "consistency"),
            "proof too short": (step._replace(proof=step.proof[:-32]), "consistency"),
        }
        cases = [case for case, _ in judged.values()]
        assert dict(zip(judged, go_judge.refused_at(cases), strict=True)) == {
            name: expected for name, (_, expected) in judged.items()
        }

    def test_go_refuses_another_key_name_or_log(
        self, partitions: list[Published], go_judge: GoJudge
    ) -> None:
        """One key serves all partitions: what it signed for one is nothing to another."""
        case, _ = a_pair(partitions[0])
        name = partitions[0].origin
        other = partitions[1].lineage[-1]["checkpoint"].encode()
        judged = {
            "signed by another": (
                case._replace(note=resigned(case.note, "requester")),
                "signature",
            ),
            "of another log": (case._replace(note=other), "signature"),
            "of another log, named for this one": (
                case._replace(note=resigned(other, "checkpoint", name=name)),
                "checkpoint",
            ),
            "key id of another name": (
                case._replace(key="a/b" + case.key[case.key.index("+") :]),
                "key",
            ),
        }
        cases = [case for case, _ in judged.values()]
        assert dict(zip(judged, go_judge.refused_at(cases), strict=True)) == {
            name: expected for name, (_, expected) in judged.items()
        }

    def test_openssl_refuses_a_flipped_body_signature_or_key(
        self, partitions: list[Published], openssl: OpenSsl
    ) -> None:
        body, signature = split_note(partitions[0].lineage[-1]["checkpoint"])
        lines = [0, *(place + 1 for place, byte in enumerate(body[:-1]) if byte == ord("\n"))]
        assert (len(lines), openssl.accepts(body, signature, PUBLIC)) == (4, True)
        for place in (*lines, len(body) - 1):
            assert not openssl.accepts(next(flips(body, place)), signature, PUBLIC)
        for place in (0, 31, 32, 63):
            assert not openssl.accepts(body, next(flips(signature, place)), PUBLIC)
        assert not openssl.accepts(body, signature, a_key("requester").public)
