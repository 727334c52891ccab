"""Limits of the reader and of what it produces, fixed by Genesis under `gate-engine/1`.

`design/bad-input.md` §1. Lengths are bytes unless the name says otherwise.
"""

ENGINE = "gate-engine/1"

VALUE_BYTES_MAX = 64 * 1024
CONTROL_BYTES_MAX = 256 * 1024
KEY_BYTES_MAX = 1024
IDENTIFIER_BYTES_MAX = 256
STRING_BYTES_MAX = 8 * 1024
ARRAY_ITEMS_MAX = 256
ELEMENTS_MAX = 4096
ATTESTATIONS_MAX = 16
HEADERS_MAX = 32
HEADER_BYTES_MAX = 8 * 1024
ENTRY_BYTES_MAX = 32 * 1024
REASONS_MAX = 32
QUARANTINE_HEAD_BYTES = 4 * 1024
BUNDLE_BYTES_MAX = 96 * 1024
CLOCK_AHEAD_MS_MAX = 60_000  # a statement issued further ahead of append time is invalid

LIMITS: tuple[tuple[str, int], ...] = (
    ("array_items_max", ARRAY_ITEMS_MAX),
    ("attestations_max", ATTESTATIONS_MAX),
    ("control_bytes_max", CONTROL_BYTES_MAX),
    ("elements_max", ELEMENTS_MAX),
    ("entry_bytes_max", ENTRY_BYTES_MAX),
    ("header_bytes_max", HEADER_BYTES_MAX),
    ("headers_max", HEADERS_MAX),
    ("identifier_bytes_max", IDENTIFIER_BYTES_MAX),
    ("key_bytes_max", KEY_BYTES_MAX),
    ("reasons_max", REASONS_MAX),
    ("string_bytes_max", STRING_BYTES_MAX),
    ("value_bytes_max", VALUE_BYTES_MAX),
)
"""What Genesis records, ascending by name; a build with other limits refuses the lineage."""
