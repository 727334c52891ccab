import pytest

from gate.core.policy.protobuf import ProtobufInvalid, integer, read_message, text


def test_a_message_becomes_its_fields_by_number() -> None:
    message = read_message(b"\x08\x96\x01\x12\x02hi\x12\x01!\x19" + bytes(8) + b"\x25" + bytes(4))

    assert message.all(1) == [150]
    assert message.all(2) == [b"hi", b"!"]
    assert (message.one(3), message.one(4)) == (bytes(8), bytes(4))
    assert (message.has(5), message.one(5, 7)) == (False, 7)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x08", id="no value"),
        pytest.param(b"\x08\x96", id="truncated integer"),
        pytest.param(b"\x08" + b"\xff" * 9 + b"\x7f", id="integer over 64 bits"),
        pytest.param(b"\x08" + b"\x80" * 10 + b"\x01", id="integer of eleven bytes"),
        pytest.param(b"\x12\x05hi", id="field past the end"),
        pytest.param(b"\x0b", id="group"),
        pytest.param(b"\x19" + bytes(7), id="short fixed field"),
    ],
)
def test_bytes_outside_the_format_are_refused(data: bytes) -> None:
    with pytest.raises(ProtobufInvalid):
        read_message(data)


def test_a_field_of_another_kind_is_refused() -> None:
    message = read_message(b"\x08\x01\x12\x01\xff")

    with pytest.raises(ProtobufInvalid, match="expected bytes"):
        message.message(1)
    with pytest.raises(ProtobufInvalid, match="expected an integer"):
        integer(message.one(2))
    with pytest.raises(ProtobufInvalid, match="not UTF-8"):
        text(message.one(2))
    with pytest.raises(ProtobufInvalid, match="field 3 is missing"):
        message.one(3)
