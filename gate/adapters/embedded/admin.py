"""Makes the file and its topics, and reads how they stand."""

import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gate.adapters.embedded.file import connect, create, reading, writing
from gate.core.topics import PartitionStanding, SettingFound, TopicSpec, TopicStanding
from gate.errors import ConfigInvalid, Unreachable


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

    def standing(self, names: Sequence[str]) -> Mapping[str, TopicStanding | None]:
        """Follow the port: the file is every partition's one replica, and its reader may all.

        Raises `Unreachable`, `ConfigInvalid`.
        """
        if not self._path.exists():
            return dict.fromkeys(names)
        connection = connect(self._path, writable=False)
        try:
            with reading(self._path):
                rows = connection.execute(
                    "SELECT name, topic_id, partition_count, settings FROM topic"
                ).fetchall()
                found = {
                    name: TopicStanding(
                        topic_id=topic_id,
                        partitions=tuple(PartitionStanding(n, 1, 1, True) for n in range(count)),
                        settings={k: SettingFound(v, True) for k, v in json.loads(text).items()},
                    )
                    for name, topic_id, count, text in rows
                }
        finally:
            connection.close()
        return {name: found.get(name) for name in names}

    def alter_topic(self, name: str, settings: Mapping[str, str]) -> None:
        """Follow the port: they are kept, but only append time means anything here.

        Raises `ConfigInvalid`, `Unreachable`.
        """
        connection = connect(self._path, writable=True)
        try:
            with writing(connection, self._path, failure=Unreachable):
                row = connection.execute(
                    "SELECT settings FROM topic WHERE name = ?", (name,)
                ).fetchone()
                if row is None:
                    raise ConfigInvalid(f"topic `{name}` can not be altered: there is none")
                changed = {**json.loads(row[0]), **settings}
                connection.execute(
                    "UPDATE topic SET settings = ? WHERE name = ?",
                    (json.dumps(changed, sort_keys=True), name),
                )
        finally:
            connection.close()
