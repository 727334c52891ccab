"""What `gate doctor` looks at on this machine and in the gate's own topics, whatever the log."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from gate import wiring
from gate.cli.doctor_check import Check, Status, ok
from gate.cli.start_check import own_of
from gate.cli.topic_progress import shown_reading
from gate.client.fits_log import check_fits
from gate.client.in_force import read_in_force
from gate.config import Config
from gate.core.proof.checkpoint import origin as lineage_origin
from gate.core.signature import key_id
from gate.core.trust import KeyRefusal, TrustRoot
from gate.errors import ConfigInvalid, GateError, Pending
from gate.ports import LogReader, TopicPartition
from gate.wiring.diagnosis import is_slot_taken

_DAY_MS: Final = 86_400_000
_EXPIRES_SOON_DAYS: Final = 30
_MIB: Final = 1024 * 1024
_FREE_MIN_MIB: Final = 256
_FREE_FEW_MIB: Final = 2048


def checks_here(config: Config) -> Iterator[Check]:
    """Look at files and folders; asks no log."""
    yield _secret(
        "checkpoint key", config.keys.checkpoint, lambda: wiring.checkpoint_signer(config)
    )
    yield _secret("lineage secret", config.keys.lineage_secret, lambda: wiring.lineage_keys(config))
    yield _state_folder(config)
    held = is_slot_taken(config)
    yield ok("slot", "free, or held by one gate", "held by a running gate" if held else "free")


def checks_of_lineage(config: Config, reader: LogReader) -> Iterator[Check]:
    """Look at what the gate has written: its lineage, offsets, and what is in force."""
    topics = wiring.topics(config)
    if any(reader.topic(name) is None for name in topics):
        yield Check(
            "lineage", Status.BAD, "the gate's topics", "not all of them",
            "see the check `topics`",
        )  # fmt: skip
        return
    numbers = range(config.log.partitions)
    lineage = [TopicPartition(topics.lineage, number) for number in numbers]
    empty = [where.partition for where in lineage if reader.last(where) is None]
    if len(empty) == len(lineage):
        yield Check(
            "lineage", Status.WARNING, "Genesis in every partition", "none yet",
            "run `gate init-lineage`",
        )  # fmt: skip
        return
    if empty:
        yield Check(
            "lineage", Status.BAD, "Genesis in every partition", f"none in partition {empty[0]}",
            "this gate can not go on with that partition: ask who deleted its records",
        )  # fmt: skip
    else:
        yield ok("lineage", "Genesis in every partition", "there")
    yield _offsets(config, reader)
    yield _fits(config, reader)
    yield from _in_force(config, reader)


def _secret(name: str, path: Path, read: Callable[[], object]) -> Check:
    expected = "a readable file of mode 600"
    try:
        read()
    except ConfigInvalid as error:
        return Check(name, Status.BAD, expected, str(error), "see there")
    return ok(name, expected, f"`{path}`")


def _state_folder(config: Config) -> Check:
    folder, name = config.state_folder, "state folder"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    expected = f"a folder that can be written, with {_FREE_FEW_MIB} MiB free"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Check(
            name, Status.BAD, expected, f"`{there}` can not be written",
            "give the gate's user the right, or name another `state.folder`",
        )  # fmt: skip
    free = shutil.disk_usage(there).free // _MIB
    if free < _FREE_FEW_MIB:
        status = Status.BAD if free < _FREE_MIN_MIB else Status.WARNING
        return Check(name, status, expected, f"{free} MiB free", "free some space")
    return ok(name, expected, f"`{folder}`, {free} MiB free")


def _offsets(config: Config, reader: LogReader) -> Check:
    name, expected = "offsets", f"a committed offset of group `{config.gate}` in every partition"
    try:
        found = reader.committed(
            config.gate, wiring.topics(config).requests, list(range(config.log.partitions))
        )
    except Pending as error:
        return Check(
            name, Status.WARNING, expected, str(error),
            "look again: a transaction is under way; one that stays is ended by its timeout",
        )  # fmt: skip
    missing = sorted(number for number, offset in found.items() if offset is None)
    if missing:
        return Check(
            name, Status.BAD, expected, f"none for partition {missing[0]}",
            "offsets were deleted, or expired while the gate stood still: do not run "
            "`init-lineage` again; the gate stops that partition and says so",
        )  # fmt: skip
    return ok(name, expected, "there")


def _fits(config: Config, reader: LogReader) -> Check:
    name, expected = "configuration", "that of the gate whose topics are there"
    try:
        check_fits(own_of(config), reader, wiring.topics(config))
    except ConfigInvalid as error:
        return Check(name, Status.BAD, expected, str(error), "see there")
    return ok(name, expected, f"`{config.audience}`")


def _in_force(config: Config, reader: LogReader) -> Iterator[Check]:
    try:
        with shown_reading("reading") as progress:
            state = read_in_force(reader, wiring.topics(config), progress=progress).state
    except GateError as error:
        yield Check("trust root", Status.UNKNOWN, "a readable changelog", str(error), "see there")
        return
    now_ms = wiring.clock().now_ms()
    yield _trust_root(state.trust_root, now_ms)
    yield _own_key(config, state.trust_root)
    policies = ", ".join(sorted(state.in_force))
    if policies:
        yield ok("policy", "a policy in force in partition 0", policies)
    else:
        yield Check(
            "policy", Status.WARNING, "a policy in force in partition 0", "none",
            "every request is denied `no_policy`: see `gate policy activate --help`",
        )  # fmt: skip


def _trust_root(root: TrustRoot, now_ms: int) -> Check:
    left = (root.expires_ms - now_ms) // _DAY_MS
    expected, found = "not expired", f"version {root.version}, {left} days left"
    if left >= _EXPIRES_SOON_DAYS:
        return ok("trust root", expected, found)
    return Check(
        "trust root", Status.BAD if now_ms >= root.expires_ms else Status.WARNING, expected, found,
        "sign its successor and activate it: see `gate trust --help`",
    )  # fmt: skip


def _own_key(config: Config, root: TrustRoot) -> Check:
    name, expected = "own key", "active in the trust root in force, for every partition"
    try:
        public = wiring.checkpoint_signer(config).public_key()
    except ConfigInvalid as error:
        return Check(name, Status.BAD, expected, str(error), "see there")
    topic = wiring.topics(config).requests
    for number in range(config.log.partitions):
        origin = lineage_origin(config.domain, config.gate, topic, number, 1)
        if isinstance(root.checkpoint_key(public, origin), KeyRefusal):
            return Check(
                name, Status.BAD, expected, f"{key_id(public)} is not for `{origin}`",
                "copy the key from another node, or activate a trust root that lists this one",
            )  # fmt: skip
    return ok(name, expected, str(key_id(public)))
