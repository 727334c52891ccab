"""Where the values of a configuration come from, and what is wrong with them and where."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource

from gate.config.model import DELIMITER, ENV_PREFIX, Config, flat, kafka_name
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

DEFAULT_FILE: Final = Path("gate.toml")
_KAFKA: Final = "kafka."
_KAFKA_VARIABLE: Final = f"{ENV_PREFIX}KAFKA{DELIMITER}"
_SECRET = re.compile(r"password|secret|\.pem$|jaas|sasl\.oauthbearer\.config|token")
_TYPO_RATIO: Final = 0.85
_FILE_BYTES_MAX: Final = 64 * 1024
_TABLE = re.compile(r"\s*\[([A-Za-z0-9_.\- ]+)\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\- \"']+?)\s*=")


class Setting(NamedTuple):
    """One value in force, and where it came from: a file and line, a variable, a flag, default."""

    name: str
    value: str
    origin: str


class Loaded(NamedTuple):
    """A configuration, and each of its values with its origin."""

    config: Config
    settings: tuple[Setting, ...]


def load_config(file: Path, flags: Mapping[str, str] | None = None) -> Loaded:
    """Read the configuration. `flags` are values by dotted name, such as `slot`.

    Raises `ConfigInvalid` with every fault found, each with its place and cure.
    """
    text = _read(file)
    try:
        from_file = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(file, error) from error
    sources = _Sources(file, text, from_file, dict(flags or {}))
    sources.check_environment()
    try:
        read = Config.model_validate(
            {"file": _nested(sources.from_file), "flags": _nested(sources.flags)}
        )
    except ValidationError as error:
        faults = [sources.fault(item) for item in error.errors(include_url=False)]
        raise ConfigInvalid("\n".join(faults)) from error
    config = _absolute(read, file.absolute().parent)
    settings = tuple(
        Setting(name, "***" if _SECRET.search(name) else str(value), sources.origin(name))
        for name, value in flat(config.model_dump())
        if value is not None
    )
    return Loaded(config, settings)


class _Sources:
    """Knows where each value was given."""

    def __init__(
        self, file: Path, text: str, from_file: Mapping[str, Any], flags: dict[str, str]
    ) -> None:
        self._file = file
        self.from_file = dict(flat(from_file))
        self._lines = _lines(text)
        self._from_environment = {
            _KAFKA + kafka_name(name.removeprefix(_KAFKA))
            if name.startswith(_KAFKA)
            else name: value
            for name, value in flat(EnvSettingsSource(Config)())
        }
        self.flags = flags

    def check_environment(self) -> None:
        """Refuse a variable that was meant for the gate and means nothing.

        Such is one with a section in it, or with a name close to a known one; others that only
        begin alike are somebody else's (Kubernetes makes `GATE_PORT` for a service `gate`).
        """
        known = {_variable(name) for name in _NAMES}
        for name in sorted(os.environ):
            upper = name.upper()
            is_kafka = upper.startswith(_KAFKA_VARIABLE)
            if not upper.startswith(ENV_PREFIX) or upper in known or is_kafka:
                continue
            is_close = difflib.get_close_matches(upper, known, n=1, cutoff=_TYPO_RATIO)
            if DELIMITER in upper or is_close:
                cure = _suggestion(upper, known)
                raise ConfigInvalid(f"environment: unknown variable `{escaped(name)}`{cure}")

    def origin(self, name: str) -> str:
        """Say where the value in force was given."""
        if name in self.flags:
            return f"flag --{name}"
        if name in self._from_environment:
            return f"environment {_variable(name)}"
        if name in self.from_file:
            return f"{self._file}:{self._line(name)}"
        return "default"

    def fault(self, error: Any) -> str:
        """Render one of pydantic's findings."""
        name = ".".join(str(step) for step in error["loc"])
        if error["type"] == "extra_forbidden":
            known = [*_NAMES, *_SECTIONS]
            return f"{self._place(name)}: unknown key `{escaped(name)}`{_suggestion(name, known)}"
        expected = _expected(name, error)
        if error["type"] == "missing":
            return f"{self._file}: key `{name}` is missing: expected {expected}"
        if name.split(".")[0] == "kafka":  # there may be secrets in it
            return f"{self._place(name)}: `{name}`: expected {expected}"
        got = escaped(str(error["input"]))
        return f"{self._place(name)}: `{name}`: expected {expected}, got `{got}`"

    def _place(self, name: str) -> str:
        origin = self.origin(name)
        return f"{self._file}:{self._line(name)}" if origin == "default" else origin

    def _line(self, name: str) -> int:
        inside = [line for key, line in self._lines.items() if key.startswith(name + ".")]
        return self._lines.get(name) or min(inside, default=1)


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field.description or ""


_NAMES: Final = dict(_fields(Config))
_SECTIONS: Final = tuple(dict.fromkeys(name.split(".")[0] for name in _NAMES if "." in name))


def _expected(name: str, error: Any) -> str:
    if name in _SECTIONS and error["type"] != "value_error":
        keys = ", ".join(key for key in _NAMES if key.startswith(name + "."))
        return f"a section `[{name}]` with {keys}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _NAMES.get(name, "another value")


def _suggestion(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f": did you mean `{close[0]}`" if close else ": remove it"


def _variable(name: str) -> str:
    if name.startswith(_KAFKA):
        return _KAFKA_VARIABLE + name.removeprefix(_KAFKA).replace(".", "_").upper()
    return ENV_PREFIX + name.replace(".", DELIMITER).upper()


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections of what has dotted names; a Kafka property is spelt as in a variable.

    Two sources are merged by name, so both must spell alike.
    """
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *sections, key = name.split(".")
        if name.startswith(_KAFKA):
            sections, key = ["kafka"], name.removeprefix(_KAFKA).replace(".", "_")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return nested


def _absolute(config: Config, folder: Path) -> Config:
    def moved(section: BaseModel) -> BaseModel:
        paths = {k: folder / v for k, v in section if isinstance(v, Path)}
        return section.model_copy(update=paths)

    sections: dict[str, object] = {name: moved(getattr(config, name)) for name in _SECTIONS}
    kafka = {
        name: str(folder / value) if name.endswith(".location") else value
        for name, value in config.kafka.items()
    }
    return config.model_copy(update={**sections, "kafka": kafka})


def _lines(text: str) -> dict[str, int]:
    """Return the line of each key under its dotted name; good enough for one-line values."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = header[1].strip() + "."
            lines.setdefault(header[1].strip(), number)
        elif key := _KEY.match(line):
            lines.setdefault(table + re.sub(r"[ \"']", "", key[1]), number)
    return lines


def _not_toml(file: Path, error: tomllib.TOMLDecodeError) -> ConfigInvalid:
    text, _, place = str(error).partition(" (at line ")
    line, _, column = place.rstrip(")").partition(", column ")
    where = f":{line}:{column}" if column else ""
    return ConfigInvalid(f"{file}{where}: not TOML: {text[:1].lower()}{text[1:]}")


def _read(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise ConfigInvalid(
            f"configuration `{file}` can not be read: {(error.strerror or '').lower()}: "
            "make one with `gate init DIR`, or name it with --config"
        ) from error
    if len(raw) > _FILE_BYTES_MAX:
        raise ConfigInvalid(f"configuration `{file}`: expected at most {_FILE_BYTES_MAX} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"configuration `{file}`: not UTF-8 at byte {error.start}") from error
