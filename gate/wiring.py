"""Wiring: builds the adapters that a configuration names and hands them to what uses the ports.

Promises: everything that was opened is closed when its `with` block ends, and nothing of a secret
leaves an adapter. Decides nothing; which adapter stands behind a port is known only here.
"""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from gate.adapters import keyfile, manifest
from gate.adapters.clock import SystemClock
from gate.adapters.embedded import (
    EmbeddedAdmin,
    EmbeddedInput,
    EmbeddedOutput,
    EmbeddedPublisher,
    EmbeddedReader,
    Seat,
)
from gate.adapters.judging import JudgingFile
from gate.adapters.rocksdb import RocksStateStore
from gate.adapters.telemetry import LogTelemetry
from gate.config import Config, check_domain
from gate.core import dsse, jcs
from gate.core.limits import CONTROL_BYTES_MAX
from gate.core.signature import key_id
from gate.core.state import LineageKeys, derive_keys
from gate.core.topics import Topics, topics_of, transactional_id
from gate.core.trust import FORMAT as TRUST_ROOT_FORMAT
from gate.core.trust import TrustRoot, TrustRootInvalid, verify_first
from gate.errors import ConfigInvalid
from gate.ports import Clock, LogReader, Publisher, Signer, Telemetry
from gate.runtime.first_start import Beginning, FirstStart, init_lineage, topic_specs
from gate.runtime.loop import Gate
from gate.runtime.settings import GateSettings, Ports

_DEVELOPMENT_DAYS = 3650
_GATE_TOML = """\
# A gate for development on one machine: every private key of this folder lies beside it.
domain = "{domain}"
gate = "gate"        # prefix of topics, and the consumer group
slot = "gate-0"      # this running place

[log]
kind = "embedded"
file = "log.sqlite"
partitions = 4       # fixed at the first start

[state]
folder = "state"

[keys]
checkpoint = "keys/checkpoint.key"
lineage_secret = "keys/lineage.secret"

[trust]
root = "trust-root.json"
"""
DEVELOPMENT_GATE: Final = "gate"
DEVELOPMENT_ISSUERS: Final = {
    "credit-bureau": "issuer",
    "kyc-service": "issuer-kyc-service",
    "core-banking": "issuer-core-banking",
}
"""The name of each issuer's key file in a development set."""
_DEVELOPMENT_KEYS: Final = (
    *("root-1", "root-2", "root-3", "author", "activator-1", "activator-2"),
    *("operator-1", "operator-2", "requester", *DEVELOPMENT_ISSUERS.values(), "checkpoint"),
)


class FirstRoot(NamedTuple):
    """The configured first trust root, verified, and its envelope as it is in the file."""

    root: TrustRoot
    envelope: bytes


def clock() -> Clock:
    """Return the system's clock."""
    return SystemClock()


def telemetry(config: Config) -> Telemetry:
    """Return what writes events as JSON lines on stderr."""
    return LogTelemetry(slot=config.slot)


def topics(config: Config) -> Topics:
    """Return the names of the gate's topics."""
    return topics_of(config.gate)


def signer(key_file: Path) -> Signer:
    """Return the signer of a private key file. Raises `ConfigInvalid`."""
    return keyfile.FileSigner(key_file)


def checkpoint_signer(config: Config) -> Signer:
    """Return the signer of checkpoints. Raises `ConfigInvalid`."""
    _check_there(config.keys.checkpoint, "checkpoint key")
    return signer(config.keys.checkpoint)


def lineage_keys(config: Config) -> LineageKeys:
    """Return the keys derived from the configured lineage secret. Raises `ConfigInvalid`."""
    _check_there(config.keys.lineage_secret, "lineage secret")
    return derive_keys(keyfile.read_secret(config.keys.lineage_secret))


def _check_there(file: Path, what: str) -> None:
    if not os.path.lexists(file):
        raise ConfigInvalid(
            f"{what} `{file}` does not exist: copy it from another node of this gate or from a "
            "backup; `gate init` makes one for a new gate only"
        )


