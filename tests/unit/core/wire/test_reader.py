"""The strict primitives: each refusal, and the bounds."""

from collections.abc import Callable
from time import perf_counter

import pytest

from gate.core import limits
from gate.core.reasons import Code
from gate.core.wire import encoder
from gate.core.wire.reader import HOSTILE, RECORD_BYTES_MAX, RECORDED, Reader, WireError
from gate.core.wire.schemas import ASK, header

Read = Callable[[Reader], object]


def reader_of(body: bytes) -> Reader:
    return Reader(header(ASK) + body, ASK, HOSTILE, RECORD_BYTES_MAX)


def refusal(body: bytes, read: Read) -> tuple[Code, str]:
    with pytest.raises(WireError) as caught:
        read(reader_of(body))
    return caught.value.code, caught.value.field


def long(reader: Reader) -> object:
    return reader.long("f")


def int32(reader: Reader) -> object:
    return reader.int32("f")


def boolean(reader: Reader) -> object:
    return reader.boolean("f")


def index(reader: Reader) -> object:
    return reader.index("f", 3)


def string(reader: Reader) -> object:
    return reader.string("f")


def identifier(reader: Reader) -> object:
    return reader.identifier("f")


def bytes_(reader: Reader) -> object:
    return reader.bytes_("f")


def fixed(reader: Reader) -> object:
    return reader.fixed("f", 4)


def value(reader: Reader) -> object:
    return reader.value("f")


def strings(reader: Reader) -> object:
    return reader.strings("f")


def time_ms(reader: Reader) -> object:
    return reader.time_ms("f")


@pytest.mark.parametrize(
    ("body", "read", "expected"),
    [
        (b"\x00", long, 0),
        (b"\x01", long, -1),
        (b"\x7f", long, -64),
        (b"\x80\x01", long, 64),
        (b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", long, 2**63 - 1),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", long, -(2**63)),
        (encoder.long(1_780_315_200_000), time_ms, 1_780_315_200_000),
        (encoder.long(-1_780_315_200_000), time_ms, -1_780_315_200_000),
        (b"\x00\x00\x00\x00\x00\x00", time_ms, 0),
        (encoder.long(2**31 - 1), int32, 2**31 - 1),
        (encoder.long(-(2**31)), int32, -(2**31)),
        (b"\x01", boolean, True),
        (b"\x00", boolean, False),
        (b"\x04", index, 2),
        (b"\x06abc", string, "abc"),
        ("\x06€".encode(), string, "€"),
        (b"\x00", bytes_, b""),
        (b"\x04\x00\xff", bytes_, b"\x00\xff"),
        (b"abcd", fixed, b"abcd"),
        (b"\x00\x01", value, True),
        (b"\x02\x03", value, -2),
        (b"\x04\x02x", value, "x"),
        (b"\x06\x02x", value, b"x"),
        (b"\x08\x04\x02a\x00\x00", value, ("a", "")),
        (b"\x08\x00", value, ()),
    ],
)
def test_a_canonical_encoding_is_read(body: bytes, read: Read, expected: object) -> None:
    got = read(reader_of(body))
    assert (type(got), got) == (type(expected), expected)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        pytest.param(b"", long, id="no integer"),
        pytest.param(b"\x80", long, id="an integer that does not end"),
        pytest.param(b"\x80\x00", long, id="an overlong zero"),
        pytest.param(b"\x82\x80\x00", long, id="an overlong one"),
        pytest.param(b"\xff" * 9 + b"\x02", long, id="an integer of 65 bits"),
        pytest.param(b"\xff" * 10 + b"\x01", long, id="an integer of 11 bytes"),
        pytest.param(b"\xff" * 10_000, long, id="an integer of 10,000 bytes"),
        pytest.param(b"\x80\x80\x80\x80\x80\x00", time_ms, id="an overlong time"),
        pytest.param(b"\x80\x80\x80\x80\x80\x80", time_ms, id="a time that does not end"),
        pytest.param(encoder.long(2**31), int32, id="an int of 33 bits"),
        pytest.param(encoder.long(-(2**31) - 1), int32, id="a negative int of 33 bits"),
        pytest.param(b"", boolean, id="no boolean"),
        pytest.param(b"\x02", boolean, id="a boolean of 2"),
        pytest.param(b"\xff", boolean, id="a boolean of 255"),
        pytest.param(b"\x06", index, id="an index beyond the last"),
        pytest.param(b"\x01", index, id="an index of -1, the last one to fastavro"),
        pytest.param(b"\x84\x00", index, id="an overlong index"),
        pytest.param(b"\x01", string, id="a length of -1"),
        pytest.param(b"\x04a", string, id="a length beyond the end"),
        pytest.param(b"\x02\xff", string, id="not UTF-8"),
        pytest.param(b"\x04\xc0\x80", string, id="overlong UTF-8"),
        pytest.param(b"\x06\xed\xa0\x80", string, id="a surrogate in UTF-8"),
        pytest.param(b"\x08\xf4\x90\x80\x80", string, id="beyond Unicode"),
        pytest.param(b"\x04\xe2\x82", string, id="a character cut off"),
        pytest.param(b"\x01", bytes_, id="bytes of length -1"),
        pytest.param(b"abc", fixed, id="fixed bytes cut off"),
        pytest.param(b"\x0a", value, id="a branch beyond the last"),
        pytest.param(b"\x01", value, id="a branch of -1"),
        pytest.param(b"\x00\x02", value, id="a value's boolean of 2"),
        pytest.param(b"\x08\x01\x02\x02a\x00", value, id="an array block with its byte count"),
        pytest.param(b"\x02\x02a\x02\x02b\x00", strings, id="an array of two blocks"),
        pytest.param(b"\x02\x02a", strings, id="an array without its end"),
        pytest.param(b"\x80\x00", strings, id="an overlong empty array"),
    ],
)
def test_anything_else_is_malformed(body: bytes, read: Read) -> None:
    assert refusal(body, read) == (Code.MALFORMED, "f")


