"""An audit or replay that was cut goes on from a file, to the result of one that was not."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate.audit.audit import AuditResult, audit
from gate.audit.findings import Fault
from gate.audit.kept_state import Kept, StateFile
from gate.audit.replay import Replay
from gate.audit.replayed import Replayed
from gate.core.state import LineageKeys, derive_keys
from gate.errors import ConfigInvalid
from gate.ports import LogReader, TopicPartition
from tests.builders import a_trust_root
from tests.planted import planted
from tests.unit.audit.recorded_log import RecordedLog
from tests.worlds import SECRET, TOPICS

LINEAGE_0 = TopicPartition(TOPICS.lineage, 0)
OUTPUTS = [TopicPartition(topic, number) for topic in TOPICS.outputs for number in (0, 1)]


class Cut(Exception):
    """The process was killed."""


class Cutting:
    """Keeps every state in real files, and is killed after so many."""

    def __init__(self, path: Path, *, after: int | None = None) -> None:
        self._file = StateFile(path, {"kind": "test"})
        self._kept = self._file.load()
        self._left = after

    def kept(self) -> Kept | None:
        return self._kept

    def is_due(self) -> bool:
        return True

    def keep(
        self, partitions: Mapping[int, object], shared: Mapping[str, object], added: bytes
    ) -> None:
        if self._left == 0:
            raise Cut
        self._file.save(partitions, shared, added)
        if self._left is not None:
            self._left -= 1


def an_audit(log: LogReader, recorder: Cutting | None = None) -> AuditResult:
    return audit(log, TOPICS, trust=a_trust_root(), recorder=recorder)


def cut_audit(log: LogReader, path: Path, cuts: list[int]) -> AuditResult:
    """Audit in runs that are killed after so many kept states each."""
    for after in cuts:
        try:
            return an_audit(log, Cutting(path, after=after))
        except Cut:
            continue
    return an_audit(log, Cutting(path))


def a_copy(log: RecordedLog) -> RecordedLog:
    return RecordedLog(log._topics, log.records, log._ends)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


def fresh(folder: Path) -> Path:
    """A path of which no file is there."""
    return folder / f"{len(list(folder.iterdir()))}.json"


def states_of(log: LogReader, folder: Path) -> int:
    """How many states a whole audit keeps."""
    for count in range(1_000):
        try:
            an_audit(log, Cutting(fresh(folder), after=count))
        except Cut:
            continue
        return count
    raise AssertionError("it never ends")


def test_wherever_an_audit_is_cut_it_ends_with_the_same_result(
    recorded_once: RecordedLog, folder: Path
) -> None:
    whole, count = an_audit(recorded_once), states_of(recorded_once, folder)
    assert count > 10
    for after in range(count):
        assert cut_audit(recorded_once, fresh(folder), [after]) == whole, after


def test_cut_after_every_state_it_ends_with_the_same_result(
    recorded_once: RecordedLog, folder: Path
) -> None:
    count = states_of(recorded_once, folder)
    assert cut_audit(recorded_once, fresh(folder), [1] * count) == an_audit(recorded_once)


@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
def test_faults_are_found_once_however_an_audit_is_cut(
    recorded_once: RecordedLog, folder: Path, data: st.DataObject
) -> None:
    log = a_copy(recorded_once)
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(OUTPUTS))
        last = len(log.records[where]) - 2
        position = data.draw(st.integers(0, max(last, 0)))
        damage = data.draw(st.sampled_from(["drop", "put", "swap", "value"]))
        if last < 1:
            continue
        if damage == "drop":
            log.drop(where, position)
        elif damage == "put":
            log.put(where, log.records[where][position])
        elif damage == "swap":
            log.swap(where, position)
        else:
            log.change(where, position, lambda record: record._replace(value=b"junk"))
    cuts = data.draw(st.lists(st.integers(0, 12), max_size=4))
    assert cut_audit(log, fresh(folder), cuts) == an_audit(log)


def grown(log: RecordedLog, position: int) -> Iterator[RecordedLog]:
    """The log while a lineage record of partition 0 is not committed yet, and as it is."""
    record = log.records[LINEAGE_0][position]
    before = a_copy(log)
    before.open_from = {LINEAGE_0: record.offset}
    yield before
    yield log


def test_an_audit_that_ended_goes_on_with_what_came_since(
    recorded_once: RecordedLog, folder: Path
) -> None:
    for position in range(1, len(recorded_once.records[LINEAGE_0])):
        path = fresh(folder)
        earlier, now = grown(recorded_once, position)
        assert an_audit(earlier, Cutting(path)).is_ok
        assert an_audit(now, Cutting(path)) == an_audit(now), position


# what is refused, and what is found


@pytest.fixture
def cut(recorded_once: RecordedLog, tmp_path: Path) -> Path:
    """A file that was kept in the middle of partition 0."""
    path = tmp_path / "kept.json"
    with pytest.raises(Cut):
        an_audit(recorded_once, Cutting(path, after=4))
    return path


def tampered(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a file's state, and its digest with it."""
    state = json.loads(path.read_bytes())["state"]
    change(state)
    text = json.dumps(state, sort_keys=True, separators=(",", ":")).encode()
    path.write_text(json.dumps({"state": state, "sha256": hashlib.sha256(text).hexdigest()}))