def check_state_folder(config: Config) -> None:
    """Raise `ConfigInvalid` when the state folder is something else."""
    folder = config.state.folder
    if folder.exists() and not folder.is_dir():
        raise ConfigInvalid(
            f"`state.folder`: expected a folder, got the file `{folder}`: name another"
        )


def create_key(key_file: Path) -> bytes:
    """Make a private key file of mode 600 and return the public key. Raises `ConfigInvalid`."""
    return keyfile.create_key(key_file)


def create_secret(secret_file: Path) -> None:
    """Make a lineage secret file of mode 600. Raises `ConfigInvalid`."""
    keyfile.create_secret(secret_file)


def runtime_manifest() -> bytes:
    """Return the manifest of the gate that is running, as canonical JSON."""
    return manifest.runtime_manifest()


def runtime_line() -> str:
    """Return the line that stands in every checkpoint for `runtime_manifest`."""
    return manifest.runtime_line()


def package_version() -> str:
    """Return the version of the gate that is running."""
    return manifest.package_version()


def first_root(config: Config) -> FirstRoot:
    """Return the configured first trust root. Raises `ConfigInvalid`."""
    path = config.trust.root
    try:
        with path.open("rb") as file:
            envelope = file.read(CONTROL_BYTES_MAX + 1)
        return FirstRoot(verify_first(envelope), envelope)
    except OSError as error:
        raise ConfigInvalid(
            f"trust root `{path}` can not be read: {(error.strerror or '').lower()}"
        ) from error
    except TrustRootInvalid as error:
        raise ConfigInvalid(f"trust root `{path}`: {error}") from error


@contextmanager
def open_reader(config: Config) -> Iterator[LogReader]:
    """Open the log for reading, also beside a running gate. Raises `ConfigInvalid`."""
    with closing(EmbeddedReader(config.log.file)) as opened:
        yield opened


@contextmanager
def open_publisher(config: Config) -> Iterator[Publisher]:
    """Open the log for publishing, also beside a running gate. Raises `ConfigInvalid`."""
    with closing(EmbeddedPublisher(config.log.file, SystemClock())) as opened:
        yield opened


def create_topics(config: Config) -> None:
    """Make the gate's topics where they are missing. Raises `ConfigInvalid`, `Unreachable`."""
    specs = topic_specs(topics(config), config.log.partitions)
    EmbeddedAdmin(config.log.file).create_topics(specs)


def begin_lineage(config: Config, beginning: Beginning) -> int:
    """Make the topics and write Genesis and trust root; return the partition count.

    Raises `ConfigInvalid` when this is no first start, or something configured is wrong.
    """
    keys, first = lineage_keys(config), first_root(config)
    checkpoint = checkpoint_signer(config)
    _check_no_state(config)
    create_topics(config)
    with open_reader(config) as log, open_publisher(config) as publisher:
        return init_lineage(
            FirstStart(
                domain=config.domain,
                gate=config.gate,
                topics=topics(config),
                keys=keys,
                root=first.root,
                root_envelope=first.envelope,
                runtime_line=runtime_line(),
                beginning=beginning,
            ),
            reader=log,
            publisher=publisher,
            signer=checkpoint,
            clock=SystemClock(),
        )


