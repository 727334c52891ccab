"""State keys, salts, fingerprints and recovery targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.core.state import (
    RecoveryTarget,
    Salts,
    TargetInvalid,
    add_to_fingerprint,
    decode_target,
    derive_keys,
    encode_target,
    state_key,
)

KEYS, OTHER = derive_keys(bytes(32)), derive_keys(b"\x01" * 32)
ORIGIN = "acme.example/payments/payments.requests.v1/7/1"
LONGS = st.integers(-1, 2**63 - 1)
ITEMS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=8)


@st.composite
def targets(draw: st.DrawFn) -> RecoveryTarget:
    return RecoveryTarget(
        requests_topic_id=draw(st.text(max_size=40)),
        changelog_topic_id=draw(st.text(max_size=40)),
        sequence=draw(LONGS),
        fingerprint=draw(st.integers(0, 2**128 - 1)),
        tree_size=draw(LONGS),
        root=draw(st.binary(min_size=32, max_size=32)),
        prev_input_offset=draw(LONGS),
        control_sha256=draw(st.binary(min_size=32, max_size=32)),
        last_approved=draw(LONGS),
        last_denied=draw(LONGS),
        last_quarantine=draw(LONGS),
    )


@given(targets())
def test_a_target_survives_its_text(target: RecoveryTarget) -> None:
    assert decode_target(encode_target(target, KEYS, ORIGIN), KEYS, ORIGIN) == target


A_TARGET = RecoveryTarget("t", "c", 1, 2, 3, bytes(32), 4, bytes(32), 5, 6, -1)


def test_a_target_of_another_secret_origin_or_text_is_refused() -> None:
    text = encode_target(A_TARGET, KEYS, ORIGIN)
    refused = [
        (text, OTHER, ORIGIN),
        (text, KEYS, ORIGIN.replace("/7/", "/8/")),
        ("", KEYS, ORIGIN),
        ("not base64!", KEYS, ORIGIN),
        (text[:-4], KEYS, ORIGIN),
        (text + "AAAA", KEYS, ORIGIN),
        ("AAAA" + text, KEYS, ORIGIN),
    ]
    for changed, keys, origin in refused:
        with pytest.raises(TargetInvalid):
            decode_target(changed, keys, origin)


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_in_a_target_is_refused(at: int, bit: int) -> None:
    import base64

    raw = bytearray(base64.b64decode(encode_target(A_TARGET, KEYS, ORIGIN)))
    raw[at % len(raw)] ^= 1 << bit
    with pytest.raises(TargetInvalid):
        decode_target(base64.b64encode(raw).decode(), KEYS, ORIGIN)


def test_a_target_fits_into_offset_metadata() -> None:
    long_ids = A_TARGET._replace(requests_topic_id="t" * 36, changelog_topic_id="c" * 36)
    assert len(encode_target(long_ids, KEYS, ORIGIN)) < 500


@given(ITEMS, ITEMS)
def test_a_fingerprint_is_of_the_set_not_of_the_order(one: list, two: list) -> None:
    together = add_to_fingerprint(0, KEYS, one + two)
    assert together == add_to_fingerprint(add_to_fingerprint(0, KEYS, two), KEYS, reversed(one))
    assert 0 <= together < 2**128


@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_a_fingerprint_tells_key_from_value(key: bytes, value: bytes, extra: bytes) -> None:
    if extra:
        moved = add_to_fingerprint(0, KEYS, [(key + extra, value)])
        assert moved != add_to_fingerprint(0, KEYS, [(key, extra + value)])


def test_secrets_give_different_keys_and_none_is_the_secret() -> None:
    assert len({*KEYS, *OTHER, bytes(32), b"\x01" * 32}) == 10


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_salt_is_of_its_offset_and_lineage(one: int, two: int) -> None:
    salts, elsewhere = Salts(KEYS, ORIGIN), Salts(KEYS, ORIGIN + "x")
    assert (salts(one) == salts(two)) == (one == two)
    assert salts(one) != elsewhere(one)
    assert len(salts(one)) == 16


def test_a_state_key_is_sixteen_bytes_of_sha256() -> None:
    assert state_key(b"").hex() == "e3b0c44298fc1c149afbf4c8996fb924"