def tree(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = state["partitions"]["0"]["tree"]
    return found


TAMPERINGS: dict[str, Callable[[dict[str, Any]], None]] = {
    "size": lambda state: tree(state).update(size=tree(state)["size"] + 1),
    "frontier": lambda state: tree(state).update(frontier="0" * len(tree(state)["frontier"])),
    "frontier size": lambda state: tree(state).update(frontier=""),
    "record": lambda state: tree(state).update(record_sha256="00" * 32),
    "note": lambda state: tree(state).update(note="no note"),
    "offset": lambda state: state["partitions"]["0"].update(last_offset=1),
    "input": lambda state: state["partitions"]["0"]["input"].update(offset=10_000),
    "sequence": lambda state: state["partitions"]["0"]["changelog"].update(sequence=1),
    "part": lambda state: state["partitions"]["0"].pop("control"),
    "findings": lambda state: state["shared"].update(listed=[["nothing"]]),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_file_is_found_or_refused(
    recorded_once: RecordedLog, cut: Path, name: str
) -> None:
    tampered(cut, TAMPERINGS[name])
    try:
        result = an_audit(recorded_once, Cutting(cut))
    except ConfigInvalid as refusal:
        assert "resume file" in str(refusal)
    else:
        assert not result.is_ok


def test_a_damaged_file_is_refused(recorded_once: RecordedLog, cut: Path) -> None:
    data = cut.read_bytes()
    for at in range(0, len(data) - 1, 97):
        cut.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(ConfigInvalid, match="resume file"):
            an_audit(recorded_once, Cutting(cut))
    for at in range(0, len(data) - 1, 97):
        cut.write_bytes(data[:at])
        with pytest.raises(ConfigInvalid, match="begin anew"):
            an_audit(recorded_once, Cutting(cut))


def test_keys_that_the_file_does_not_vouch_for_are_cut_off_and_others_refused(
    recorded_once: RecordedLog, cut: Path
) -> None:
    keys = cut.with_name("kept.json.keys")
    data = keys.read_bytes()
    assert data
    assert len(data) % 16 == 0
    keys.write_bytes(data[:-1])
    with pytest.raises(ConfigInvalid, match="not what it vouches for"):
        an_audit(recorded_once, Cutting(cut))
    keys.write_bytes(data + b"written by a run that was killed")
    assert an_audit(recorded_once, Cutting(cut)) == an_audit(recorded_once)
    assert len(keys.read_bytes()) == 16 * 16


def test_a_file_of_another_run_is_refused(cut: Path) -> None:
    with pytest.raises(ConfigInvalid, match="of another kind: expected `replay`, found `test`"):
        StateFile(cut, {"kind": "replay"}).load()


def test_a_lineage_that_was_changed_behind_the_file_is_found(
    recorded_once: RecordedLog, cut: Path
) -> None:
    last = json.loads(cut.read_bytes())["state"]["partitions"]["0"]["last_offset"]
    log = copy.deepcopy(recorded_once)
    position = [record.offset for record in log.records[LINEAGE_0]].index(last)
    log.change(LINEAGE_0, position, lambda record: record._replace(value=b"another"))
    result = an_audit(log, Cutting(cut))
    assert Fault.KEPT_CHECKPOINT_DIFFERS in {item.fault for item in result.findings}
    log = copy.deepcopy(recorded_once)
    del log.records[LINEAGE_0][position:]
    result = an_audit(log, Cutting(cut))
    assert [item.fault for item in result.findings] == [Fault.KEPT_CHECKPOINT_MISSING]


def test_an_audit_that_believes_its_file_is_noticed(recorded_once: RecordedLog, cut: Path) -> None:
    tampered(cut, TAMPERINGS["record"])
    with planted(
        "gate.audit.partition_audit",
        "self._is_sound = self._stands_where_it_stood()",
        "self._is_sound = True",
    ):
        assert an_audit(recorded_once, Cutting(cut)).is_ok


# replay


def a_replay(
    log: LogReader,
    partition: int,
    recorder: Cutting | None = None,
    keys: LineageKeys | None = None,
) -> Replayed:
    return Replay(log, TOPICS, partition, keys=keys, cuts=(3, 2), recorder=recorder).run()


def cut_replay(
    log: LogReader, partition: int, path: Path, cuts: list[int], keys: LineageKeys | None
) -> Replayed:
    for after in cuts:
        try:
            return a_replay(log, partition, Cutting(path, after=after), keys)
        except Cut:
            continue
    return a_replay(log, partition, Cutting(path), keys)


@pytest.mark.parametrize("keys", [None, derive_keys(SECRET)], ids=["given", "computed"])
def test_wherever_a_replay_is_cut_it_ends_with_the_same_result(
    recorded_once: RecordedLog, folder: Path, keys: LineageKeys | None
) -> None:
    for number in (0, 1):
        whole = a_replay(recorded_once, number, keys=keys)
        assert whole.is_ok
        for after in range(8):
            for cuts in ([after], [1] * after):
                found = cut_replay(recorded_once, number, fresh(folder), cuts, keys)
                assert found == whole, (number, cuts)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_differences_are_counted_once_however_a_replay_is_cut(
    recorded_once: RecordedLog, folder: Path, data: st.DataObject
) -> None:
    log = a_copy(recorded_once)
    where = data.draw(st.sampled_from([TopicPartition(TOPICS.denied, 0)]))
    log.drop(where, data.draw(st.integers(0, len(log.records[where]) - 1)))
    cuts = data.draw(st.lists(st.integers(0, 6), max_size=3))
    whole = a_replay(log, 0)
    assert whole.differences_count == 1
    assert cut_replay(log, 0, fresh(folder), cuts, None) == whole


def test_a_replay_over_another_lineage_record_is_stopped(
    recorded_once: RecordedLog, tmp_path: Path
) -> None:
    path = tmp_path / "kept.json"
    with pytest.raises(Cut):
        a_replay(recorded_once, 0, Cutting(path, after=2))
    leaves = json.loads(path.read_bytes())["state"]["partitions"]["0"]["leaves"]
    log = copy.deepcopy(recorded_once)
    position = [record.offset for record in log.records[LINEAGE_0]].index(leaves["lineage"])
    other = log.records[LINEAGE_0][position - 1].value
    log.change(LINEAGE_0, position, lambda record: record._replace(value=other))
    result = a_replay(log, 0, Cutting(path))
    assert not result.is_ok
    assert "expected the checkpoint that the resume file keeps" in result.stopped


def test_keys_of_a_replay_are_those_of_its_own_partition(
    recorded_once: RecordedLog, tmp_path: Path
) -> None:
    path = tmp_path / "kept.json"
    wholes = [a_replay(recorded_once, number) for number in (0, 1)]
    shared = Cutting(path)
    assert [a_replay(recorded_once, number, shared) for number in (0, 1)] == wholes
    found = path.with_name("kept.json.keys").read_bytes()
    assert 16 * 60 < len(found) < 16 * 90  # sixteen approvals, their keys and admission records
