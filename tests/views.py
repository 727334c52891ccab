"""Views of a gate, as a test's monitor is shown them."""

from gate.views import PartitionView, PolicyView

POLICY = PolicyView("loans", "1.0.0", "ab" * 32)


def a_partition(number: int = 0, **changes: object) -> PartitionView:
    """Return a ready partition with a policy in force, but for `changes`."""
    return PartitionView(
        **{
            "number": number,
            "phase": "ready",
            "cause": "",
            "text": "",
            "restore_remaining": 0,
            "tree_size": 7,
            "input_lag": 3,
            "is_input_pinned": False,
            "policies": (POLICY,),
            **changes,
        }
    )
