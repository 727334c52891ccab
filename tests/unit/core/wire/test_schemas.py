"""The pinned constants, computed again from the schema files."""

import hashlib

from fastavro.schema import fingerprint, to_parsing_canonical_form

from gate.core.wire import schemas
from tests.unit.core.wire.oracle import SCHEMAS, source


def test_the_constants_are_those_of_the_schema_files() -> None:
    computed = {}
    for path in SCHEMAS.glob("*.avsc"):
        schema = source(path.stem)
        canonical = to_parsing_canonical_form(schema)
        computed[path.stem.upper().replace("-", "_")] = schemas.Schema(
            name=f"{schema['namespace']}.{schema['name']}",
            fingerprint=bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO")),
            sha256=hashlib.sha256(canonical.encode()).digest(),
        )
    constants = {
        name: value for name, value in vars(schemas).items() if isinstance(value, schemas.Schema)
    }
    assert constants == computed
    assert tuple(sorted(computed.values())) == schemas.ALL


def test_a_fingerprint_is_little_endian_as_single_object_encoding_has_it() -> None:
    # 7275d51a3f395c8f is the number of "int" in the Avro project's own test data
    assert fingerprint('"int"', "CRC-64-AVRO") == "8f5c393f1ad57572"


def test_a_header_is_the_marker_and_the_fingerprint() -> None:
    assert schemas.header(schemas.ASK) == b"\xc3\x01" + schemas.ASK.fingerprint
    assert len({schemas.header(schema) for schema in schemas.ALL}) == len(schemas.ALL)
    assert {len(schemas.header(schema)) for schema in schemas.ALL} == {schemas.HEADER_BYTES}
