"""The wrong kind of file is named in one line."""

import pytest

from gate.authoring.check import check_source
from gate.authoring.faults import SourceInvalid
from gate.authoring.request_file import read_action

POLICY = b"format: gate-policy/1\npolicy: x\n"
TESTS = b"# a comment first\nformat: gate-policy-tests/1\npolicy: x\n"
REQUEST = b"actor: ann\naction: loan.approve\n"
SIGNED = b'{"payload": "", "payloadType": "x", "signatures": []}'


@pytest.mark.parametrize(
    ("read", "data", "expected"),
    [
        (
            check_source,
            TESTS,
            (
                "f:2:1: this is a test file (`gate-policy-tests/1`), expected a policy "
                "(`gate-policy/1`)"
            ),
        ),
        (check_source, REQUEST, "f:1:1: this is a request, expected a policy (`gate-policy/1`)"),
        (
            check_source,
            SIGNED,
            "f:1:1: this is a signed envelope, expected a policy (`gate-policy/1`)",
        ),
        (read_action, POLICY, "f:1:1: this is a policy (`gate-policy/1`), expected a request"),
    ],
)
def test_another_kind_of_file_is_one_fault_of_one_line(read, data, expected):
    with pytest.raises(SourceInvalid) as caught:
        read(data, "f")
    assert str(caught.value) == expected


@pytest.mark.parametrize("data", [b"format: gate-policy/2\n", b"policy: x\n", b"- a\n"])
def test_an_unknown_kind_has_the_faults_of_its_members(data):
    with pytest.raises(SourceInvalid) as caught:
        check_source(data, "f")
    assert "this is" not in str(caught.value)
