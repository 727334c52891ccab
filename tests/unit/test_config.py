"""Configuration: precedence, origins, and faults that say where and how to cure them."""

import os
from pathlib import Path

import pytest

from gate.config import load_config
from gate.errors import ConfigInvalid

GOOD = """\
domain = "dev.example"
gate = "gate"
slot = "gate-0"

[log]
kind = "embedded"
file = "log.sqlite"

[state]
folder = "/elsewhere/state"

[keys]
checkpoint = "keys/checkpoint.key"
lineage_secret = "keys/lineage.secret"

[trust]
root = "trust-root.json"
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith("GATE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text(GOOD)
    return path


def refusal(file: Path, text: str | None = None) -> str:
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigInvalid) as caught:
        load_config(file)
    return str(caught.value)


def test_relative_paths_are_relative_to_the_file(file):
    config = load_config(file).config
    assert (config.log.file, config.state.folder, config.keys.checkpoint) == (
        file.parent / "log.sqlite",
        Path("/elsewhere/state"),
        file.parent / "keys/checkpoint.key",
    )


def test_defaults_fill_what_is_left_out(file):
    config = load_config(file).config
    assert (config.log.partitions, config.run.batch_records_max) == (4, 5_000)


def test_flags_win_over_the_environment_and_that_over_the_file(file, monkeypatch):
    monkeypatch.setenv("GATE_SLOT", "from-environment")
    monkeypatch.setenv("GATE_GATE", "other")
    config = load_config(file, {"slot": "from-flag"}).config
    assert (config.slot, config.gate, config.domain) == ("from-flag", "other", "dev.example")


def test_each_value_says_where_it_came_from(file, monkeypatch):
    monkeypatch.setenv("GATE_LOG__FILE", "/elsewhere/log")
    settings = load_config(file, {"slot": "s"}).settings
    origins = {item.name: item.origin for item in settings}
    assert {name: origins[name] for name in ("domain", "slot", "log.file", "log.kind")} == {
        "domain": f"{file}:1",
        "slot": "flag --slot",
        "log.file": "environment GATE_LOG__FILE",
        "log.kind": f"{file}:6",
    }
    assert origins["log.partitions"] == "default"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('slot = "gate-0"', 'slto = "x"', ":3: unknown key `slto`: did you mean `slot`"),
        ("file =", "fille =", ":7: unknown key `log.fille`: did you mean `log.file`"),
        ("[state]", "[sate]", ":9: unknown key `sate`: did you mean `state`"),
        (
            'kind = "embedded"',
            'kind = "kafka"',
            ":7: `log.file`: expected no file where `log.kind` is `kafka`: remove it",
        ),
        ('kind = "embedded"', 'kind = "pulsar"', ":6: `log.kind`: expected `embedded` or `kafka`"),
        (
            'kind = "embedded"',
            "partitions = 0",
            ":6: `log.partitions`: expected an integer from 1 to 1024",
        ),
        ('"gate-0"', '"gate 0"', ":3: `slot`: expected 1 to 64 ASCII letters"),
        (
            "[trust]",
            "[run]\nbatch_records_max = 20001\n[trust]",
            "expected an integer from 1 to 20000",
        ),
        ('"gate-0"', '"a\\u0007b"', "got `a\\x07b`"),
        ('"gate-0"', "gate-0", ":3:8: not TOML: invalid value"),
        ('slot = "gate-0"\n', "", ": key `slot` is missing: expected 1 to 64 ASCII letters"),
        ('[state]\nfolder = "/elsewhere/state"', "", ": key `state` is missing: expected a sect"),
    ],
)
def test_a_fault_names_place_expectation_and_cure(file, old, new, expected):
    assert old in GOOD
    assert expected in refusal(file, GOOD.replace(old, new))


def test_every_fault_is_told_not_the_first_alone(file):
    text = refusal(file, GOOD.replace("slot", "slto").replace("file =", "fille ="))
    assert len(text.splitlines()) == 4


def test_an_unknown_variable_with_a_section_is_refused(file, monkeypatch):
    monkeypatch.setenv("GATE_LOG__FILLE", "x")
    expected = "environment: unknown variable `GATE_LOG__FILLE`: did you mean `GATE_LOG__FILE`"
    assert refusal(file) == expected


def test_a_misspelt_variable_is_refused(file, monkeypatch):
    monkeypatch.setenv("GATE_DOMIAN", "x")
    assert refusal(file).endswith("did you mean `GATE_DOMAIN`")


def test_a_variable_that_is_somebody_elses_is_left_alone(file, monkeypatch):
    monkeypatch.setenv("GATE_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("GATE_SERVICE_HOST", "10.0.0.1")
    assert load_config(file).config.slot == "gate-0"


def test_a_bad_value_of_a_variable_names_the_variable(file, monkeypatch):
    monkeypatch.setenv("GATE_LOG__PARTITIONS", "many")
    assert refusal(file).startswith("environment GATE_LOG__PARTITIONS: `log.partitions`: expected")


def test_an_absent_file_says_how_to_make_one(tmp_path):
    text = refusal(tmp_path / "none.toml")
    assert "no such file or directory" in text
    assert "gate init DIR" in text


def test_a_file_that_is_not_utf8_is_refused(file):
    file.write_bytes(b'domain = "\xff"')
    assert "not UTF-8 at byte 10" in refusal(file)


def test_the_slot_has_no_default(file):
    assert "key `slot` is missing" in refusal(file, GOOD.replace('slot = "gate-0"\n', ""))


KAFKA = (
    GOOD.replace('kind = "embedded"\nfile = "log.sqlite"\n', 'kind = "kafka"\n')
    + """
