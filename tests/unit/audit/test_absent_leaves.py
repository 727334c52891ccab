"""Ranges of leaves answer as the set of them would."""

from hypothesis import given
from hypothesis import strategies as st

from gate.audit.absent_leaves import AbsentLeaves


@given(st.sets(st.integers(0, 60)))
def test_ranges_answer_as_a_set(indexes: set[int]) -> None:
    absent = AbsentLeaves()
    for index in sorted(indexes):
        absent.add(index, index + 1)
    assert [index for index in range(-1, 62) if index in absent] == sorted(indexes)


def test_a_range_reaches_to_before_its_end() -> None:
    absent = AbsentLeaves()
    absent.add(3, 2**60)
    assert [2 in absent, 3 in absent, 2**60 - 1 in absent, 2**60 in absent] == [
        False,
        True,
        True,
        False,
    ]
