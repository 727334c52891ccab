"""The encoder's primitives: what has no encoding is refused."""

import pytest

from gate.core.wire import encoder


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, -(2**64), 2**200, -(2**200)])
def test_a_number_beyond_64_bits_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        encoder.long(number)


@pytest.mark.parametrize("number", [2**31, -(2**31) - 1])
def test_an_int_beyond_32_bits_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        encoder.int32(number)


@pytest.mark.parametrize("number", [-1, 2])
def test_an_index_out_of_range_is_refused_and_is_never_counted_from_the_end(number: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        encoder.index(number, 2)


def test_fixed_bytes_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 32 bytes, got 31"):
        encoder.fixed(bytes(31), 32)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        encoder.string("\ud800")


@pytest.mark.parametrize("item", [None, 1.5, ["a"], (1,), bytearray(b"x")])
def test_a_value_of_no_branch_is_refused(item: object) -> None:
    with pytest.raises((ValueError, AttributeError)):
        encoder.value(item)  # type: ignore[arg-type]


def test_a_boolean_is_never_taken_for_an_integer() -> None:
    assert [encoder.value(item) for item in (True, 1, False, 0)] == [
        b"\x00\x01",
        b"\x02\x02",
        b"\x00\x00",
        b"\x02\x00",
    ]
