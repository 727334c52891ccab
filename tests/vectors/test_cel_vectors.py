"""The CEL specification's own test cases under the profile: right, an error, or refused.

Each case is either refused when it is compiled, or gives exactly the value or the error that the
specification states, in the engine and in the second evaluator. None may be silently wrong.
"""

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from gate.core.policy import profile
from gate.core.policy.engine import ERROR, CompileFailed, Environment
from gate.core.policy.expressions import CONFIG
from gate.core.policy.profile import Declared
from gate.core.policy.tree import TreeInvalid, decode
from gate.core.policy.unparse import unparse
from tests.unit.core.policy.tree_evaluator import evaluate, of

VECTORS: Final = Path(__file__).parents[2] / "../shared/vectors/cel"
FILES: Final = sorted(VECTORS.glob("*.json"))
PRIMITIVES: Final = {"BOOL": "bool", "INT64": "int", "STRING": "string"}
CASES_MIN: Final = 2_000
VALUES_MIN: Final = 160
ERRORS_MIN: Final = 5

pytestmark = pytest.mark.skipif(not FILES, reason="the CEL vectors are not beside this checkout")


class Unsupported(Exception):
    """A type or value that no policy can declare."""


def _type(kind: dict[str, Any]) -> str:
    if kind.get("primitive") in PRIMITIVES:
        return PRIMITIVES[kind["primitive"]]
    item = kind.get("list_type", {}).get("elem_type", {})
    if item == {"primitive": "STRING"}:
        return "list(string)"
    raise Unsupported


def _value(value: dict[str, Any]) -> Any:
    (kind, content), *_ = value.items()
    match kind:
        case "bool_value" | "string_value":
            return content
        case "int64_value":
            return int(content)
        case "list_value":
            return [_value(item) for item in content.get("values", [])]
        case _:
            raise Unsupported


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return (
            type(found) is list and len(found) == len(expected) and all(map(_same, found, expected))
        )
    return type(found) is type(expected) and found == expected


def verdict(case: dict[str, Any]) -> str:
    """Return `refused`, `value`, `error`, `checked`, or what is wrong."""
    if case.get("container"):
        return "refused"  # policies have no container: names mean what they say
    try:
        types = {item["name"]: _type(item["ident"]["type"]) for item in case.get("type_env", [])}
        bindings = {name: _value(item["value"]) for name, item in case.get("bindings", {}).items()}
        environment = Environment(CONFIG, types)
        sequence = environment.compile_sequence([case["expr"]])
        tree = decode(environment.compile(case["expr"]).serialised())
    except (Unsupported, CompileFailed, TreeInvalid, KeyError):
        return "refused"
    if profile.findings(tree, {name: Declared(kind) for name, kind in types.items()}):
        return "refused"
    if case.get("check_only"):
        return "checked"
    values = sequence.evaluate(bindings)
    found = ERROR if values is ERROR else values[0]
    second = evaluate(tree, {name: of(value) for name, value in bindings.items()})
    again = environment.compile_sequence([unparse(tree)]).evaluate(bindings)
    if "eval_error" in case:
        agreed = found is ERROR and second is ERROR and again is ERROR
        return "error" if agreed else f"expected an error, got {found} and {second}"
    expected = _value(case["value"] if "value" in case else case["typed_result"]["result"])
    if _same(found, expected) and _same(second, expected) and again == values:
        return "value"
    return f"expected {expected}, got {found} and {second}"


@cache
def verdicts(path: Path) -> dict[str, str]:
    """Return each case of a file with its verdict."""
    cases = json.loads(path.read_text(encoding="utf-8"))
    return {
        f"{number} {case['section']}/{case['name']}: {case['expr']}": verdict(case)
        for number, case in enumerate(cases)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_case_is_silently_wrong(path: Path) -> None:
    right = {"refused", "value", "error", "checked"}

    assert {case: found for case, found in verdicts(path).items() if found not in right} == {}


def test_enough_cases_run() -> None:
    """Guards against a profile, or a reading of the vectors, that refuses everything."""
    counts = Counter(found for path in FILES for found in verdicts(path).values())

    assert counts.total() >= CASES_MIN
    assert counts["value"] >= VALUES_MIN
    assert counts["error"] >= ERRORS_MIN
    assert counts["refused"] >= CASES_MIN - 2 * VALUES_MIN
