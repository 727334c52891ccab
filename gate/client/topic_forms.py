"""The table of topics as others make topics of it: Strimzi manifests, Kafka's own tools.

Promises that each form asks for exactly what `gate topics apply` would make.
"""

import json
import re
import shlex
from collections.abc import Mapping
from enum import Enum

from gate.core.topics import TopicSpec, TopicsWanted


class Form(Enum):
    """Who is to make the topics."""

    STRIMZI = "strimzi"
    SCRIPT = "script"


def strimzi(wanted: TopicsWanted, cluster: str) -> str:
    """Return one `KafkaTopic` a topic, in YAML."""
    return "".join(_manifest(wanted, spec, cluster) for spec in wanted.specs)


def _manifest(wanted: TopicsWanted, spec: TopicSpec, cluster: str) -> str:
    lines = [
        "---",
        "apiVersion: kafka.strimzi.io/v1",
        "kind: KafkaTopic",
        "metadata:",
        f"  name: {json.dumps(_resource_name(spec.name))}",
        "  labels:",
        f"    strimzi.io/cluster: {json.dumps(cluster)}",
        "spec:",
        f"  topicName: {json.dumps(spec.name)}",
        f"  partitions: {spec.partition_count}",
        f"  replicas: {wanted.replicas}",
        "  config:",
        *(f"    {key}: {json.dumps(value)}" for key, value in spec.settings.items()),
    ]
    return "\n".join(lines) + "\n"


def _resource_name(topic: str) -> str:
    """Return the name as Kubernetes has names: RFC 1123, lower case."""
    return re.sub(r"[^a-z0-9.-]", "-", topic.lower()).strip(".-")


def script(wanted: TopicsWanted) -> str:
    """Return a script for `sh` that makes the topics, or sets what differs; run twice, as once."""
    lines = [
        "#!/bin/sh",
        "# Makes the gate's topics with the tools of Apache Kafka, which must be on the PATH.",
        "# Usage: sh topics.sh --bootstrap-server HOST:PORT [--command-config FILE]",
        "set -eu",
    ]
    for spec in wanted.specs:
        name, items = shlex.quote(spec.name), _items(spec.settings)
        made = f"--partitions {spec.partition_count} --replication-factor {wanted.replicas}"
        configs = " ".join(f"--config {shlex.quote(item)}" for item in items)
        lines.append(
            f'kafka-topics.sh "$@" --create --if-not-exists --topic {name} {made} {configs}'
        )
        lines.append(
            f'kafka-configs.sh "$@" --alter --entity-type topics --entity-name {name} '
            f"--add-config {shlex.quote(','.join(items))}"
        )
    return "\n".join(lines) + "\n"


def _items(settings: Mapping[str, str]) -> list[str]:
    """Return `name=value`; a value of several parts would need brackets, and none has."""
    assert not any("," in value for value in settings.values()), "a list needs brackets"
    return [f"{key}={value}" for key, value in settings.items()]