@pytest.mark.parametrize(
    ("fits", "exceeds", "read"),
    [
        (encoder.string("x" * 8192), encoder.string("x" * 8193), string),
        (encoder.string("x" * 256), encoder.string("x" * 257), identifier),
        (encoder.string("ü" * 128), encoder.string("ü" * 128 + "x"), identifier),
        (encoder.bytes_(bytes(8192)), encoder.bytes_(bytes(8193)), bytes_),
        (encoder.array([b"\x00"] * 256), encoder.array([b"\x00"] * 257), strings),
        (
            encoder.value("x" * 8192),
            encoder.value("x" * 8193),
            value,
        ),
    ],
)
def test_a_limit_admits_its_value_and_refuses_one_more(
    fits: bytes, exceeds: bytes, read: Read
) -> None:
    read(reader_of(fits))
    assert refusal(exceeds, read) == (Code.LIMIT_EXCEEDED, "f")


def test_array_items_are_limited_in_all() -> None:
    full = encoder.array([b"\x00"] * 256)

    def arrays(reader: Reader) -> None:
        while reader.position < reader.size:
            reader.strings("f")

    assert limits.ELEMENTS_MAX == 16 * 256
    arrays(reader_of(full * 16))
    assert refusal(full * 16 + encoder.array([b"\x00"]), arrays) == (Code.LIMIT_EXCEEDED, "f")


def test_the_bytes_that_remain_are_looked_at_before_a_limit() -> None:
    beyond_both = encoder.long(9_000)
    assert refusal(beyond_both + bytes(8_999), string) == (Code.MALFORMED, "f")
    assert refusal(beyond_both + bytes(9_000), string) == (Code.LIMIT_EXCEEDED, "f")
    assert refusal(beyond_both + bytes(8_999), strings) == (Code.MALFORMED, "f")
    assert refusal(beyond_both + bytes(9_000), strings) == (Code.LIMIT_EXCEEDED, "f")


def test_a_limit_counts_before_what_the_bytes_hold() -> None:
    assert refusal(encoder.bytes_(b"\xff" * 257), identifier) == (Code.LIMIT_EXCEEDED, "f")


@pytest.mark.parametrize("declared", [2**62, 10_000_000, 2**31, 2**63 - 1, -(2**63), -10_000_000])
@pytest.mark.parametrize("read", [string, bytes_, strings])
def test_a_bomb_is_refused_at_once(declared: int, read: Read) -> None:
    body = encoder.long(declared) + bytes(16)
    fastest_s = 1.0
    for _ in range(5):
        start = perf_counter()
        assert refusal(body, read) == (Code.MALFORMED, "f")
        fastest_s = min(fastest_s, perf_counter() - start)
    assert fastest_s < 0.001


def test_our_own_records_have_more_room_but_no_less_strictness() -> None:
    body = encoder.string("x" * 100_000)
    reader = Reader(header(ASK) + body, ASK, RECORDED, RECORD_BYTES_MAX)
    assert len(reader.identifier("f")) == 100_000
    reader.finish()
    with pytest.raises(WireError) as caught:
        Reader(header(ASK) + b"\x80\x00", ASK, RECORDED, RECORD_BYTES_MAX).string("f")
    assert caught.value.code is Code.MALFORMED


def test_the_whole_is_limited() -> None:
    data = header(ASK) + bytes(5)
    Reader(data, ASK, RECORDED, 15)
    with pytest.raises(WireError) as caught:
        Reader(data, ASK, RECORDED, 14)
    assert (caught.value.code, caught.value.field) == (Code.LIMIT_EXCEEDED, "")


def test_what_follows_the_last_field_is_refused() -> None:
    reader = reader_of(b"\x00")
    reader.long("f")
    reader.finish()
    assert refusal(b"\x00", Reader.finish) == (Code.MALFORMED, "")


def test_a_refusal_says_where_what_was_expected_and_what_came() -> None:
    with pytest.raises(WireError) as caught:
        reader_of(b"\x06").index("first", 2)
    assert str(caught.value) == "`first`: expected an index from 0 to 1, got `3`"
    with pytest.raises(WireError) as caught:
        Reader(b"\xc3\x01" + bytes(8), ASK, HOSTILE, 100)
    assert str(caught.value) == (
        "expected schema `gate.v1.Ask` (b16e7703db623934), got fingerprint `0000000000000000`: "
        "encode with the schema that this gate has pinned"
    )
