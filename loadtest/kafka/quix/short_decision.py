"""The decision that the job on Quix Streams writes: imported by the job and by who counts."""

HEADER_BYTES = 10
"""Avro's mark and a fingerprint before the record, as in the gate's framing."""
DENIED, APPROVED = "DENIED", "APPROVED"
DECISION = {
    "type": "record",
    "name": "Decision",
    "fields": [
        {
            "name": "outcome",
            "type": {"type": "enum", "name": "Outcome", "symbols": [DENIED, APPROVED]},
        },
        {"name": "reason", "type": "string"},
        {"name": "gate", "type": "string"},
        {"name": "input_partition", "type": "int"},
        {"name": "input_offset", "type": "long"},
        {"name": "input_time_ms", "type": "long"},
        {"name": "input_sha256", "type": "bytes"},
        {"name": "request_id", "type": "string"},
        {"name": "actor", "type": "string"},
        {"name": "action", "type": "string"},
        {"name": "resource", "type": "string"},
        {"name": "admission_key", "type": "string"},
        {"name": "policy", "type": "string"},
        {"name": "expires_ms", "type": ["null", "long"]},
        {"name": "max_amount", "type": ["null", "long"]},
    ],
}
