"""`gate quarantine list|show`: what was set aside, why, and its bytes as they were."""

import contextlib
import shutil
from pathlib import Path

import pytest

from gate import wiring
from gate.cli.main import main
from gate.cli.quarantine import hexdump
from gate.config import load_config
from gate.ports import OutputRecord, TopicPartition
from tests.unit.cli.harness import Shell

ESCAPES = b"\x1b[2J\xff\r\nhello"
LARGE = b"x" * 70_000


@pytest.fixture(scope="session")
def _set_aside_template(template_in_force, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli-set-aside") / "gate"
    shutil.copytree(template_in_force, folder)
    with contextlib.chdir(folder):
        config = load_config(Path("gate.toml")).config
        topic = wiring.topics(config).requests
        records = [
            OutputRecord(topic, 0, b"k\x07", ESCAPES),
            OutputRecord(topic, 1, None, b"\xc3\x01" + bytes(20)),
            OutputRecord(topic, 0, b"k", LARGE),
            OutputRecord(topic, 0, b"k", b""),
        ]
        with wiring.open_publisher(config) as publisher:
            for record in records:
                publisher.publish([record])
        assert main(["run", "--until-caught-up"]) == 0
    return folder


@pytest.fixture
def aside(_set_aside_template, tmp_path, monkeypatch, capsys) -> Shell:
    """Give a gate that set three records aside; the policy's activation and a marker come first."""
    folder = tmp_path / "aside"
    shutil.copytree(_set_aside_template, folder)
    monkeypatch.chdir(folder)
    return Shell(folder, capsys)


def test_the_newest_come_last_with_reason_place_and_size(aside):
    listed = aside("quarantine", "list", "--output", "json").json()
    assert sorted((item["partition"], item["input_offset"]) for item in listed) == [
        (0, 2),
        (0, 3),
        (1, 2),
    ]
    (large,) = (item for item in listed if item["reason"] == "too_large")
    assert {**large, "time_ms": 0} == {
        "partition": 0,
        "input_offset": 3,
        "leaf_index": 3,
        "reason": "too_large",
        "time_ms": 0,
        "input_bytes": 70_000,
        "kept_bytes": 4_096,
    }
    assert [item["time_ms"] for item in listed] == sorted(item["time_ms"] for item in listed)


def test_a_list_can_be_of_a_partition_and_is_limited(aside):
    ended = aside("quarantine", "list", "--partition", "0", "--limit", "1")
    assert ended.code == 0
    assert ended.out.endswith(" 0/3 leaf 3: too_large, 70000 bytes, 4096 kept\n")
    assert ended.out.count("\n") == 1


def test_an_empty_quarantine_is_said_not_shown(gate):
    assert gate("quarantine", "list") == (0, "", "nothing is in quarantine\n")


def test_one_is_shown_with_its_verified_decision_and_its_bytes_harmless(aside):
    ended = aside("quarantine", "show", "0/2")
    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].endswith(" 0/2 leaf 2: framing_unknown, 12 bytes")
    assert lines[1] == "decision: dev.example/gate/gate.requests.v1/0/1#2, verified: signed"
    assert lines[3:] == [
        "reason: framing_unknown in phase decode",
        "  hint: frame the request as Avro single-object, or use `gate submit`",
        "input: untouched: its digest is the decision's",
        "key: 2 bytes",
        "  00000000  6b 07                                            |k.|",
        "value: 12 bytes",
        "  00000000  1b 5b 32 4a ff 0d 0a 68 65 6c 6c 6f              |.[2J...hello|",
    ]


@pytest.mark.parametrize("name", ["0#2", "dev.example/gate/gate.requests.v1/0/1#2"])
def test_a_leaf_names_it_as_well(aside, name):
    (by_leaf,) = aside("quarantine", "show", name, "--output", "json").json()
    (by_offset,) = aside("quarantine", "show", "0/2", "--output", "json").json()
    assert by_leaf == by_offset
    assert (by_leaf["value"], by_leaf["verified"]) == (ESCAPES.hex(), "signed")
    assert [item["code"] for item in by_leaf["reasons"]] == ["framing_unknown"]


def test_the_bytes_are_written_as_they_were(aside):
    ended = aside("quarantine", "show", "0/2", "--out", "input.bin")
    assert (ended.code, Path("input.bin").read_bytes()) == (0, ESCAPES)
    again = aside("quarantine", "show", "0/2", "--out", "input.bin")
    assert (again.code, "exists already" in again.err) == (3, True)


def test_of_a_large_one_the_beginning_is_there_and_said(aside):
    ended = aside("quarantine", "show", "0/3")
    assert "input: the first 4096 of 70000 bytes were kept" in ended.out
    assert ended.out.endswith("3072 bytes more: write them with --out FILE\n")


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("0/4", 1, "nothing of `0/4` is in quarantine"),  # empty input is denied, not set aside
        ("0/99", 1, "nothing of `0/99` is in quarantine"),
        ("9/1", 2, "there are partitions 0 to 3 only"),
        ("junk", 2, "expected PARTITION/OFFSET, PARTITION#LEAF or a decision, got `junk`"),
    ],
)
def test_what_is_not_there_is_said(aside, name, code, expected):
    ended = aside("quarantine", "show", name)
    assert (ended.code, ended.out, expected in ended.err) == (code, "", True)


def test_other_bytes_than_those_decided_are_noticed(aside):
    config = load_config(Path("gate.toml")).config
    topic = wiring.topics(config).quarantine
    with wiring.open_reader(config) as reader, wiring.open_publisher(config) as publisher:
        record = reader.read(TopicPartition(topic, 0), offset=0, records_max=1).records[0]
        headers = tuple(
            (name, b"4" if name == "leaf-index" else value.replace(b"@2", b"@4"))
            for name, value in record.headers
        )
        publisher.publish([OutputRecord(topic, 0, b"k", b"other", headers)])
    ended = aside("quarantine", "show", "0#4")
    assert ended.code == 1
    assert "input: not what was decided: its digest differs: see `gate audit`" in ended.out


def test_a_dump_has_sixteen_bytes_a_line_and_nothing_but_ascii():
    lines = list(hexdump(bytes(range(256))))
    assert len(lines) == 16
    assert lines[2] == (
        "  00000020  20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f  | !\"#$%&'()*+,-./|"
    )
    assert "".join(lines).isascii()
    assert "".join(lines).isprintable()
