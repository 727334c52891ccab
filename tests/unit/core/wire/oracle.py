"""fastavro as the oracle of the wire formats: our values as its plain ones, by the schema files."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro

SCHEMAS = Path(__file__).parents[4] / "schemas"
HEADER_BYTES = 10


def source(name: str) -> dict[str, Any]:
    """Return the schema file `name` as JSON."""
    return json.loads((SCHEMAS / f"{name}.avsc").read_text())


class Oracle:
    """Reads and writes one schema with fastavro."""

    def __init__(self, name: str) -> None:
        self._source = source(name)
        self._schema = fastavro.parse_schema(source(name))

    def read(self, data: bytes) -> Any:
        """Read a framed record's body; the cursor must end at its end."""
        stream = io.BytesIO(data[HEADER_BYTES:])
        plain = fastavro.schemaless_reader(stream, self._schema)
        assert stream.tell() == len(data) - HEADER_BYTES
        return plain

    def write(self, plain: Any) -> bytes:
        """Write a body, without its header."""
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self._schema, plain)
        return stream.getvalue()

    def plain(self, value: Any) -> Any:
        """Return our value as fastavro's."""
        return _plain(self._source, value, {})

    def agrees(self, data: bytes, value: Any) -> None:
        """Assert that fastavro reads `data` as `value`, and writes `value` as `data`."""
        plain = self.plain(value)
        assert repr(self.read(data)) == repr(plain)
        assert self.write(plain) == data[HEADER_BYTES:]


def _plain(schema: Any, value: Any, named: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        if schema[0] == "null":
            return None if value is None else _plain(schema[1], value, named)
        return list(value) if type(value) is tuple else value
    if isinstance(schema, str):
        return _plain(named[schema], value, named) if schema in named else value
    if "name" in schema:
        named[schema["name"]] = schema
    if schema["type"] == "record":
        fields = zip(schema["fields"], value, strict=False)
        return {field["name"]: _plain(field["type"], item, named) for field, item in fields}
    if schema["type"] == "array":
        return [_plain(schema["items"], item, named) for item in value]
    if schema["type"] == "enum":
        return schema["symbols"][value]
    return value
