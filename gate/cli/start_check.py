"""Before a gate starts, and for `gate config check`: is this the configuration of that log."""

from gate import wiring
from gate.cli.topic_standing import check_topics
from gate.client.fits_log import Own, check_fits
from gate.config import Config


def check_start(config: Config) -> None:
    """Raise `ConfigInvalid` for what the state folder, the keys and the log show to be wrong.

    On Kafka the topics must be fit for a gate too (`gate topics check`).
    """
    wiring.check_state_folder(config)
    own = own_of(config)
    if wiring.is_kafka(config):
        check_topics(config)
    with wiring.open_reader(config) as reader:
        check_fits(own, reader, wiring.topics(config))


def own_of(config: Config) -> Own:
    """Return what the gate is configured to be. Raises `ConfigInvalid` for key and secret."""
    keys = wiring.lineage_keys(config)
    return Own(
        domain=config.domain,
        gate=config.gate,
        partition_count=config.log.partitions,
        lineage_secret=config.keys.lineage_secret,
        lineage_secret_sha256=keys.secret_sha256,
        checkpoint=config.keys.checkpoint,
        checkpoint_public=wiring.checkpoint_signer(config).public_key(),
    )
