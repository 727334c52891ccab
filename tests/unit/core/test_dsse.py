import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.core import dsse, jcs
from gate.core.signature import load_public_key
from tests.unit.core.proof.lineages import envelope, key_of

KEYS = {key_of(name).key_id: load_public_key(key_of(name).public) for name in ("ann", "bob")}


def test_the_encoding_is_the_one_of_the_standards_example():
    # DSSE 1.0.2, protocol.md, test vector
    encoded = dsse.pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_the_length_of_a_type_is_counted_in_bytes():
    assert dsse.pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@given(st.text(max_size=4), st.binary(max_size=8), st.text(max_size=4), st.binary(max_size=8))
def test_different_things_are_never_signed_as_the_same_bytes(type_a, a, type_b, b):
    if (type_a, a) != (type_b, b):
        assert dsse.pae(type_a, a) != dsse.pae(type_b, b)


def test_an_envelope_reads_back():
    made = envelope(dsse.POLICY, b"{}", "ann", "bob")
    assert dsse.read_envelope(dsse.encode_envelope(made)) == made


def test_signers_are_the_listed_keys_that_signed_ascending():
    made = envelope(dsse.POLICY, b"{}", "stranger", "bob", "ann")
    assert dsse.valid_signers(made, dsse.POLICY, KEYS) == tuple(sorted(KEYS))
    assert dsse.valid_signers(made._replace(signatures=()), dsse.POLICY, KEYS) == ()


def test_a_signature_over_another_type_does_not_count():
    made = envelope(dsse.POLICY, b"{}", "ann")
    with pytest.raises(dsse.EnvelopeInvalid, match="expected payload type"):
        dsse.valid_signers(made, dsse.ACTIVATION, KEYS)
    with pytest.raises(dsse.EnvelopeInvalid, match="is wrong"):
        dsse.valid_signers(made._replace(payload_type=dsse.ACTIVATION), dsse.ACTIVATION, KEYS)


def test_one_bad_signature_of_a_listed_key_spoils_the_good_ones():
    made = envelope(dsse.POLICY, b"{}", "ann", "bob")
    (ann, good), (bob, other) = made.signatures
    swapped = made._replace(signatures=((ann, good), (bob, good)))
    with pytest.raises(dsse.EnvelopeInvalid, match=f"signature of key `{bob}` is wrong"):
        dsse.valid_signers(swapped, dsse.POLICY, KEYS)
    assert dsse.valid_signers(made, dsse.POLICY, KEYS) == tuple(sorted((ann, bob)))
    assert good != other


def json_with(**changes):
    value = dsse.json_of(envelope(dsse.POLICY, b"{}", "ann"))
    return jcs.canonical({**value, **changes})


def signature_with(**changes):
    (line,) = dsse.json_of(envelope(dsse.POLICY, b"{}", "ann"))["signatures"]
    return json_with(signatures=[{**line, **changes}])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{", "not JSON"),
        (b"[]", "expected an object, got an array"),
        (json_with(more=1), "unknown member `more`"),
        (jcs.canonical({"payload": "", "payloadType": "x"}), "member `signatures` is missing"),
        (json_with(payload="e30"), "`envelope.payload`: not base64"),
        (json_with(payload=1), "expected base64 text, got an integer"),
        (json_with(payloadType=None), "`envelope.payloadType`: expected a string"),
        (json_with(signatures={}), "`envelope.signatures`: expected an array"),
        (json_with(signatures=[{}] * 17), "at most 16"),
        (json_with(signatures=[{}]), "member `keyid` is missing"),
        (signature_with(keyid="A" * 32), "32 lower-case hexadecimal digits"),
        (signature_with(keyid="ab"), "32 lower-case hexadecimal digits"),
        (signature_with(sig="AAAA"), "expected 64 bytes, got 3"),
        (signature_with(cert="x"), "unknown member `cert`"),
        (json_with(payload="A" * 300_000), "too long"),
    ],
)
def test_another_form_of_envelope_is_refused(data, text):
    with pytest.raises(dsse.EnvelopeInvalid, match=text):
        dsse.read_envelope(data)


def test_two_signatures_of_one_key_are_refused():
    value = dsse.json_of(envelope(dsse.POLICY, b"{}", "ann", "ann"))
    with pytest.raises(dsse.EnvelopeInvalid, match="a key signed twice"):
        dsse.read_envelope(jcs.canonical(value))
