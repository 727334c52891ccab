"""A development set: keys, secret, trust root and `gate.toml` in one folder."""

import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from gate.adapters.kafka import Connection, KafkaReader
from gate.config import check_domain, check_gate_name
from gate.core import dsse, jcs
from gate.core.signature import key_id
from gate.core.trust import FORMAT as TRUST_ROOT_FORMAT
from gate.core.trust import verify_first
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid
from gate.wiring.identities import create_key, create_secret, signer

_DEVELOPMENT_DAYS = 3650
_GATE_TOML = """\
# A gate for development on one machine: every private key of this folder lies beside it.
domain = "{domain}"
gate = "{gate}"        # prefix of topics, and the consumer group
slot = "gate-0"      # this running place
{more}
{log}
[state]
folder = "state"

[keys]
checkpoint = "keys/checkpoint.key"
lineage_secret = "keys/lineage.secret"

[trust]
root = "trust-root.json"
"""
_EMBEDDED = """\
[log]
kind = "embedded"
file = "log.sqlite"
partitions = 4       # fixed at the first start
"""
_KAFKA = """\
[log]
kind = "kafka"
partitions = 6       # of every topic, fixed when `gate topics apply` makes them

[kafka]              # the client's own properties; security.protocol, sasl.* and ssl.* too
"bootstrap.servers" = "{servers}"
"""
_ADDRESSES: Final = re.compile(r"[A-Za-z0-9._:,\[\]-]{1,1000}")
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


def create_development_set(
    folder: Path,
    *,
    domain: str,
    now_ms: int,
    gate: str = DEVELOPMENT_GATE,
    bootstrap_servers: str | None = None,
) -> None:
    """Make keys, lineage secret, signed trust root and `gate.toml` in an empty or absent folder.

    Everything lies together, which is good for development only. The trust root expires after ten
    years. The log is embedded, or on the Kafka that is named. Raises `ConfigInvalid` when the
    folder holds anything, or can not be made.
    """
    check_domain(domain)
    check_gate_name(gate)
    configuration = _configuration(domain, gate, bootstrap_servers)
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
    payload = jcs.canonical(_development_root(public, domain, gate, now_ms))
    message = dsse.pae(dsse.TRUST_ROOT, payload)
    signatures = tuple(
        (key_id(public[name]), signer(keys / f"{name}.key").sign(message))
        for name in ("root-1", "root-2")
    )
    envelope = dsse.encode_envelope(dsse.Envelope(dsse.TRUST_ROOT, payload, signatures))
    verify_first(envelope)
    (folder / "trust-root.json").write_bytes(envelope)
    (folder / "gate.toml").write_text(configuration)


def check_kafka_answers(bootstrap_servers: str) -> None:
    """Raise `Unreachable` unless a broker answers there, `ConfigInvalid` for what is no address."""
    _check_addresses(bootstrap_servers)
    with closing(KafkaReader(Connection(bootstrap_servers=bootstrap_servers))) as reader:
        reader.cluster_id()


def _check_addresses(bootstrap_servers: str) -> None:
    if not _ADDRESSES.fullmatch(bootstrap_servers):
        raise ConfigInvalid(
            "Kafka address: expected `host:port`, several separated by commas, got "
            f"`{escaped(bootstrap_servers)}`"
        )


def _configuration(domain: str, gate: str, bootstrap_servers: str | None) -> str:
    if bootstrap_servers is None:
        return _GATE_TOML.format(domain=domain, gate=gate, more="", log=_EMBEDDED)
    _check_addresses(bootstrap_servers)
    more = "insecure_dev = true  # topics of one replica will do\n"
    log = _KAFKA.format(servers=bootstrap_servers)
    return _GATE_TOML.format(domain=domain, gate=gate, more=more, log=log)


def _development_root(
    public: Mapping[str, bytes], domain: str, gate: str, now_ms: int
) -> dict[str, object]:
    def key(name: str, **more: object) -> dict[str, object]:
        return {"holder": name, "key": public[name].hex(), **more}

    every, active = ["*"], {"status": "active"}
    return {
        "checkpoint_keys": [
            {
                "key": public["checkpoint"].hex(),
                "origins": [f"{domain}/{gate}/"],
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
