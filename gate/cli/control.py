"""What policy and trust commands share: judging a control record first, publishing, waiting."""

from gate import wiring
from gate.cli.exits import Code
from gate.cli.screen import Format, paint, tell, write
from gate.cli.waiting import wait_until
from gate.client.control import Answer, ControlPublication
from gate.client.waiting import judged
from gate.config import Config
from gate.core.control.judge import Rejected
from gate.core.control.state import ControlState
from gate.core.wire.text import escaped
from gate.ports import LogReader

_JOIN_SECONDS = 5.0
"""So long a gate that was started a moment ago may take to join its group on Kafka."""
_COLOURS = {Answer.ACCEPTED: "green", Answer.REFUSED: "red", Answer.UNDECIDED: "yellow"}


def refusal_now(value: bytes, state: ControlState) -> Rejected | None:
    """Return why a gate in this state would refuse the record now, if it would."""
    verdict = judged(None, value, wiring.clock().now_ms(), state)
    return verdict if isinstance(verdict, Rejected) else None


def publish_and_wait(
    value: bytes, config: Config, reader: LogReader, *, seconds: float, output: Format
) -> Code:
    """Publish a control record to every partition, wait for the answers, and tell them.

    Without a running gate nobody answers: it is told, and counts as yes, for the record is the
    first thing that the gate will decide.
    """
    topics = wiring.topics(config)
    is_nobody_there = reader.group_is_empty(config.gate)
    with wiring.open_publisher(config) as publisher:
        run = ControlPublication(
            value, gate=config.gate, topics=topics, reader=reader, publisher=publisher
        )

    def is_decided() -> bool:
        run.poll()
        return run.is_decided

    if seconds and is_nobody_there and wiring.is_kafka(config):
        is_nobody_there = not wait_until(
            lambda: not reader.group_is_empty(config.gate),
            seconds=min(seconds, _JOIN_SECONDS),
            clock=wiring.clock(),
        )
    if seconds and not is_nobody_there:
        wait_until(is_decided, seconds=seconds, clock=wiring.clock())
    answers = list(run.answers.values())
    for item in answers:
        culprit = f" ({escaped(item.culprit)})" if item.culprit else ""
        word = paint(item.answer.value, _COLOURS[item.answer])
        values = {
            "partition": item.partition,
            "input_offset": item.input_offset,
            "answer": item.answer.name.lower(),
            "culprit": item.culprit,
        }
        text = f"partition {item.partition}, offset {item.input_offset}: {word}{culprit}"
        write(output, values, text)
    if any(item.answer is Answer.REFUSED for item in answers):
        return Code.NO
    if run.is_decided or not seconds:
        return Code.YES
    if is_nobody_there:
        tell("no gate is running: it will be decided first at the next `gate run`")
        return Code.YES
    return Code.UNREACHABLE
