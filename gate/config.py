"""Configuration: `gate.toml`, then the environment, then flags; the later ones win.

    domain = "dev.example"
    gate = "gate"
    slot = "gate-0"
    [log]
    kind = "embedded"
    file = "log.sqlite"
    partitions = 4
    [state]
    folder = "state"
    [keys]
    checkpoint = "keys/checkpoint.key"
    lineage_secret = "keys/lineage.secret"
    [trust]
    root = "trust-root.json"
    [run]
    batch_records_max = 5000

An environment variable is `GATE_`, the section, two underscores, the key: `GATE_LOG__FILE`.
Relative paths, wherever they come from, are relative to the file's folder.

Promises: an unknown key, a missing one and a bad value are refused with file and line (or the
variable's or flag's name) and the cure; where each value came from can be told; secrets are named
by file only, never held.

Leaves to others: opening what is configured (`wiring`).
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

DEFAULT_FILE: Final = Path("gate.toml")
ENV_PREFIX: Final = "GATE_"
_DELIMITER: Final = "__"
_TYPO_RATIO: Final = 0.85
_FILE_BYTES_MAX: Final = 64 * 1024
_TABLE = re.compile(r"\s*\[([A-Za-z0-9_.\- ]+)\]")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\- ]+?)\s*=")


def _log_kind(kind: str) -> str:
    if kind == "kafka":
        raise ValueError("`embedded`: this version has no Kafka log yet")
    if kind != "embedded":
        raise ValueError("`embedded`")
    return kind


def _name(expected: str, length_max: int) -> Any:
    return Field(description=expected, pattern=_NAME, max_length=length_max)


_NAME: Final = r"^[A-Za-z0-9._-]+$"
_DOMAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_DOMAIN_EXPECTED: Final = (
    "1 to 80 ASCII letters, digits and `._-`, a letter or digit first, such as `acme.example`"
)


def check_domain(domain: str) -> str:
    """Return `domain` if it may be a gate's. Raises `ConfigInvalid` with the expected form."""
    if not _DOMAIN.fullmatch(domain):
        raise ConfigInvalid(f"domain: expected {_DOMAIN_EXPECTED}, got `{escaped(domain)}`")
    return domain


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _is_given(cls, value: object) -> object:
        if value == "":  # as a path it would mean the folder of the configuration
            raise PydanticCustomError("empty", "empty")
        return value


class LogConfig(_Section):
    """Where the topics are."""

    kind: Annotated[str, AfterValidator(_log_kind)] = Field(description="`embedded`")
    file: Path = Field(description="the embedded log's file")
    partitions: int = Field(
        default=4, ge=1, le=1024, description="an integer from 1 to 1024: fixed at the first start"
    )


class StateConfig(_Section):
    """Where the slot keeps its local state."""

    folder: Path = Field(description="a folder for the local state of this slot")


class KeysConfig(_Section):
    """Files of private keys and secrets, each of mode 600."""

    checkpoint: Path = Field(description="the file of the key that signs checkpoints")
    lineage_secret: Path = Field(description="the file of the lineage secret")


class TrustConfig(_Section):
    """What `gate init-lineage` puts in force."""

    root: Path = Field(description="the file of the signed first trust root")


class RunConfig(_Section):
    """How the gate works off its input."""

    batch_records_max: int = Field(
        default=5_000,
        ge=1,
        le=100_000,
        description="an integer from 1 to 100000: records decided in one transaction at most",
    )


class Config(BaseSettings):
    """A valid configuration; every path in it is absolute."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=_DELIMITER,
        case_sensitive=False,
    )

    domain: str = Field(description=_DOMAIN_EXPECTED, pattern=rf"^{_DOMAIN.pattern}$")
    gate: str = _name("1 to 48 ASCII letters, digits and `._-`: prefix of topics and group", 48)
    slot: str = _name("1 to 64 ASCII letters, digits and `._-`: this running place, kept", 64)
    log: LogConfig
    state: StateConfig
    keys: KeysConfig
    trust: TrustConfig
    run: RunConfig = RunConfig()

    @property
    def audience(self) -> str:
        """What requests and activations for this gate are addressed to."""
        return f"{self.domain}/{self.gate}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take flags first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        assert isinstance(init_settings, InitSettingsSource)
        given = dict(init_settings.init_kwargs)
        file = InitSettingsSource(settings_cls, init_kwargs=given.pop("file", {}))
        flags = InitSettingsSource(settings_cls, init_kwargs=given.pop("flags", {}))
        return flags, env_settings, file


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
        read = Config.model_validate({"file": from_file, "flags": _nested(sources.flags)})
    except ValidationError as error:
        faults = [sources.fault(item) for item in error.errors(include_url=False)]
        raise ConfigInvalid("\n".join(faults)) from error
    config = _absolute(read, file.absolute().parent)
    settings = tuple(
        Setting(name, str(value), sources.origin(name)) for name, value in flat(config.model_dump())
    )
    return Loaded(config, settings)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of nested mappings under its dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


class _Sources:
    """Knows where each value was given."""

    def __init__(
        self, file: Path, text: str, from_file: Mapping[str, Any], flags: dict[str, str]
    ) -> None:
        self._file = file
        self._from_file = dict(flat(from_file))
        self._lines = _lines(text)
        self._from_environment = dict(flat(EnvSettingsSource(Config)()))
        self.flags = flags

    def check_environment(self) -> None:
        """Refuse a variable that was meant for the gate and means nothing.

        Such is one with a section in it, or with a name close to a known one; others that only
        begin alike are somebody else's (Kubernetes makes `GATE_PORT` for a service `gate`).
        """
        known = {_variable(name) for name in _NAMES}
        for name in sorted(os.environ):
            upper = name.upper()
            if not upper.startswith(ENV_PREFIX) or upper in known:
                continue
            is_close = difflib.get_close_matches(upper, known, n=1, cutoff=_TYPO_RATIO)
            if _DELIMITER in upper or is_close:
                cure = _suggestion(upper, known)
                raise ConfigInvalid(f"environment: unknown variable `{escaped(name)}`{cure}")

    def origin(self, name: str) -> str:
        """Say where the value in force was given."""
        if name in self.flags:
            return f"flag --{name}"
        if name in self._from_environment:
            return f"environment {_variable(name)}"
        if name in self._from_file:
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
    if name in _SECTIONS:
        keys = ", ".join(key for key in _NAMES if key.startswith(name + "."))
        return f"a section `[{name}]` with {keys}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _NAMES.get(name, "another value")


def _suggestion(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f": did you mean `{close[0]}`" if close else ": remove it"


def _variable(name: str) -> str:
    return ENV_PREFIX + name.replace(".", _DELIMITER).upper()


def _nested(values: Mapping[str, str]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *sections, key = name.split(".")
        inner = nested
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return nested


def _absolute(config: Config, folder: Path) -> Config:
    def moved(section: _Section) -> Any:
        paths = {k: folder / v for k, v in section if isinstance(v, Path)}
        return section.model_copy(update=paths)

    sections = {name: moved(getattr(config, name)) for name in _SECTIONS}
    return config.model_copy(update=sections)


def _lines(text: str) -> dict[str, int]:
    """Return the line of each key under its dotted name; good enough for one-line values."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = header[1].strip() + "."
            lines.setdefault(header[1].strip(), number)
        elif key := _KEY.match(line):
            lines.setdefault(table + key[1].replace(" ", ""), number)
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
