"""What neither linter nor import contracts see: sizes, floats, docstrings, the README's tree."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "gate").rglob("*.py"))


def _functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_keeps_to_its_room(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 400, "a module has at most 400 lines"
    long = [n.name for n in _functions(tree) if (n.end_lineno or 0) - n.lineno >= 50]
    assert long == [], "a function has at most 50 lines"
    assert ast.get_docstring(tree), "a module says what it is for"
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text), "work left over is an issue"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "gate/core").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_core_has_no_floats(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    floats = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
        or (isinstance(node, ast.Name) and node.id == "float")
    ]
    assert floats == []


def test_no_machine_path_and_no_registry_address_is_committed() -> None:
    """The words are put together here, or this file would find itself."""
    forbidden = re.compile("|".join(["/wo" + "rk/", "/ro" + "ot/", "pypi" + r"\.org"]))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(ROOT.rglob("*"))
        if path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".json", ".avsc"}
        and not {".venv", ".git", ".hypothesis"} & set(path.relative_to(ROOT).parts)
        and path.is_file()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if forbidden.search(line)
    ]
    assert found == []


def test_the_readme_shows_the_rooms_that_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = sorted(
        p.name for p in (ROOT / "gate").iterdir() if p.is_dir() and (p / "__init__.py").exists()
    )
    assert [room for room in rooms if f"{room}/" not in readme] == []