[kafka]
"bootstrap.servers" = "one:9092"
security.protocol = "SASL_SSL"
"sasl.password" = "hush"
ssl.ca.location = "ca.crt"
socket.keepalive.enable = true
"""
)


def test_kafka_properties_are_quoted_or_dotted_and_files_are_beside_the_configuration(file):
    file.write_text(KAFKA)
    config = load_config(file).config
    assert config.kafka == {
        "bootstrap.servers": "one:9092",
        "security.protocol": "SASL_SSL",
        "sasl.password": "hush",
        "ssl.ca.location": str(file.parent / "ca.crt"),
        "socket.keepalive.enable": "true",
    }
    assert (config.log.file, config.state_folder) == (None, Path("/elsewhere/state/gate-0"))


def test_a_kafka_property_of_the_environment_comes_before_the_file_and_says_so(file, monkeypatch):
    file.write_text(KAFKA)
    monkeypatch.setenv("GATE_KAFKA__BOOTSTRAP_SERVERS", "two:9092")
    loaded = load_config(file)
    shown = {item.name: (item.value, item.origin) for item in loaded.settings}
    assert loaded.config.kafka["bootstrap.servers"] == "two:9092"
    assert shown["kafka.bootstrap.servers"] == (
        "two:9092",
        "environment GATE_KAFKA__BOOTSTRAP_SERVERS",
    )
    assert shown["kafka.security.protocol"][1] == f"{file}:20"


def test_a_secret_is_never_shown(file):
    file.write_text(KAFKA)
    shown = {item.name: item.value for item in load_config(file).settings}
    assert shown["kafka.sasl.password"] == "***"
    assert "hush" not in repr(load_config(file).config)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"bootstrap.servers" = "one:9092"', "", "key `kafka` is missing: expected a section"),
        ('kind = "kafka"', 'kind = "embedded"\nfile = "x"', "remove it"),
        ('"sasl.password" = "hush"', '"sasl.password" = ["hush"]', "`kafka.sasl.password`"),
    ],
)
def test_a_fault_in_the_kafka_section_tells_no_secret(file, old, new, expected):
    said = refusal(file, KAFKA.replace(old, new))
    assert expected in said
    assert "hush" not in said
