"""The values of a configuration, their bounds, and what each is for."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

ENV_PREFIX: Final = "GATE_"
DELIMITER: Final = "__"
BOOTSTRAP_SERVERS: Final = "bootstrap.servers"
_NAME: Final = r"^[A-Za-z0-9._-]+$"
_GATE_LENGTH_MAX: Final = 48
_GATE_EXPECTED: Final = (
    f"1 to {_GATE_LENGTH_MAX} ASCII letters, digits and `._-`: prefix of topics and group"
)
_DOMAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_DOMAIN_EXPECTED: Final = (
    "1 to 80 ASCII letters, digits and `._-`, a letter or digit first, such as `acme.example`"
)
_WITH_UNDERSCORE: Final = frozenset({"log_level"})


def check_domain(domain: str) -> str:
    """Return `domain` if it may be a gate's. Raises `ConfigInvalid` with the expected form."""
    if not _DOMAIN.fullmatch(domain):
        raise ConfigInvalid(f"domain: expected {_DOMAIN_EXPECTED}, got `{escaped(domain)}`")
    return domain


def check_gate_name(gate: str) -> str:
    """Return `gate` if a gate may be called so. Raises `ConfigInvalid` with the expected form."""
    if len(gate) > _GATE_LENGTH_MAX or not re.fullmatch(_NAME, gate):
        raise ConfigInvalid(f"gate: expected {_GATE_EXPECTED}, got `{escaped(gate)}`")
    return gate


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of nested mappings under its dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def kafka_name(name: str) -> str:
    """Return a Kafka property's own name; in a variable its dots are underscores."""
    return name if name in _WITH_UNDERSCORE else name.replace("_", ".")


def _kafka(values: object) -> object:
    if not isinstance(values, Mapping):
        return values
    return {kafka_name(name): _text(value) for name, value in flat(values)}


def _text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


KafkaProperties = Annotated[dict[str, str], BeforeValidator(_kafka)]
"""The client's properties by their own names; quoted or dotted in the file. May hold secrets."""


def _name(expected: str, length_max: int) -> Any:
    return Field(description=expected, pattern=_NAME, max_length=length_max)


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

    kind: Literal["embedded", "kafka"] = Field(description="`embedded` or `kafka`")
    file: Path | None = Field(
        default=None, validate_default=True, description="the embedded log's file"
    )
    partitions: int = Field(
        default=4, ge=1, le=1024, description="an integer from 1 to 1024: fixed at the first start"
    )

    @field_validator("file")
    @classmethod
    def _is_of_this_kind(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        kind = info.data.get("kind")
        if kind == "embedded" and file is None:
            raise PydanticCustomError("missing", "missing")
        if kind == "kafka" and file is not None:
            raise ValueError("no file where `log.kind` is `kafka`: remove it")
        return file


class StateConfig(_Section):
    """Where the local state is kept."""

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
        le=20_000,  # a lineage record has 32 bytes a leaf, and a producer sends 1,000,000 at most
        description="an integer from 1 to 20000: records decided in one transaction at most",
    )


class HealthConfig(_Section):
    """Where `/livez`, `/readyz` and `/metrics` are answered; without a port nowhere."""

    address: str = Field(
        default="127.0.0.1",
        pattern=r"^[0-9A-Fa-f.:]{2,45}$",
        description="an IP address of this machine, `0.0.0.0` or `::` for all",
    )
    port: int | None = Field(
        default=None, ge=1, le=65_535, description="an integer from 1 to 65535"
    )


class Config(BaseSettings):
    """A valid configuration; every path in it is absolute."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=DELIMITER,
        case_sensitive=False,
    )

    domain: str = Field(description=_DOMAIN_EXPECTED, pattern=rf"^{_DOMAIN.pattern}$")
    gate: str = _name(_GATE_EXPECTED, _GATE_LENGTH_MAX)
    slot: str = _name("1 to 64 ASCII letters, digits and `._-`: this running place, kept", 64)
    insecure_dev: bool = Field(
        default=False, description="`true` or `false`: topics of one replica will do"
    )
    log: LogConfig
    kafka: KafkaProperties = Field(
        default={},
        validate_default=True,
        repr=False,
        description="a section `[kafka]` with the client's properties, at least "
        f'`"{BOOTSTRAP_SERVERS}" = "host:port"`',
    )
    state: StateConfig
    keys: KeysConfig
    trust: TrustConfig
    run: RunConfig = RunConfig()
    health: HealthConfig = HealthConfig()

    @field_validator("kafka")
    @classmethod
    def _is_of_this_log(cls, kafka: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        kind = info.data["log"].kind if "log" in info.data else None
        if kind == "kafka" and not kafka.get(BOOTSTRAP_SERVERS):
            raise PydanticCustomError("missing", "missing")
        if kind == "embedded" and kafka:
            raise ValueError("no section `[kafka]` where `log.kind` is `embedded`: remove it")
        return kafka

    @property
    def audience(self) -> str:
        """What requests and activations for this gate are addressed to."""
        return f"{self.domain}/{self.gate}"

    @property
    def state_folder(self) -> Path:
        """The folder of this slot's stores: on Kafka several slots may share `state.folder`."""
        return self.state.folder / self.slot if self.log.kind == "kafka" else self.state.folder

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
