"""The rules for our schemas (`schemas/README.md`), and that each rule refuses a bad one."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gate.core import values
from gate.core.reasons import Code, Phase
from tests.unit.core.wire.oracle import SCHEMAS, source

Schema = Any

SAFE_SYMBOLS = {"NONE", "SHADOW", "DENIED", "control_rejected", "control"}
"""What each enum's symbol 0 may be: it permits nothing."""

PRIMITIVES = {"null", "boolean", "int", "long", "string", "bytes"}


def findings(schema: Schema) -> list[str]:
    """Return every rule the schema breaks, with the place."""
    return list(_judge(schema, schema.get("name", ""), {}, ()))


def _judge(
    schema: Schema, place: str, named: dict[str, Schema], inside: tuple[str, ...]
) -> Iterator[str]:
    if isinstance(schema, list):
        for branch in schema:
            yield from _judge(branch, place, named, inside)
        return
    if isinstance(schema, str):
        if schema in inside:
            yield f"{place}: recursion into {schema}"
        elif schema not in PRIMITIVES and schema not in named:
            yield f"{place}: type {schema}"
        return
    kind = schema["type"]
    if "logicalType" in schema:
        yield f"{place}: logical type {schema['logicalType']}"
    if "name" in schema:
        named[schema["name"]] = schema
    if kind == "record":
        yield from _judge_record(schema, place, named, (*inside, schema["name"]))
    elif kind == "array":
        if _least_bytes(schema["items"], named) == 0:
            yield f"{place}: array item of zero bytes"
        yield from _judge(schema["items"], f"{place}[]", named, inside)
    elif kind == "enum":
        if schema["symbols"][0] not in SAFE_SYMBOLS:
            yield f"{place}: enum symbol 0 is {schema['symbols'][0]}"
        if "default" in schema:
            yield f"{place}: enum default"
    elif kind != "fixed":
        yield from _judge(kind, place, named, inside)


def _judge_record(
    schema: Schema, place: str, named: dict[str, Schema], inside: tuple[str, ...]
) -> Iterator[str]:
    if not schema.get("doc"):
        yield f"{place}: undocumented"
    for field in schema["fields"]:
        if not field.get("doc"):
            yield f"{place}.{field['name']}: undocumented"
        yield from _judge(field["type"], f"{place}.{field['name']}", named, inside)


def _least_bytes(schema: Schema, named: dict[str, Schema], depth: int = 0) -> int:
    if isinstance(schema, str):
        schema = named.get(schema, schema)
    if depth > 8 or schema == "null":
        return 0
    if isinstance(schema, (str, list)):
        return 1
    if schema["type"] == "fixed":
        return int(schema["size"])
    if schema["type"] == "record":
        return sum(_least_bytes(field["type"], named, depth + 1) for field in schema["fields"])
    return _least_bytes(schema["type"], named, depth + 1) if schema["type"] == "null" else 1


ALL = sorted(path.stem for path in SCHEMAS.glob("*.avsc"))


@pytest.mark.parametrize("name", ALL)
def test_our_schemas_keep_the_rules(name: str) -> None:
    assert findings(source(name)) == []


def record(field_type: Schema, **changed: Any) -> Schema:
    field = {"name": "f", "type": field_type, "doc": "A field."}
    return {"type": "record", "name": "R", "doc": "A record.", "fields": [field]} | changed


@pytest.mark.parametrize(
    ("schema", "finding"),
    [
        (record("float"), "R.f: type float"),
        (record("double"), "R.f: type double"),
        (record({"type": "double"}), "R.f: type double"),
        (record(["null", "double"]), "R.f: type double"),
        (record({"type": "map", "values": "string"}), "R.f: type map"),
        (
            record({"type": "bytes", "logicalType": "decimal", "precision": 4}),
            "R.f: logical type decimal",
        ),
        (
            record({"type": "long", "logicalType": "timestamp-millis"}),
            "R.f: logical type timestamp-millis",
        ),
        (record(["null", "R"]), "R.f: recursion into R"),
        (record({"type": "array", "items": "R"}), "R.f[]: recursion into R"),
        (record({"type": "array", "items": "null"}), "R.f: array item of zero bytes"),
        (
            record({"type": "array", "items": record("null", name="Inner")}),
            "R.f: array item of zero bytes",
        ),
        (
            record(
                {
                    "type": "array",
                    "items": {"type": "record", "name": "E", "doc": "E.", "fields": []},
                }
            ),
            "R.f: array item of zero bytes",
        ),
        (
            record({"type": "array", "items": {"type": "fixed", "name": "Z", "size": 0}}),
            "R.f: array item of zero bytes",
        ),
        (
            record({"type": "enum", "name": "E", "symbols": ["APPROVED", "DENIED"]}),
            "R.f: enum symbol 0 is APPROVED",
        ),
        (
            record({"type": "enum", "name": "E", "symbols": ["NONE"], "default": "NONE"}),
            "R.f: enum default",
        ),
        (record("long", doc=""), "R: undocumented"),
        (record("long", fields=[{"name": "f", "type": "long"}]), "R.f: undocumented"),
    ],
)
def test_each_rule_refuses_a_schema_that_breaks_it(schema: Schema, finding: str) -> None:
    assert finding in findings(schema)


def test_a_rule_looks_into_the_depth_of_a_real_schema() -> None:
    schema = copy.deepcopy(source("entry-decision"))
    (evaluated,) = [field for field in schema["fields"] if field["name"] == "evaluated"]
    evaluated["type"]["items"]["fields"][0]["type"] = "float"
    assert findings(schema) == ["Decision.evaluated[].name: type float"]


VALUES = {
    "ActionRequest": values.ActionRequest,
    "Ask": values.Ask,
    "SignalStatement": values.SignalStatement,
    "ControlRecord": values.ControlRecord,
    "Genesis": values.Genesis,
    "Control": values.Control,
    "Decision": values.Decision,
    "Gap": values.Gap,
    "DecisionRecord": values.DecisionRecord,
    "LineageRecord": values.LineageRecord,
    "AdmissionRecord": values.AdmissionRecord,
    "ControlStateRecord": values.ControlStateRecord,
}


@pytest.mark.parametrize("name", ALL)
def test_a_value_has_the_schema_s_fields_in_its_order(name: str) -> None:
    schema = source(name)
    names = tuple(field["name"] for field in schema["fields"])
    derived = ("ask", "signed_bytes") if name == "action-request" else ()
    assert VALUES[schema["name"]]._fields == names + derived


def test_codes_and_phases_are_the_schema_s_symbols() -> None:
    fields = {field["name"]: field["type"] for field in source("entry-decision")["fields"]}
    code, phase = (field["type"] for field in fields["reasons"]["items"]["fields"][:2])
    assert [symbol.upper() for symbol in code["symbols"]] == [code.name for code in Code]
    assert [symbol.upper() for symbol in phase["symbols"]] == [phase.name for phase in Phase]
    assert [code.value for code in Code] == list(range(len(Code)))
    assert [phase.value for phase in Phase] == list(range(len(Phase)))


def test_the_package_carries_the_schemas_that_the_repository_has() -> None:
    packed = Path(values.__file__).parents[1] / "schemas"
    assert sorted(path.stem for path in packed.glob("*.avsc")) == ALL
