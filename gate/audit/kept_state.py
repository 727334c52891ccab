"""Where an audit or a replay stood, kept in files, so that one that was cut goes on from there.

Two files: `FILE`, one JSON object, replaced whole, and `FILE.keys` beside it, which only grows:
what is remembered of each approved key. The first says how many bytes of the second it vouches
for, and their digest; what was written beyond them by a run that was killed is cut off again.
`FILE` carries a digest of itself against damage, not against its owner: it is the auditor's own.

Promises: whatever moment the process is killed at, the files hold one of the states that were
kept; a file of another kind, form, gate or lineage is refused, never half believed.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from gate.errors import ConfigInvalid, Unreachable

FORMAT: Final = 1
_CUT = "delete it and `{keys}`, and begin anew"


class Values:
    """A JSON object of a state, read strictly. Raises `ConfigInvalid` for anything unexpected."""

    def __init__(self, values: object, name: str) -> None:
        if not isinstance(values, dict):
            raise ConfigInvalid(f"resume file: expected an object at `{name}`")
        self.values: Mapping[str, Any] = values
        self._name = name

    def number(self, name: str) -> int:
        """Return a whole number."""
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._missing(name, "a number")
        return value

    def optional_number(self, name: str) -> int | None:
        """Return a whole number, or `None` where null stands."""
        return None if self.values.get(name, "") is None else self.number(name)

    def text(self, name: str) -> str:
        """Return a text."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self._missing(name, "a text")
        return value

    def data(self, name: str) -> bytes:
        """Return bytes, written as hexadecimal digits."""
        try:
            return bytes.fromhex(self.text(name))
        except ValueError as error:
            raise self._missing(name, "hexadecimal digits") from error

    def part(self, name: str) -> "Values":
        """Return an object inside."""
        return Values(self.values.get(name), f"{self._name}.{name}")

    def numbers(self, name: str) -> dict[str, int]:
        """Return an object of numbers."""
        part = self.part(name)
        return {key: part.number(key) for key in part.values}

    def texts(self, name: str) -> dict[str, str]:
        """Return an object of texts."""
        part = self.part(name)
        return {key: part.text(key) for key in part.values}

    def items(self, name: str) -> list[Any]:
        """Return a list."""
        value = self.values.get(name)
        if not isinstance(value, list):
            raise self._missing(name, "a list")
        return value

    def _missing(self, name: str, what: str) -> ConfigInvalid:
        return ConfigInvalid(f"resume file: expected {what} at `{self._name}.{name}`")


class Restorable(Protocol):
    """Says where it stands, and stands where another one stood."""

    def state(self) -> dict[str, object]:
        """Return what `restore` needs; JSON."""

    def restore(self, kept: Values) -> None:
        """Stand where another one stood. Raises `ConfigInvalid`."""


class Kept(NamedTuple):
    """A state as it was kept: what it is of, where its partitions stood, and its keys."""

    partitions: Mapping[int, Values]
    shared: Values
    keys: bytes


class Recorder(Protocol):
    """Keeps where an audit or a replay stands, whenever it likes."""

    def kept(self) -> Kept | None:
        """Return where the one that was cut stood, `None` to begin anew."""

    def is_due(self) -> bool:
        """Say whether to keep the present state."""

    def keep(
        self, partitions: Mapping[int, object], shared: Mapping[str, object], added: bytes
    ) -> None:
        """Keep a state, of each partition the newest; `added` are the keys since the last one."""


class StateFile:
    """The two files of one audit or replay.

    `subject` is what the state is of: kind, topic ids and options. A file of another is refused.
    """

    def __init__(self, path: Path, subject: Mapping[str, object]) -> None:
        """Touch nothing yet."""
        self._path = path
        self._keys = path.with_name(f"{path.name}.keys")
        self._subject = {"format": FORMAT, **subject}
        self._size = 0
        self._digest = hashlib.sha256()

    def load(self) -> Kept | None:
        """Return what was kept, `None` where there is no file yet. Raises `ConfigInvalid`."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigInvalid(self._failed("can not be read", error)) from error
        state = self._opened(data)
        subject = state.part("subject").values
        for name, expected in self._subject.items():
            if subject.get(name) != expected:
                raise ConfigInvalid(
                    f"resume file `{self._path}` is of another {name.replace('_', ' ')}: expected "
                    f"`{_shown(expected)}`, found `{_shown(subject.get(name))}`: name another file"
                )
        keys = self._read_keys(state.number("keys_bytes"), state.text("keys_sha256"))
        partitions = state.part("partitions")
        return Kept(
            {int(name): partitions.part(name) for name in partitions.values if name.isdigit()},
            state.part("shared"),
            keys,
        )

    def save(
        self, partitions: Mapping[int, object], shared: Mapping[str, object], added: bytes
    ) -> None:
        """Keep a state; `added` are the keys since the last one. Raises `Unreachable`."""
        state: dict[str, object] = {
            "subject": self._subject,
            "partitions": {str(number): value for number, value in partitions.items()},
            "shared": shared,
        }
        try:
            if added or not self._keys.exists():
                self._append(added)
            self._digest.update(added)
            self._size += len(added)
            state["keys_bytes"] = self._size
            state["keys_sha256"] = self._digest.hexdigest()
            text = _written(state)
            whole = _written({"state": state, "sha256": hashlib.sha256(text).hexdigest()})
            beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            with beside.open("wb") as file:
                file.write(whole + b"\n")
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            raise Unreachable(self._failed("can not be written", error)) from error

    def _append(self, added: bytes) -> None:
        with self._keys.open("r+b" if self._keys.exists() else "wb") as file:
            file.truncate(self._size)  # a run that was killed may have written more
            file.seek(self._size)
            file.write(added)
            file.flush()
            os.fsync(file.fileno())

    def _opened(self, data: bytes) -> Values:
        try:
            whole = Values(json.loads(data), "file")
            state = whole.part("state")
            digest = hashlib.sha256(_written(state.values)).hexdigest()
        except (ValueError, RecursionError) as error:
            raise ConfigInvalid(self._damaged("it is no JSON")) from error
        if whole.text("sha256") != digest:
            raise ConfigInvalid(self._damaged("its digest is not the one that it names"))
        return state

    def _read_keys(self, size: int, digest: str) -> bytes:
        try:
            with self._keys.open("rb") as file:
                keys = file.read(max(size, 0))
        except OSError as error:
            raise ConfigInvalid(self._failed("can not be read with its keys", error)) from error
        self._digest = hashlib.sha256(keys)
        self._size = len(keys)
        if (self._size, self._digest.hexdigest()) != (size, digest):
            raise ConfigInvalid(self._damaged(f"`{self._keys}` is not what it vouches for"))
        return keys

    def _damaged(self, text: str) -> str:
        return f"resume file `{self._path}` is damaged: {text}: {_CUT.format(keys=self._keys)}"

    def _failed(self, what: str, error: OSError) -> str:
        return f"resume file `{self._path}` {what}: {(error.strerror or '').lower()}"


def _written(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
