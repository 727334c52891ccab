"""Wiring: builds the adapters that a configuration names and hands them to what uses the ports.

Promises: everything that was opened is closed when its `with` block ends, and nothing of a secret
leaves an adapter. Decides nothing; which adapter stands behind a port is known only here.
"""

from gate.wiring.development import (
    DEVELOPMENT_GATE,
    DEVELOPMENT_ISSUERS,
    check_kafka_answers,
    create_development_set,
)
from gate.wiring.gates import open_gate, prepare_process
from gate.wiring.identities import (
    FirstRoot,
    check_state_folder,
    checkpoint_signer,
    clock,
    create_key,
    create_secret,
    first_root,
    lineage_keys,
    package_version,
    runtime_line,
    runtime_manifest,
    signer,
    topics,
)
from gate.wiring.logs import (
    begin_lineage,
    connection,
    create_topics,
    is_kafka,
    open_admin,
    open_publisher,
    open_reader,
    wanted_topics,
)
from gate.wiring.watching import watching

__all__ = [
    "DEVELOPMENT_GATE",
    "DEVELOPMENT_ISSUERS",
    "FirstRoot",
    "begin_lineage",
    "check_kafka_answers",
    "check_state_folder",
    "checkpoint_signer",
    "clock",
    "connection",
    "create_development_set",
    "create_key",
    "create_secret",
    "create_topics",
    "first_root",
    "is_kafka",
    "lineage_keys",
    "open_admin",
    "open_gate",
    "open_publisher",
    "open_reader",
    "package_version",
    "prepare_process",
    "runtime_line",
    "runtime_manifest",
    "signer",
    "topics",
    "wanted_topics",
    "watching",
]
