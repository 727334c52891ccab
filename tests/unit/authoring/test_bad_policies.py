"""Each bad policy has one fault, and is refused at exactly its line.

The first line of a file says where and what: `# expect: LINE: part of the message`.
"""

import re
from pathlib import Path

import pytest

from gate.authoring.check import check_source
from gate.authoring.faults import SourceInvalid

FOLDER = Path(__file__).parents[2] / "vectors/bad-policies"
FILES = sorted(FOLDER.glob("*.policy.yaml"))
EXPECT = re.compile(r"# expect: ([0-9]+): (.+)")


def expected(data: bytes) -> tuple[int, str]:
    match = EXPECT.fullmatch(data.split(b"\n", 1)[0].decode())
    assert match, "the first line says what is expected"
    return int(match[1]), match[2]


def test_there_are_enough_bad_policies() -> None:
    assert len(FILES) >= 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".policy.yaml"))
def test_a_bad_policy_is_refused_at_its_line(path: Path) -> None:
    data = path.read_bytes()
    line, message = expected(data)
    with pytest.raises(SourceInvalid) as caught:
        check_source(data, path.name)
    faults = caught.value.faults
    assert {fault.line for fault in faults} == {line}
    assert any(message in fault.message for fault in faults)
    assert str(caught.value).startswith(f"{path.name}:{line}:")


def test_what_the_bad_policies_are_made_of_is_accepted() -> None:
    checked = check_source((FOLDER / "faultless.yaml").read_bytes(), "faultless.yaml")
    assert checked.bundle.policy == "loan-approval"


def test_all_faults_are_told_at_once() -> None:
    data = (FOLDER / "faultless.yaml").read_text(encoding="utf-8")
    data = data.replace("variables.doubled > 150000", "variables.trebled > 1")
    data = data.replace("request.loan_amount > 20000", "request.amount > 20000")
    data = data.replace('action == "loan.approve"', "acton == 1")
    with pytest.raises(SourceInvalid) as caught:
        check_source(data.encode(), "many.yaml")
    assert [fault.line for fault in caught.value.faults] == [42, 45, 51]
