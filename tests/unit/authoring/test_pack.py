"""Packing is reproducible and gives what the gate loads; an activation carries what was signed."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gate.authoring
from gate.authoring.check import check_source
from gate.authoring.faults import SourceInvalid
from gate.authoring.pack import build_activation, pack
from gate.core import dsse
from gate.core.control.activation import Activation, read_activation
from gate.core.policy.bundle import parse_bundle
from gate.core.policy.compiled import compile_policy
from gate.core.values import KeyId
from gate.errors import ConfigInvalid

ROOT = Path(__file__).parents[3]
LOAN = (Path(gate.authoring.__file__).parent / "examples/loan-approval.policy.yaml").read_bytes()
PREVIOUS, TESTS = "11" * 32, "22" * 32


def packed(source: bytes = LOAN) -> bytes:
    return pack(source, "loan.yaml", domain="acme", previous=PREVIOUS, tests_sha256=TESTS)


def envelope(payload: bytes | None = None) -> bytes:
    signed = dsse.Envelope(
        dsse.POLICY, packed() if payload is None else payload, ((KeyId("ab" * 16), bytes(64)),)
    )
    return dsse.encode_envelope(signed)


def activation(signed: bytes, mode: str = "enforce") -> bytes:
    assert mode in ("enforce", "withdraw")
    return build_activation(
        signed,
        mode="enforce" if mode == "enforce" else "withdraw",
        audience="acme/gate",
        topic_id="t-1",
        previous=PREVIOUS,
        activation_sequence=3,
        not_after_ms=99,
    )


def test_a_packed_policy_is_what_the_gate_loads() -> None:
    payload = packed()
    bundle = parse_bundle(payload)
    assert (bundle.domain, bundle.previous, bundle.tests_sha256) == ("acme", PREVIOUS, TESTS)
    policy = compile_policy(bundle, hashlib.sha256(payload).digest())
    assert policy.bundle.policy == "loan-approval"


def test_packing_is_reproducible() -> None:
    assert {packed() for _ in range(5)} == {packed()}


@pytest.mark.parametrize("seed", ["0", "1"])
def test_packing_is_reproducible_in_other_processes(seed: str) -> None:
    code = (
        "import sys; from gate.authoring.pack import pack; "
        "sys.stdout.buffer.write(pack(sys.stdin.buffer.read(), 'x.yaml', domain='acme', "
        f"previous='{PREVIOUS}', tests_sha256='{TESTS}'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=LOAN,
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C"},
    )
    assert done.stdout == packed()


def test_comments_and_line_breaks_of_another_system_do_not_count() -> None:
    assert packed(b"# another\n" + LOAN.replace(b"\n", b"\r\n")) == packed()


def test_a_changed_bound_counts() -> None:
    assert packed(LOAN.replace(b"max: 850", b"max: 851")) != packed()


def test_a_faulty_source_is_not_packed() -> None:
    with pytest.raises(SourceInvalid, match=r"loan\.yaml:27:17: "):
        packed(LOAN.replace(b"signal.existing_debt +", b"signal.existing_det +"))


def test_an_activation_carries_the_signed_bundle() -> None:
    signed = envelope()
    bundle = dsse.read_envelope(signed)
    assert read_activation(activation(signed)) == Activation(
        audience="acme/gate",
        topic_id="t-1",
        policy="loan-approval",
        sequence=7,
        digest=hashlib.sha256(packed()).digest(),
        previous=bytes.fromhex(PREVIOUS),
        mode="enforce",
        activation_sequence=3,
        not_after_ms=99,
        bundle=bundle,
    )


def test_a_withdrawal_names_the_bundle_and_carries_none() -> None:
    read = read_activation(activation(envelope(), "withdraw"))
    assert (read.mode, read.bundle, read.sequence) == ("withdraw", None, 7)
    assert read.digest == hashlib.sha256(packed()).digest()


@pytest.mark.parametrize("signed", [b"", b"{}", envelope(b"{}")])
def test_what_is_no_signed_bundle_is_not_activated(signed: bytes) -> None:
    with pytest.raises(ConfigInvalid, match="signed bundle can not be read"):
        activation(signed)


def test_what_is_checked_without_a_domain_is_the_same_policy() -> None:
    checked = check_source(LOAN, "loan.yaml")
    bundle = parse_bundle(packed())
    assert checked.bundle.rules == bundle.rules
    assert checked.bundle.domain == "unpacked"
