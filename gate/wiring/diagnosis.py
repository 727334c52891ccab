"""What `gate doctor` asks beyond the ports: a Kafka cluster, and who holds the slot here."""

from gate.adapters import lock_file
from gate.adapters.embedded.seat import is_taken
from gate.adapters.kafka.probes import Acl, ClusterFound, KafkaProbe, Member
from gate.adapters.kafka.transaction_probe import Shown, show_transactions
from gate.config import Config
from gate.wiring.identities import topics
from gate.wiring.logs import connection, is_kafka, log_file

__all__ = ["Acl", "ClusterFound", "KafkaProbe", "Member", "Shown"]


def open_probe(config: Config) -> KafkaProbe:
    """Return who asks the cluster. Raises `ConfigInvalid`."""
    return KafkaProbe(connection(config))


def try_transactions(config: Config) -> Shown:
    """Show with a throw-away id that transactions isolate and fence; writes to no topic.

    Raises `ConfigInvalid`, `Unreachable`.
    """
    name = f"{config.gate}-doctor"
    return show_transactions(connection(config), name=name, topic=topics(config).requests)


def is_slot_taken(config: Config) -> bool:
    """Say whether a gate of this machine holds the slot, or the embedded log."""
    if is_kafka(config):
        return lock_file.is_taken(config.state_folder / "slot.lock")
    return is_taken(log_file(config))
