"""The schemas this build reads and writes: constants, pinned by Genesis.

A schema is named by the CRC-64-AVRO of its parsing canonical form (Avro specification, "Schema
Fingerprints"), which is no safe digest: so its SHA-256 is pinned beside it. The sources are
`schemas/*.avsc`; a test computes these constants from them again.
"""

from typing import NamedTuple

MARKER = b"\xc3\x01"
"""What every single-object encoding begins with (Avro specification, version 1)."""

HEADER_BYTES = 10


class Schema(NamedTuple):
    """A schema's full name, fingerprint (8 bytes, little-endian) and SHA-256."""

    name: str
    fingerprint: bytes
    sha256: bytes


ACTION_REQUEST = Schema(
    "gate.v1.ActionRequest",
    bytes.fromhex("2d6c6dcd957457ab"),
    bytes.fromhex("eb046876e6fd307d9373b360d8e6e0ff441cc634b325d85e9bbc709ad58d8182"),
)
ASK = Schema(
    "gate.v1.Ask",
    bytes.fromhex("b16e7703db623934"),
    bytes.fromhex("e54203b5fe887809f6a314282754db1fe7d633ac6715302b0250b3716f8b1f92"),
)
CHANGELOG_ADMISSION = Schema(
    "gate.v1.AdmissionRecord",
    bytes.fromhex("ff60dd338d00955b"),
    bytes.fromhex("4ea74127e49a645de26e28203e413620d5fa33b3a7ef45de6961dd85822f0be4"),
)
CHANGELOG_CONTROL = Schema(
    "gate.v1.ControlStateRecord",
    bytes.fromhex("0228929b3b8d4afd"),
    bytes.fromhex("8988bbc3842b5229172b899fe2f900df9e27b1203374c1610e156846e096699e"),
)
CONTROL_RECORD = Schema(
    "gate.v1.ControlRecord",
    bytes.fromhex("e791238c72eefed5"),
    bytes.fromhex("6503adf9faf1744a513e57429683c1826ec9421c4ca361a992c4bbfbc0ab2813"),
)
DECISION_RECORD = Schema(
    "gate.v1.DecisionRecord",
    bytes.fromhex("7c5dbf4f3d710d8c"),
    bytes.fromhex("d7f124929d097148cafeb93fd2d8e2464413a04a0aaa1120ca7ea83928dba6b1"),
)
ENTRY_CONTROL = Schema(
    "gate.v1.Control",
    bytes.fromhex("067fcd9ab9845c0b"),
    bytes.fromhex("197582f579cafcc09c0ec3ca37376cb8760105b1ed3f9660faef6a58c0c5be6f"),
)
ENTRY_DECISION = Schema(
    "gate.v1.Decision",
    bytes.fromhex("62015919b7258df3"),
    bytes.fromhex("1eff34c0b0b6e933d1a9573b6ab9d13669254e059bd0e228f507889d18ffdd6b"),
)
ENTRY_GAP = Schema(
    "gate.v1.Gap",
    bytes.fromhex("3f9b897075cc586a"),
    bytes.fromhex("a471ec9c95331d2fef2c93a4223113c7bdffbb1c834065299205b0f0ad6ff85d"),
)
ENTRY_GENESIS = Schema(
    "gate.v1.Genesis",
    bytes.fromhex("ee93261783129910"),
    bytes.fromhex("553c569294f4b1638f0abfd170fc2c5e546003ba9bbcbb82dfcafdd9ae9b8671"),
)
LINEAGE_RECORD = Schema(
    "gate.v1.LineageRecord",
    bytes.fromhex("84a68927d220a786"),
    bytes.fromhex("2ca7e1c66e78d7912dca8285fc9117f06dac9acc50b274d1895c89c45778a12b"),
)
SIGNAL_STATEMENT = Schema(
    "gate.v1.SignalStatement",
    bytes.fromhex("2cbb01cd9d1a2164"),
    bytes.fromhex("56a42339f3526106e1ad3efb8795b852adbfdca6da9c7a4dbedb4c863dd0d7b6"),
)

ALL: tuple[Schema, ...] = (
    ACTION_REQUEST,
    CHANGELOG_ADMISSION,
    ASK,
    ENTRY_CONTROL,
    CONTROL_RECORD,
    CHANGELOG_CONTROL,
    ENTRY_DECISION,
    DECISION_RECORD,
    ENTRY_GAP,
    ENTRY_GENESIS,
    LINEAGE_RECORD,
    SIGNAL_STATEMENT,
)
"""Every schema, ascending by name."""


def header(schema: Schema) -> bytes:
    """Return the 10 bytes before a body: `C3 01` and the fingerprint."""
    return MARKER + schema.fingerprint
