"""Folders in which commands run."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from gate.cli.main import main
from tests.unit.cli.harness import ACTIVATORS, POLICY, Shell


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith("GATE_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "gate"
    assert main(["init", str(folder)]) == 0
    return folder


@pytest.fixture
def shell(template, tmp_path, monkeypatch, capsys) -> Shell:
    """Give a folder fresh from `gate init`."""
    folder = tmp_path / "gate"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return Shell(folder, capsys)


@pytest.fixture(scope="session")
def template_in_force(template, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli-in-force") / "gate"
    shutil.copytree(template, folder)
    with contextlib.chdir(folder):
        assert main(["init-lineage", "--from", "beginning"]) == 0
        author = ("--author-key", "keys/author.key")
        assert main(["policy", "activate", POLICY, *author, *ACTIVATORS]) == 0
        assert main(["run", "--until-caught-up"]) == 0
    return folder


@pytest.fixture
def gate(template_in_force, tmp_path, monkeypatch, capsys) -> Shell:
    """Give a folder with a lineage and the loan policy in force."""
    folder = tmp_path / "in-force"
    shutil.copytree(template_in_force, folder)
    monkeypatch.chdir(folder)
    return Shell(folder, capsys)
