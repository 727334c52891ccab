"""Our own checkpoint key: whether the trust root lets us sign the next checkpoint.

Asked at assignment, and before a trust root takes effect: a gate that consumed the trust root which
revokes its key would sign what counts for nothing. So it stops before that record; started again
with a key that both trust roots list, it goes on. `design/decision.md` §4, `transaction.md` §3d.
"""

from gate.core.signature import key_id
from gate.core.trust import KeyRefusal, TrustRoot
from gate.errors import PartitionStopped


def check_own_key(trust: TrustRoot, log: str, own_public: bytes, number: int) -> None:
    """Raise `PartitionStopped` (`signer_not_trusted`) unless our key is active for the origin."""
    if isinstance(trust.checkpoint_key(own_public, log), KeyRefusal):
        raise PartitionStopped(
            "signer_not_trusted",
            number,
            f"trust root {trust.version} does not list our checkpoint key {key_id(own_public)} as "
            f"active for `{log}`; add it to the trust root, or configure a key that is listed",
        )
