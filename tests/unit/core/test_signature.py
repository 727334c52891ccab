import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gate.core.signature import PublicKeyInvalid, key_id, load_public_key

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493

ORDER_8 = (
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
)


def encoded(y: int, sign: int) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


LOW_ORDER = [
    *(encoded(y, sign) for y in (0, 1, P - 1, P, P + 1) for sign in (0, 1)),
    *(
        encoded(int.from_bytes(bytes.fromhex(text), "little") & ~(1 << 255), sign)
        for text in ORDER_8
        for sign in (0, 1)
    ),
]


def test_there_are_fourteen_encodings_of_low_order_points():
    assert len(set(LOW_ORDER)) == 14


@pytest.mark.parametrize("public", LOW_ORDER, ids=bytes.hex)
def test_a_low_order_public_key_is_refused(public):
    with pytest.raises(PublicKeyInvalid):
        load_public_key(public)


def test_a_planted_low_order_key_would_pass_without_our_check():
    identity, planted = encoded(1, 0), encoded(1, 0) + bytes(32)
    Ed25519PublicKey.from_public_bytes(identity).verify(planted, b"anything at all")
    with pytest.raises(PublicKeyInvalid, match="identity"):
        load_public_key(identity)


def test_a_key_of_mixed_order_is_refused():
    number = int.from_bytes(PUBLIC, "little")
    y, sign = number & ~(1 << 255), number >> 255
    mixed = encoded(P - y, 1 - sign)  # (-x, -y): the same point plus the one of order 2
    Ed25519PublicKey.from_public_bytes(mixed)
    with pytest.raises(PublicKeyInvalid, match="mixed order"):
        load_public_key(mixed)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size):
    with pytest.raises(PublicKeyInvalid, match=f"expected 32 bytes of public key, got {size}"):
        load_public_key(bytes(size))


def test_bytes_that_are_no_point_are_refused():
    with pytest.raises(PublicKeyInvalid, match="not a point"):
        load_public_key(encoded(2, 0))


def test_a_good_signature_is_accepted_and_an_altered_one_or_message_is_not():
    key, signature = load_public_key(PUBLIC), PRIVATE.sign(b"message")
    assert key.verify(b"message", signature)
    assert not key.verify(b"messagf", signature)
    for bit in range(512):
        altered = bytearray(signature)
        altered[bit // 8] ^= 1 << bit % 8
        assert not key.verify(b"message", bytes(altered))


def test_s_of_the_group_order_or_more_is_refused():
    signature = PRIVATE.sign(b"message")
    again = signature[:32] + (int.from_bytes(signature[32:], "little") + L).to_bytes(32, "little")
    assert not load_public_key(PUBLIC).verify(b"message", again)
    with pytest.raises(InvalidSignature):
        PRIVATE.public_key().verify(again, b"message")


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(size):
    assert not load_public_key(PUBLIC).verify(b"message", bytes(size))


def test_a_key_is_named_by_the_digest_of_its_bytes():
    assert key_id(PUBLIC) == load_public_key(PUBLIC).key_id == "56475aa75463474c0285df5dbf2bcab7"


def test_keys_are_equal_by_their_bytes():
    other = load_public_key.__wrapped__(PUBLIC)
    assert other == load_public_key(PUBLIC)
    assert other is not load_public_key(PUBLIC)
