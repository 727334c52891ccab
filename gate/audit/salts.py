"""Salts as they were recorded: what a replay takes as given when it has no lineage secret."""

from collections.abc import Mapping, Sequence

from gate.audit.recorded_leaves import RecordedLeaf
from gate.core.wire.schemas import ENTRY_DECISION, HEADER_BYTES, header
from gate.ports import LogRecord

_DECISION = header(ENTRY_DECISION)
_NO_SALT = bytes(16)
_DIGESTS_BYTES = 64
_SALT_BYTES = 16
_BLOCKS_MAX = 16
_NUMBER, _TEXT, _DIGEST = range(3)
_BLOCK = (
    *(_NUMBER, _TEXT, _TEXT, _TEXT, _NUMBER, _NUMBER, _TEXT, _NUMBER, _DIGEST),
    *(_TEXT, _TEXT, _NUMBER, _DIGEST),
)
"""Mode to policy_sha256 of `core.values.Decision`."""


class GivenSalts:
    """The salt of each record of the batch at hand, by input offset."""

    def __init__(self) -> None:
        self._salts: Mapping[int, bytes] = {}
        self._blocks: list[bytes] = []

    def give(self, records: Sequence[LogRecord], recorded: Sequence[RecordedLeaf]) -> None:
        """Take the salts of a batch from its recorded leaves, in the same order."""
        salts = {}
        for record, leaf in zip(records, recorded, strict=False):
            entry = leaf[0]
            if entry is not None and entry.startswith(_DECISION):
                try:
                    salts[record.offset] = self._salt(entry)
                except IndexError:
                    continue  # cut short: it differs from any decision, whatever its salt
        self._salts = salts

    def __call__(self, input_offset: int) -> bytes:
        """Return the salt recorded for this offset, zeros where there is none."""
        return self._salts.get(input_offset, _NO_SALT)

    def _salt(self, entry: bytes) -> bytes:
        """Cut the salt out of a Decision without reading it whole."""
        for block in self._blocks:
            if entry.startswith(block):
                position = len(block)
                break
        else:
            position = _block_end(entry)
            if len(self._blocks) < _BLOCKS_MAX:
                self._blocks.insert(0, entry[:position])
        for _ in range(3):  # input_offset, prev_input_offset, input_time_ms
            while entry[position] & 0x80:
                position += 1
            position += 1
        position += _DIGESTS_BYTES
        salt = entry[position : position + _SALT_BYTES]
        return salt if len(salt) == _SALT_BYTES else _NO_SALT


def _block_end(entry: bytes) -> int:
    position = HEADER_BYTES
    for kind in _BLOCK:
        if kind == _DIGEST:
            position += 32
            continue
        number = shift = 0
        while entry[position] & 0x80:
            number |= (entry[position] & 0x7F) << shift
            shift += 7
            position += 1
        number |= entry[position] << shift
        position += 1
        if kind == _TEXT:
            position += number >> 1
    return position
