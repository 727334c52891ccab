"""`gate tail`: decisions as they are committed, each verified before it is shown."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Final, NamedTuple

import typer

from gate import wiring
from gate.authoring.quantities import moment_text
from gate.authoring.shape import suggestion
from gate.authoring.typed import value_text
from gate.cli.exits import Code, Usage
from gate.cli.interruption import interruptible
from gate.cli.options import ConfigOption, OutputOption, configured
from gate.cli.screen import Format, paint, tell, write
from gate.cli.topic_progress import partitions_named, shown_reading
from gate.client.decisions import DecisionWatch, Found, Gone, Seen, Unread
from gate.client.followed_trust import FollowedTrust
from gate.config import DEFAULT_FILE, Config
from gate.core import reasons
from gate.core.proof.verdict import Refused
from gate.core.values import APPROVED, Decision
from gate.core.wire.text import escaped
from gate.errors import Unreachable
from gate.ports import LogReader

app = typer.Typer()

_IDLE_MS_MIN: Final = 20
_IDLE_MS_MAX: Final = 200
_PATIENCE_MS: Final = 60_000


class Outcome(Enum):
    """Which decisions to show."""

    APPROVED = "approved"
    DENIED = "denied"


class _Filter(NamedTuple):
    """What a decision must be to be shown; empty sets ask for nothing."""

    actors: frozenset[str]
    actions: frozenset[str]
    codes: frozenset[reasons.Code]

    def __call__(self, decision: Decision) -> bool:
        return (
            (not self.actors or decision.actor in self.actors)
            and (not self.actions or decision.action in self.actions)
            and (not self.codes or any(item.code in self.codes for item in decision.reasons))
        )


NamesOption = list[str] | None


@app.command(epilog="Example: gate tail --outcome denied --reason misrouted")
def tail(
    outcome: Annotated[Outcome | None, typer.Option(help="Of this outcome only.")] = None,
    actor: Annotated[NamesOption, typer.Option(help="Of this actor; may be repeated.")] = None,
    action: Annotated[NamesOption, typer.Option(help="On this action; may be repeated.")] = None,
    reason: Annotated[NamesOption, typer.Option(help="With this code; may be repeated.")] = None,
    partition: Annotated[
        list[int] | None, typer.Option(help="This partition only; may be repeated.", min=0)
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest decision kept.")
    ] = False,
    count: Annotated[
        int | None, typer.Option(help="End after so many decisions were shown.", min=1)
    ] = None,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Show what the topics hold, unverified.")
    ] = False,
    config: ConfigOption = DEFAULT_FILE,
    output: OutputOption = Format.TEXT,
) -> None:
    """Show decisions as they are committed, until Ctrl-C (exit 130) or --count.

    Each is verified under the trust root in force. One that does not verify is told on stderr
    instead, whatever the filters, and the exit code is then 1. Of one topic and partition they
    come in order.
    """
    settings = configured(config)
    asked = _Filter(frozenset(actor or ()), frozenset(action or ()), _codes(reason or ()))
    topics = wiring.topics(settings)
    chosen = {
        None: (topics.approved, topics.denied),
        Outcome.APPROVED: (topics.approved,),
        Outcome.DENIED: (topics.denied,),
    }[outcome]
    with wiring.open_reader(settings) as reader:
        numbers = partitions_named(reader, chosen[0], partition)
        trust = None if no_verify else _trust(settings, reader, numbers)
        watch = DecisionWatch(reader, chosen, numbers, trust, is_from_beginning=from_beginning)
        shown = _Tail(watch, asked, count, output)
        try:
            with interruptible():
                shown.run()
        except KeyboardInterrupt:
            if not shown.is_all_sound:
                raise typer.Exit(Code.NO) from None
            raise
    raise typer.Exit(Code.YES if shown.is_all_sound else Code.NO)


def _codes(names: Sequence[str]) -> frozenset[reasons.Code]:
    known = {code.name.lower(): code for code in reasons.Code}
    for name in names:
        if name not in known:
            near = suggestion(name, tuple(known))
            raise Usage(f"there is no reason `{escaped(name)}`: {near}")
    return frozenset(known[name] for name in names)


def _trust(config: Config, reader: LogReader, numbers: Sequence[int]) -> FollowedTrust:
    first = wiring.first_root(config).root
    with shown_reading("looking for trust roots") as progress:
        trust = FollowedTrust(reader, wiring.topics(config), first, progress=progress)
        trust.read_on(numbers[0])
    return trust


class _Tail:
    """Turns of reading, with pauses while nothing comes."""

    def __init__(
        self, watch: DecisionWatch, asked: _Filter, count: int | None, output: Format
    ) -> None:
        self._watch = watch
        self._asked = asked
        self._left = count
        self._output = output
        self.is_all_sound = True

    def run(self) -> None:
        """Show what comes, until as many as asked for were shown."""
        clock = wiring.clock()
        idle_ms, reached_ms, is_told = _IDLE_MS_MIN, clock.monotonic_ms(), False
        while True:
            try:
                is_news = False
                for seen in self._watch.poll():
                    is_news = True
                    self._show(seen)
                    if self._left == 0:
                        return
            except Unreachable as error:
                if clock.monotonic_ms() - reached_ms > _PATIENCE_MS:
                    raise
                if not is_told:
                    tell(f"trying again for {_PATIENCE_MS // 1000} s: {error}")
                is_told, is_news = True, False
            else:
                reached_ms, is_told = clock.monotonic_ms(), False
            idle_ms = _IDLE_MS_MIN if is_news else min(2 * idle_ms, _IDLE_MS_MAX)
            if not is_news:
                clock.sleep_ms(idle_ms)

    def _show(self, seen: Seen) -> None:
        if isinstance(seen, Gone):
            topic, number = seen.where
            tell(
                f"topic `{topic}` partition {number}: offsets {seen.offset} to {seen.first - 1} "
                "were removed before they were read"
            )
        elif isinstance(seen, Unread):
            self._refuse(seen, f"is no decision: {seen.text}")
        elif isinstance(seen.verdict, Refused):
            verdict = seen.verdict
            self._refuse(seen, f"does not verify: {verdict.code.value}: {verdict.text}")
        elif self._asked(seen.decision):
            _show_decision(seen, self._output)
            if self._left is not None:
                self._left -= 1

    def _refuse(self, seen: Found | Unread, text: str) -> None:
        self.is_all_sound = False
        topic, number = seen.where
        name = f" ({escaped(seen.reference)})" if isinstance(seen, Found) else ""
        place = f"topic `{topic}` partition {number} offset {seen.offset}{name}"
        tell(f"{paint('warning:', 'red')} {place} {escaped(text)}: see `gate audit`")


def _show_decision(found: Found, output: Format) -> None:
    decision = found.decision
    outcome = "approved" if decision.outcome == APPROVED else "denied"
    verdict = found.verdict
    assert not isinstance(verdict, Refused), "what does not verify is not shown"
    values = {
        "decision": found.reference,
        "partition": decision.input_partition,
        "input_offset": decision.input_offset,
        "time_ms": decision.input_time_ms,
        "outcome": outcome,
        "reasons": [
            {"code": item.code.name.lower(), "rule": item.rule, "field": item.field}
            for item in decision.reasons
        ],
        "request_id": decision.request_id,
        "actor": decision.actor,
        "action": decision.action,
        "resource": decision.resource,
        "correlation_id": decision.correlation_id,
        "policy": decision.policy_id,
        "policy_version": decision.policy_version,
        "constraints": {name: value_text(value) for name, value in decision.constraints},
        "expires_ms": decision.expires_ms,
        "verified": None if verdict is None else verdict.status.value,
    }
    write(output, values, _line(found, outcome))


def _line(found: Found, outcome: str) -> str:
    decision = found.decision
    word = paint(outcome.upper(), "green" if outcome == "approved" else "red")
    why = [
        item.code.name.lower() + (f":{item.rule or item.field}" if item.rule or item.field else "")
        for item in decision.reasons
    ]
    who = f"{decision.action} of {decision.resource} by {decision.actor}" if decision.action else ""
    place = f"{decision.input_partition}/{decision.input_offset}"
    name = f" request {decision.request_id}" if decision.request_id else ""
    text = f"{place}{name}: {who + ': ' if who else ''}{', '.join(why)}"
    return f"{moment_text(decision.input_time_ms)} {word} {escaped(text)}"
