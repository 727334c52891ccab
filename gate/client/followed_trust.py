"""The trust root in force, followed along the changelog from one that the reader has himself.

Promises: each trust root is verified from the one before, beginning with the one given, so that
whoever can write to the topics can put no key of his own in force.

Leaves to others: expiry, and what was signed under a key that was revoked since (the audit judges
each checkpoint under the trust root of its moment).
"""

from collections.abc import Callable, Mapping

from gate.core.proof.records import CheckpointVerifier
from gate.core.proof.verdict import Refused, Verified
from gate.core.topics import Topics
from gate.core.trust import TrustRoot, TrustRootInvalid, verify_after_gap, verify_next
from gate.core.values import Decision, DecisionRecord
from gate.core.wire.changelog import read_control_state
from gate.core.wire.reader import WireError
from gate.ports import LogReader, LogRecord, TopicPartition

Reading = Callable[[TopicPartition, int, int], None]
"""Takes how far a partition has been read: the next offset, and where reading ends."""

_SLICE_RECORDS = 5_000
_KEY = b"root/"


class FollowedTrust:
    """Verifies decisions under the newest trust root that the changelog shows."""

    def __init__(
        self,
        reader: LogReader,
        topics: Topics,
        first: TrustRoot,
        *,
        progress: Reading | None = None,
    ) -> None:
        """Begin with the reader's own trust root; `read_on` finds what followed it."""
        self._reader = reader
        self._topic = topics.changelog
        self._progress = progress
        self._next: dict[int, int] = {}
        self._adopt(first)

    def _adopt(self, root: TrustRoot) -> None:
        self.current = root
        self._verifier = CheckpointVerifier(root)

    def read_on(self, partition: int) -> None:
        """Take in what a partition's changelog holds beyond what was read of it before."""
        where = TopicPartition(self._topic, partition)
        ends = self._reader.ends([where])[where]
        offset = max(self._next.get(partition, 0), ends.first)
        while offset < ends.last_stable:
            part = self._reader.read(where, offset=offset, records_max=_SLICE_RECORDS)
            for record in part.records:
                found = trust_root_part(record)
                if found is not None:
                    self._take(*found)
            offset = part.next_offset
            if self._progress is not None:
                self._progress(where, min(offset, ends.last_stable), ends.last_stable)
        self._next[partition] = offset

    def follow(self, envelopes: Mapping[int, bytes]) -> None:
        """Take in trust roots by version, as another reading of the changelog found them."""
        for version in sorted(envelopes):
            self._take(version, envelopes[version])

    def verify(
        self, record: DecisionRecord, entry: Decision, *, partition: int
    ) -> Verified | Refused:
        """Verify a decision record that stands in `partition`; `entry`, its own, is unverified.

        One that names a newer trust root has the changelog read on: in the partition read first,
        then in its own, which holds the trust root before any decision under it.
        """
        for number in dict.fromkeys((*list(self._next)[:1], partition)):
            if entry.trust_root_version <= self.current.version:
                break
            self.read_on(number)
        return self._verifier.verify(record)

    def _take(self, version: int, envelope: bytes) -> None:
        """Adopt a trust root that follows; one that does not is another's, and counts for nothing.

        Versions are missing only where a Gap covered them.
        """
        if version <= self.current.version:
            return
        follow = verify_next if version == self.current.version + 1 else verify_after_gap
        try:
            self._adopt(follow(self.current, envelope))
        except TrustRootInvalid:
            return


def trust_root_part(record: LogRecord) -> tuple[int, bytes] | None:
    """Return version and envelope of a changelog record that holds a trust root."""
    version = (record.key or b"").removeprefix(_KEY)
    if not (record.key or b"").startswith(_KEY) or not version.isdigit() or len(version) > 19:
        return None
    try:
        return int(version), read_control_state(record.value or b"").body
    except WireError:
        return None
