"""Makes the file and its topics."""

import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from gate.adapters.embedded.file import connect, create, writing
from gate.errors import Unreachable
from gate.ports import TopicSpec


def _random_id() -> str:
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


class EmbeddedAdmin:
    """Implements `gate.ports.Admin`; makes the file when it is not there."""

    def __init__(self, path: Path, make_id: Callable[[], str] = _random_id) -> None:
        """Remember where; `make_id` returns a UUID that was never used before."""
        self._path = path
        self._make_id = make_id

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Follow the port; all or none. Raises `ConfigInvalid`, `Unreachable`."""
        create(self._path, self._make_id())
        connection = connect(self._path, writable=True)
        try:
            with writing(connection, self._path, failure=Unreachable):
                for spec in specs:
                    settings = json.dumps(dict(spec.settings), sort_keys=True)
                    row = connection.execute(
                        "INSERT INTO topic (name, topic_id, partition_count, settings)"
                        " VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
                        (spec.name, self._make_id(), spec.partition_count, settings),
                    ).fetchone()
                    if row is not None:
                        connection.executemany(
                            "INSERT INTO partition (topic, number, first_offset, next_offset)"
                            " VALUES (?, ?, 0, 0)",
                            [(row[0], number) for number in range(spec.partition_count)],
                        )
        finally:
            connection.close()
