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
    [health]
    address = "127.0.0.1"
    port = 9464

On Apache Kafka `[log]` has `kind = "kafka"` and no `file`, and a section `[kafka]` gives the
client's own properties, `bootstrap.servers` among them.

An environment variable is `GATE_`, the section, two underscores, the key: `GATE_LOG__FILE`; a
Kafka property's dots become underscores: `GATE_KAFKA__BOOTSTRAP_SERVERS`. Relative paths, wherever
they come from, are relative to the file's folder.

Promises: an unknown key, a missing one and a bad value are refused with file and line (or the
variable's or flag's name) and the cure; where each value came from can be told; secrets are named
by file only, or are Kafka properties, which are never shown.

Leaves to others: opening what is configured, and which Kafka properties may be given (`wiring`).
"""

from gate.config.model import Config, KafkaProperties, check_domain, check_gate_name, flat
from gate.config.sources import DEFAULT_FILE, Loaded, Setting, load_config

__all__ = [
    "DEFAULT_FILE",
    "Config",
    "KafkaProperties",
    "Loaded",
    "Setting",
    "check_domain",
    "check_gate_name",
    "flat",
    "load_config",
]
