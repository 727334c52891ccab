import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gate.core import jcs
from gate.core.proof import merkle
from gate.core.proof.verdict import Refused, Status, Verified
from gate.core.proof.verify import CheckpointVerifier, verify_decision_record
from gate.core.trust import read_trust_root
from gate.core.values import DecisionRecord
from gate.core.wire.entry import encode_entry
from tests.unit.core.proof.lineages import (
    APPROVAL,
    APPROVED_AT,
    ASK,
    ORIGIN,
    RUNTIME,
    Lineage,
    a_lineage,
    checkpoint_key,
    denial_at,
    trust_root,
)

ROOT = read_trust_root(jcs.canonical(trust_root()))
LINEAGE = a_lineage()
RECORD = LINEAGE.record(APPROVED_AT, 13, ASK)
MANY = Lineage(LINEAGE.entries[:3] + [encode_entry(denial_at(offset)) for offset in range(2, 120)])


def outcome(result):
    if isinstance(result, Refused):
        return result.code.value, result.step
    return result.status


def test_an_approved_record_is_verified_whole():
    assert verify_decision_record(RECORD, ROOT) == Verified(
        status=Status.SIGNED,
        entry=APPROVAL,
        origin=ORIGIN,
        leaf_index=APPROVED_AT,
        tree_size=13,
        root=LINEAGE.tree(13).root,
        runtime=RUNTIME,
        trust_root_version=1,
        re_decided=False,
        time="claimed",
    )


def line_of(record):
    (line,) = record.signatures
    return line


REFUSED = {
    "log": (RECORD._replace(log="not an origin"), ("malformed", 1)),
    "runtime": (RECORD._replace(runtime="runtime x"), ("malformed", 1)),
    "signatures": (RECORD._replace(signatures=(bytes(68),) * 2), ("malformed", 1)),
    "too many": (
        RECORD._replace(signatures=tuple(bytes([i]) * 68 for i in range(17))),
        ("malformed", 1),
    ),
    "another log": (RECORD._replace(log="acme.example/refunds/t/0/1"), ("unknown_log", 2)),
    "size": (RECORD._replace(tree_size=2**63), ("bad_proof_shape", 3)),
    "negative": (RECORD._replace(leaf_index=-1), ("bad_proof_shape", 3)),
    "path": (RECORD._replace(inclusion_path=RECORD.inclusion_path + b"\0"), ("bad_proof_shape", 3)),
    "entry": (RECORD._replace(entry=RECORD.entry + b"\0"), ("bad_signature", 5)),
    "unsigned": (RECORD._replace(signatures=()), ("no_trusted_signature", 5)),
    "short line": (RECORD._replace(signatures=(line_of(RECORD)[:4],)), ("bad_signature", 5)),
    "other leaf": (LINEAGE.record(1, 13), ("contradiction", 9)),
    "no ask": (RECORD._replace(ask=b""), ("contradiction", 9)),
    "another ask": (RECORD._replace(ask=ASK + b"\0"), ("contradiction", 9)),
    "ask of a denial": (LINEAGE.record(6, 13, ASK), ("contradiction", 9)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_altered_record_is_refused_cold_and_warm(name):
    record, expected = REFUSED[name]
    assert outcome(verify_decision_record(record, ROOT)) == expected
    warm = CheckpointVerifier(ROOT)
    assert outcome(warm.verify(RECORD)) is Status.SIGNED
    assert outcome(warm.verify(record)) == expected
    assert outcome(warm.verify(RECORD)) is Status.SIGNED


def test_what_a_revoked_key_signed_is_refused():
    record = a_lineage(signer="old").record(APPROVED_AT, 13, ASK)
    keys = [checkpoint_key("checkpoint"), checkpoint_key("old", "revoked")]
    revoked = read_trust_root(jcs.canonical(trust_root(checkpoint_keys=keys)))
    assert outcome(verify_decision_record(record, revoked)) == ("key_revoked", 5)


def test_proving_reads_no_entry():
    unread = Lineage([b"leaf 0", b"leaf 1", b"leaf 2"])
    verifier = CheckpointVerifier(ROOT)
    for index in range(3):
        assert verifier.prove(unread.record(index, 3)) is Status.SIGNED
    assert verifier.prove(unread.record(1, 3)._replace(leaf_index=2)) != Status.SIGNED
    assert outcome(verifier.verify(unread.record(1, 3))) == ("unknown_schema", 8)


@settings(max_examples=40, deadline=None)
@given(st.permutations(range(3, 60)), st.integers(60, 121))
def test_records_of_one_checkpoint_verify_in_any_order_as_they_do_alone(order, size):
    verifier = CheckpointVerifier(ROOT)
    tree, line = MANY.tree(size), line_of(MANY.record(3, size))
    for index in order:
        path = tree.paths[index]
        entry = MANY.entries[index]
        record = DecisionRecord(entry, ORIGIN, index, size, path, RUNTIME, (line,), b"")
        assert verifier.prove(record) is Status.SIGNED


def mutations(record):
    for field in ("entry", "inclusion_path"):
        data = getattr(record, field)
        for bit in range(len(data) * 8):
            altered = bytearray(data)
            altered[bit // 8] ^= 1 << bit % 8
            yield record._replace(**{field: bytes(altered)})
    for index in (record.leaf_index - 1, record.leaf_index + 1, record.leaf_index ^ 2):
        yield record._replace(leaf_index=index)
    yield record._replace(tree_size=record.tree_size + 1)
    yield record._replace(inclusion_path=record.inclusion_path[32:])


def test_no_altered_record_profits_from_what_was_proven_before():
    verifier, record = CheckpointVerifier(ROOT), MANY.record(50, 121)
    for index in (49, 48, 51, 52, 50):
        assert verifier.prove(MANY.record(index, 121)) is Status.SIGNED
    (known,) = verifier._known.values()
    assert any(rest == record.inclusion_path for _, _, rest in known.proven)
    for altered in mutations(record):
        assert isinstance(verifier.prove(altered), Refused)


def test_memory_is_bounded():
    verifier = CheckpointVerifier(ROOT)
    limit = CheckpointVerifier.CHECKPOINTS_MAX
    for size in range(4, 4 + limit + 5):
        assert verifier.prove(MANY.record(3, size)) is Status.SIGNED
        assert len(verifier._known) <= limit
    for index in range(3, 121):
        assert verifier.prove(MANY.record(index, 121)) is Status.SIGNED
    places = [len(known.proven) for known in verifier._known.values()]
    assert max(places) <= CheckpointVerifier.PLACES_MAX + 2 * merkle.PATH_HASHES_MAX
