"""Reads one decision as anybody can: a Kafka client, fastavro and `schemas/*.avsc`, no gate code.

    python read_decision.py HOST:PORT TOPIC       such as gate.approved.v1

Copy it, or translate it: `schemas/README.md` is the whole format. `gate verify` verifies.
"""

# ruff: noqa: INP001, T201 - a script, in a folder of its own

import io
import json
import sys
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
MARKER = b"\xc3\x01"  # Avro's single-object encoding: marker, schema's fingerprint, body


def first_value(servers: str, topic: str) -> bytes:
    """Return a record of the topic; without `read_committed` it might be of no transaction."""
    settings = {"bootstrap.servers": servers, "group.id": "reads-one-and-never-joins"}
    consumer = Consumer({**settings, "isolation.level": "read_committed"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    message = consumer.poll(20) if partitions else None
    if message is None or message.error() is not None:
        sys.exit(f"topic {topic}: expected a record, got {message and message.error()}")
    return message.value() or b""


def read(data: bytes, name: str) -> dict:
    """Read a single-object encoding of the schema of this name."""
    schema = json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))
    known = bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
    if data[:10] != MARKER + known:
        sys.exit(f"expected a {name}, got a record that begins with {data[:10].hex()}")
    return schemaless_reader(io.BytesIO(data[10:]), parse_schema(schema), None)


def say(what: str, text: str) -> None:
    """Print a line; what others wrote must not steer a terminal."""
    print(f"{what:<12}{text.encode('unicode_escape').decode('ascii')}")


if len(sys.argv) != 3:
    sys.exit(__doc__)
record = read(first_value(*sys.argv[1:3]), "decision-record")  # the decision with its proof
decision = read(record["entry"], "entry-decision")  # the bytes that are signed for
say(decision["outcome"], f"{decision['request_id']}: {decision['action']} by {decision['actor']}")
for reason in decision["reasons"]:
    say("reason", f"{reason['code']} {reason['rule']} {reason['message']}")
say("policy", f"{decision['policy_id']} {decision['policy_version']}")
for given in decision["evaluated"]:
    say("evaluated", f"{given['name']} = {given['value']!r}, from {given['source']}")
say("checkpoint", f"{record['log']}: leaf {record['leaf_index']} of {record['tree_size']}")
say("signed by", ", ".join(f"key {line[:4].hex()}" for line in record["signatures"]))
