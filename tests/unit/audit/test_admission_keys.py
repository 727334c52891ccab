"""Keys approved twice are found among any others, with 16 bytes a key."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gate.audit.admission_keys import ApprovedKeys, state_key


@given(st.lists(st.integers(0, 40)))
def test_repeated_keys_are_those_counted_more_than_once(numbers: list[int]) -> None:
    keys = ApprovedKeys()
    counted = Counter(state_key(b"key %d" % number) for number in numbers)
    for number in numbers:
        keys.add(state_key(b"key %d" % number))
    repeated = {key for key, count in counted.items() if count > 1}
    assert keys.repeated() == repeated
    assert len(keys) == len(numbers)
    assert keys.count(keys.repeated()) == sum(counted[key] for key in repeated)
