"""`gate policy status`: what is in force at each partition, and what waits to be decided."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import typer

from gate import wiring
from gate.cli.options import ConfigOption, OutputOption, configured
from gate.cli.screen import Format, tell, write
from gate.client.in_force import InForce, read_in_force
from gate.client.waiting import Waiting, read_ahead
from gate.config import DEFAULT_FILE
from gate.core.control.judge import Accepted
from gate.core.control.state import PolicyHistory
from gate.core.values import CONTROL_POLICY_ENFORCE, CONTROL_POLICY_WITHDRAW
from gate.core.wire.text import escaped
from gate.errors import ConfigInvalid

app = typer.Typer()

_MODES = {CONTROL_POLICY_ENFORCE: "enforce", CONTROL_POLICY_WITHDRAW: "withdraw"}


@app.command(epilog="Example: gate policy status --output json")
def status(config: ConfigOption = DEFAULT_FILE, output: OutputOption = Format.TEXT) -> None:
    """Show each policy: version, digest, actions, where each partition stands, what waits.

    Reads the changelogs: it is what the gate has decided, not only what was published.
    """
    settings = configured(config)
    topics = wiring.topics(settings)
    with wiring.open_reader(settings) as reader:
        requests = reader.topic(topics.requests)
        if requests is None:
            raise ConfigInvalid(
                f"gate has no topic `{topics.requests}`: run `gate init-lineage` first"
            )
        numbers = range(requests.partition_count)
        found = [read_in_force(reader, topics, partition=number) for number in numbers]
        waiting = [
            item
            for number in numbers
            for item in read_ahead(
                reader, topics, settings.gate, found[number].state, partition=number
            ).waiting
        ]
    policies = {name for item in found for name in item.state.policies}
    policies |= {verdict.id for item in waiting if (verdict := _activation(item)) is not None}
    for name in sorted(policies):
        shown = _standing(name, found, waiting)
        write(output, shown.values, shown.text)
    if not policies:
        tell("no policy was ever activated: see `gate policy activate --help`")
    for item in waiting:
        if not isinstance(item.verdict, Accepted):
            place = f"partition {item.partition}, offset {item.input_offset}"
            tell(f"{place}: a control record waits that is going to be refused")


def _activation(item: Waiting) -> Accepted | None:
    verdict = item.verdict
    return verdict if isinstance(verdict, Accepted) and verdict.kind in _MODES else None


class _Shown(NamedTuple):
    values: Mapping[str, object]
    text: str


def _standing(name: str, found: Sequence[InForce], waiting: Sequence[Waiting]) -> _Shown:
    """Return one policy: its newest activation, and which partitions are there already."""
    histories = [item.state.policies.get(name) for item in found]
    newest = max(
        (history for history in histories if history is not None),
        key=lambda history: history.activation_sequence,
        default=None,
    )
    queue = [
        _waiting_values(item, verdict)
        for item in waiting
        if (verdict := _activation(item)) is not None and verdict.id == name
    ]
    values: dict[str, object] = {
        "policy": name,
        **_history_values(newest),
        "sha256": None if newest is None else newest.digest.hex(),
        "actions": [] if newest is None else _actions(newest, found),
        "partitions": [
            {"partition": number, **_history_values(history)}
            for number, history in enumerate(histories)
        ],
        "waiting": queue,
    }
    lines = [f"{escaped(name)} {_history_text(newest)}"]
    if newest is not None:
        lines.append(f"  sha256 {newest.digest.hex()}")
        lines.append(f"  actions {', '.join(_actions(newest, found))}")
    if all(history == newest for history in histories):
        lines.append(f"  partitions 0 to {len(histories) - 1}: all the same")
    else:
        lines += [f"  partition {n}: {_history_text(item)}" for n, item in enumerate(histories)]
    lines += [
        f"  waiting in partition {item['partition']}, offset {item['input_offset']}: "
        f"{item['mode']} {escaped(item['version'])}, sequence {item['sequence']}, "
        f"activation {item['activation_sequence']}"
        for item in queue
    ]
    return _Shown(values, "\n".join(lines))


def _waiting_values(item: Waiting, verdict: Accepted) -> dict[str, Any]:
    return {
        "partition": item.partition,
        "input_offset": item.input_offset,
        "mode": _MODES[verdict.kind],
        "version": verdict.version,
        "sequence": verdict.sequence,
        "activation_sequence": verdict.activation_sequence,
    }


def _history_values(history: PolicyHistory | None) -> dict[str, object]:
    if history is None:
        members = ("version", "sequence", "activation_sequence")
        return {"state": "not in force", **dict.fromkeys(members)}
    return {
        "state": "enforced" if history.is_enforced else "withdrawn",
        "version": history.version,
        "sequence": history.policy_sequence,
        "activation_sequence": history.activation_sequence,
    }


def _history_text(history: PolicyHistory | None) -> str:
    values = _history_values(history)
    if history is None:
        return str(values["state"])
    return (
        f"{escaped(history.version)} {values['state']}: sequence {history.policy_sequence}, "
        f"activation {history.activation_sequence}"
    )


def _actions(history: PolicyHistory, found: Sequence[InForce]) -> list[str]:
    for item in found:
        if history.digest in item.bundles:
            return list(json.loads(item.bundles[history.digest].payload)["governs"])
    return []
