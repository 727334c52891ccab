"""Help: every command has one, with an example, and none of it costs time."""

import importlib
import subprocess
import sys

import pytest
from typer.main import get_command

from gate.cli.exits import Code
from gate.cli.main import COMMANDS, load


def _leaves():
    for name, entry in COMMANDS.items():
        found = load(entry.module, name)
        below = getattr(found, "commands", None)
        if below is None:
            yield name, found
        else:
            yield from ((f"{name} {inner}", command) for inner, command in below.items())


LEAVES = dict(_leaves())


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_help_with_an_example_of_itself(name):
    command = LEAVES[name]
    assert command.help
    assert (command.epilog or "").startswith("Example")
    assert f"gate {name}" in command.epilog


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_is_explained(name):
    silent = [
        parameter.name
        for parameter in LEAVES[name].params
        if parameter.name not in ("help", "install_completion", "show_completion")
        and not getattr(parameter, "help", None)
    ]
    assert silent == []


@pytest.mark.parametrize("name", LEAVES)
def test_help_ends_with_yes(shell, name):
    ended = shell(*name.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Usage:" in ended.out


def test_the_list_of_commands_is_what_the_modules_have(shell):
    listed = shell("--help").out
    assert [name for name in COMMANDS if f" {name} " not in listed] == []
    for name, entry in COMMANDS.items():
        module = get_command(importlib.import_module(f"gate.cli.{entry.module}").app)
        assert name in getattr(module, "commands", {name: None}) or hasattr(module, "commands")


def test_help_loads_no_engine_store_or_client_library():
    code = (
        "import sys; from gate.cli.main import main; main(['--help']);"
        "heavy = {'rocksdict', 'cel_expr_python', 'confluent_kafka', 'pydantic', 'cryptography'};"
        "sys.exit(repr(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("name", ["policy", "keys", "trust", "config", "runtime"])
def test_every_group_has_an_example(shell, name):
    ended = shell(name, "--help")
    assert (ended.code, f"Example: gate {name} " in ended.out) == (0, True)


def test_help_lists_every_exit_code_and_variable(shell, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    text = shell("--help").out
    assert [code for code in Code if f" {code.value} " not in text] == []
    shown = shell("config", "show", "--help").out
    names = ("DOMAIN", "GATE", "SLOT")
    assert [name for name in _variables() if name not in shown and name[5:] not in names] == []
    assert "GATE_SLOT" in shown


def _variables():
    from gate.config.sources import _NAMES, _variable

    named = [_variable(name) for name in _NAMES if name not in {"log.kind", "kafka"}]
    return [*named, "GATE_KAFKA__BOOTSTRAP_SERVERS"]
