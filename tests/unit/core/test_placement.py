"""Placement as the Java client's, and the digest of an input record."""

from hashlib import sha256

import pytest

from gate.core.placement import input_sha256, murmur2, partition_of


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_the_one_of_apache_kafka_s_own_test(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected & 0xFFFF_FFFF


def test_a_partition_is_of_the_hash_without_its_sign() -> None:
    assert partition_of(b"21", 12) == (-973932308 & 0x7FFF_FFFF) % 12
    assert {partition_of(bytes([n]), 3) for n in range(256)} == {0, 1, 2}
    assert partition_of(b"", 1) == 0


def test_an_input_digest_is_over_key_length_key_and_value() -> None:
    assert input_sha256(b"k", b"v") == sha256(b"\x00\x00\x00\x01kv").digest()
    assert input_sha256(b"", b"v") == sha256(b"\x00\x00\x00\x00v").digest()
    assert input_sha256(None, b"v") == sha256(b"\xff\xff\xff\xffv").digest()


def test_no_two_of_key_and_value_share_a_digest_but_an_absent_and_an_empty_value() -> None:
    pairs = [(None, b"ab"), (b"", b"ab"), (b"a", b"b"), (b"ab", b""), (None, b""), (b"", b"")]
    assert len({input_sha256(*pair) for pair in pairs}) == len(pairs)
    assert input_sha256(b"k", None) == input_sha256(b"k", b"")
