"""Operating errors, named by the reaction they ask for.

A verdict on a record is never an exception: it is a value with a reason code (`core.reasons`).
Adapters translate the errors of their library into these with `raise … from`; nobody else
catches a library's error.
"""


class GateError(Exception):
    """Base of every operating error. `str()` is the whole message for people."""


class ConfigInvalid(GateError):
    """A configuration, key, trust root or policy file is wrong; nothing was started. Exit 3."""


class Unreachable(GateError):
    """Something needed could not be reached. Exit 4."""


class TransactionAborted(GateError):
    """The transaction did not happen; the same records may be decided again."""


OUTCOME_UNKNOWN = "outcome_unknown"
RENEWAL_CAUSES = (OUTCOME_UNKNOWN, "unreachable", "slow_commit", "idle")
"""Why a producer is renewed: a closed list, label of a metric."""


class OutcomeUnknown(GateError):
    """The commit may or may not have happened; renew the producer and restore.

    `cause` is one of `RENEWAL_CAUSES`: the last three ask for it before anything was begun.
    """

    def __init__(self, text: str, *, cause: str = OUTCOME_UNKNOWN) -> None:
        """Say what is unknown, and why the producer is to be renewed."""
        assert cause in RENEWAL_CAUSES, f"unknown renewal cause `{cause}`"
        super().__init__(text)
        self.cause = cause


class Fenced(GateError):
    """Another process holds this slot, or this member lost its group; let go. Exit 5."""


class Pending(GateError):
    """Offsets of an unfinished transaction are in the way; ask again until the deadline."""


class Pinned(GateError):
    """An unfinished transaction holds a topic's last stable offset; write nothing there."""


class Lost(GateError):
    """Records were removed from the log before they were read.

    `partition` and `offset` say where, when the input's poll raised it.
    """

    def __init__(self, text: str, *, partition: int = -1, offset: int = -1) -> None:
        """Say what is gone, and where."""
        super().__init__(text)
        self.partition = partition
        self.offset = offset


class Unreadable(GateError):
    """A record can not be read by the client; as `Lost` it may say where."""

    def __init__(self, text: str, *, partition: int = -1, offset: int = -1) -> None:
        """Say what can not be read, and where."""
        super().__init__(text)
        self.partition = partition
        self.offset = offset


class StoreDamaged(GateError):
    """The local state store is damaged; move it aside and restore it from the changelog."""


class FingerprintDiffers(StoreDamaged):
    """The local state store reads well, but holds something else than was committed."""


class StoreFailed(GateError):
    """The local state store could not be opened or written (lock, disk full); stop. Exit 5."""


STOP_CAUSES = (
    "pinned",
    "lineage_fork",
    "output_torn",
    "signer_not_trusted",
    "state_ahead",
    "state_mismatch",
    "target_missing",
    "topic_changed",
    "append_time_off",
    "unreadable",
    "lost",
    "crash_suspect",
    "engine_unavailable",
    "ast_differs",
    "secret_differs",
    "slot_in_use",
    "transaction_failing",
)
"""Why a partition may not go on: a closed list, label of a metric and text of `/readyz`."""


class PartitionStopped(GateError):
    """A partition may not go on. `cause` is one of `STOP_CAUSES`."""

    def __init__(self, cause: str, partition: int, text: str) -> None:
        """Name the cause, the partition, and both sides of what disagreed."""
        assert cause in STOP_CAUSES, f"unknown stop cause `{cause}`"
        super().__init__(f"partition {partition} stopped: {cause}: {text}")
        self.cause = cause
        self.partition = partition
        self.text = text
