"""Reads the client library's opaque group metadata: generation and member id.

A broker checks nothing for generation -1 with an empty member id, so the gate must see both. The
layout is librdkafka's own; an unknown one is refused, never skipped.
"""

import struct
from typing import Final

from gate.errors import ConfigInvalid
from gate.ports import GroupIdentity

_MAGIC: Final = b"CGMDv2:"
_GENERATION: Final = struct.Struct("=i")


def read_membership(token: bytes, group_id: str) -> GroupIdentity:
    """Return the membership in `token`. Raises `ConfigInvalid` for a layout not known here."""
    start = len(_MAGIC) + _GENERATION.size
    found = token[start:].split(b"\x00", 2)
    if token[: len(_MAGIC)] != _MAGIC or len(found) != 3 or found[0] != group_id.encode():
        raise ConfigInvalid(
            f"group metadata of the Kafka client has an unknown layout: expected "
            f"`{_MAGIC.decode()}` and group `{group_id}`; install the version of confluent-kafka "
            "that this gate was built with"
        )
    (generation,) = _GENERATION.unpack_from(token, len(_MAGIC))
    return GroupIdentity(
        group_id=group_id,
        generation=generation,
        member_id=found[1].decode("utf-8", "replace"),
        token=token,
    )
