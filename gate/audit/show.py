"""Entries as people read them: one line a field, safe on any terminal.

Control and bidi characters, which a request may carry in its texts, are shown as escapes; digests
and other bytes as hexadecimal digits. Nothing here is meant to be read back.
"""

from gate.core.reasons import Reason
from gate.core.values import (
    APPROVED,
    ENFORCED,
    Control,
    Decision,
    Entry,
    Evaluated,
    Gap,
)
from gate.core.wire.entry import read_entry
from gate.core.wire.reader import WireError
from gate.core.wire.text import escaped

_PAIRS = frozenset({"constraints", "limits"})
_CONTROL_KINDS = ("none", "trust root", "policy enforced", "policy withdrawn")


def entry_fields(entry: Entry) -> list[tuple[str, str]]:
    """Return names and values of an entry's fields, in schema order."""
    return [(name, _field(entry, name, value)) for name, value in entry._asdict().items()]


def entry_text(entry: Entry) -> str:
    """Return an entry as lines `name: value`, its kind first; fields that say nothing left out."""
    lines = [f"entry: {_kind(entry)}"]
    lines += [f"{name}: {text}" for name, text in entry_fields(entry) if text]
    return "\n".join(lines) + "\n"


def differing_fields(recorded: bytes | None, decided: bytes | None) -> list[tuple[str, str, str]]:
    """Return name, recorded value and decided value of each field that differs.

    Two entries of different kinds, a missing one, or one that can not be read, differ as a whole.
    """
    one, other = _read(recorded), _read(decided)
    if isinstance(one, str) or isinstance(other, str) or type(one) is not type(other):
        return [("entry", _whole(one), _whole(other))]
    pairs = zip(entry_fields(one), entry_fields(other), strict=True)
    found = [(name, left, right) for (name, left), (_, right) in pairs if left != right]
    if not found and recorded != decided:
        return [("bytes", _hex(recorded), _hex(decided))]
    return found


def _read(data: bytes | None) -> Entry | str:
    if data is None:
        return "none"
    try:
        return read_entry(data)
    except WireError as fault:
        return escaped(f"unreadable: {fault}")


def _whole(entry: Entry | str) -> str:
    return entry if isinstance(entry, str) else _kind(entry)


def _kind(entry: Entry) -> str:
    if isinstance(entry, Decision):
        return "decision"
    if isinstance(entry, Control):
        return "control"
    return "gap" if isinstance(entry, Gap) else "genesis"


def _hex(data: bytes | None) -> str:
    return "" if data is None else data.hex()


def _field(entry: Entry, name: str, value: object) -> str:
    if isinstance(entry, Decision):
        if name == "mode":
            return "enforced" if value == ENFORCED else "shadow"
        if name == "outcome":
            return "approved" if value == APPROVED else "denied"
    elif isinstance(entry, Control) and name == "kind":
        return _CONTROL_KINDS[entry.kind]
    elif isinstance(entry, Gap) and name == "order":
        return f"{len(entry.order)} bytes"
    if isinstance(value, tuple) and name in _PAIRS:
        return ", ".join(f"{escaped(part[0])}={_shown(part[1])}" for part in value)
    return _shown(value)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex() if any(value) else ""
    if isinstance(value, Reason):
        return _reason(value)
    if isinstance(value, Evaluated):
        return f"{escaped(value.name)}={_shown(value.value)} ({escaped(value.source)})"
    if isinstance(value, tuple):
        if hasattr(value, "_asdict"):
            named = value._asdict().items()
            return " ".join(f"{name}={_shown(part)}" for name, part in named)
        return ", ".join(_shown(part) for part in value)
    return escaped(str(value))


def _reason(reason: Reason) -> str:
    text = reason.code.name.lower()
    if reason.rule:
        text += f" by rule {escaped(reason.rule)}"
    if reason.field:
        text += f" at {escaped(reason.field)}"
    return f"{text}: {escaped(reason.message)}" if reason.message else text