def prepare_process() -> None:
    """Tame the collector for a process that decides: batches make many short-lived values.

    What is loaded now is never looked at again; measured to save about 8 % of a decision.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _check_no_state(config: Config) -> None:
    """A state folder in use remembers approvals of a lineage: a new one would forget them."""
    folder = config.state.folder
    if folder.is_dir() and any(entry.name.isdigit() for entry in folder.iterdir()):
        raise ConfigInvalid(
            f"state folder `{folder}` remembers the approvals of a lineage: restore its log from "
            "a copy; for a new gate name an empty folder"
        )


@contextmanager
def open_gate(config: Config, told: Telemetry) -> Iterator[Gate]:
    """Build the slot's gate; `told` takes its events. Raises `ConfigInvalid`."""
    check_state_folder(config)
    names, file, now = topics(config), config.log.file, SystemClock()
    settings = GateSettings(
        domain=config.domain,
        gate=config.gate,
        topics=names,
        keys=lineage_keys(config),
        runtime_line=runtime_line(),
        batch_records_max=config.run.batch_records_max,
    )
    checkpoint, seat = checkpoint_signer(config), Seat(file, now)
    with (
        ExitStack() as stack,
        closing(EmbeddedReader(file)) as log,
        closing(
            EmbeddedInput(file, seat=seat, group_id=config.gate, topic=names.requests, clock=now)
        ) as requests,
        closing(
            EmbeddedOutput(
                file,
                seat=seat,
                transactional_id=transactional_id(config.gate, config.slot),
                input_topic=names.requests,
                clock=now,
            )
        ) as output,
    ):
        seat.take(seat)  # before anything in the state folder is touched
        stack.callback(seat.release, seat)
        yield Gate(
            settings=settings,
            ports=Ports(
                input=requests,
                output=output,
                reader=log,
                stores=RocksStateStore(config.state.folder),
                signer=checkpoint,
                judging=JudgingFile(config.state.folder, _partition_count(log, names, config)),
                clock=now,
                telemetry=told,
            ),
        )


def _partition_count(log: LogReader, names: Topics, config: Config) -> int:
    found = log.topic(names.requests)
    return config.log.partitions if found is None else found.partition_count


def create_development_set(folder: Path, *, domain: str, now_ms: int) -> None:
    """Make keys, lineage secret, signed trust root and `gate.toml` in an empty or absent folder.

    Everything lies together, which is good for development only. The trust root expires after ten
    years. Raises `ConfigInvalid` when the folder holds anything, or can not be made.
    """
    check_domain(domain)
    keys = folder / "keys"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigInvalid(f"folder `{folder}` is not empty: name a new one")
        keys.mkdir(mode=0o700)
    except OSError as error:
        raise ConfigInvalid(
            f"folder `{folder}` can not be made: {(error.strerror or '').lower()}"
        ) from error
    public = {name: create_key(keys / f"{name}.key") for name in _DEVELOPMENT_KEYS}
    create_secret(keys / "lineage.secret")
    payload = jcs.canonical(_development_root(public, domain, now_ms))
    message = dsse.pae(dsse.TRUST_ROOT, payload)
    signatures = tuple(
        (key_id(public[name]), signer(keys / f"{name}.key").sign(message))
        for name in ("root-1", "root-2")
    )
    envelope = dsse.encode_envelope(dsse.Envelope(dsse.TRUST_ROOT, payload, signatures))
    verify_first(envelope)
    (folder / "trust-root.json").write_bytes(envelope)
    (folder / "gate.toml").write_text(_GATE_TOML.format(domain=domain))


def _development_root(public: Mapping[str, bytes], domain: str, now_ms: int) -> dict[str, object]:
    def key(name: str, **more: object) -> dict[str, object]:
        return {"holder": name, "key": public[name].hex(), **more}

    every, active = ["*"], {"status": "active"}
    return {
        "checkpoint_keys": [
            {
                "key": public["checkpoint"].hex(),
                "origins": [f"{domain}/{DEVELOPMENT_GATE}/"],
                **active,
            }
        ],
        "domain": domain,
        "expires_ms": now_ms + _DEVELOPMENT_DAYS * 86_400_000,
        "format": TRUST_ROOT_FORMAT,
        "issued_ms": now_ms,
        "pins": [],
        "previous": None,
        "roles": {
            "operator": {
                "keys": [key(f"operator-{n}", gates=every, **active) for n in (1, 2)],
                "threshold": 2,
            },
            "policy_activator": {
                "keys": [
                    key(f"activator-{n}", gates=every, policies=every, **active) for n in (1, 2)
                ],
                "threshold": 2,
            },
            "policy_author": {
                "keys": [key("author", policies=every, **active)],
                "threshold": 1,
            },
            "requester": [key("requester", actors=every, **active)],
            "signal_issuer": [
                key(name, issuer=issuer, signals=every, **active)
                for issuer, name in DEVELOPMENT_ISSUERS.items()
            ],
        },
        "root": {"keys": [key(f"root-{n}") for n in (1, 2, 3)], "threshold": 2},
        "version": 1,
    }
