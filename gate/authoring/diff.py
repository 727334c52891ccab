"""What changed between two bundles: their text, not yet their meaning.

Lines are for people, changes for programs. A change of the key, of the validity or of a signal's
trust is marked breaking: it needs more than a new bundle, or turns away what was accepted.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from gate.core.wire.text import escaped

Kind = Literal["added", "removed", "changed", "moved"]
_SIGNS: Mapping[str, str] = {"added": "+", "removed": "-", "changed": "~", "moved": "~"}
_PLAIN = ("policy", "version", "sequence", "owner", "engine", "domain", "requester", "governs")
_BREAKING = ("domain", "policy", "requester", "governs", "window", "resource", "key", "valid")
_LISTED = (("inputs", "name"), ("variables", "name"), ("rules", "id"))
_DERIVED = ("ast",)


class Change(NamedTuple):
    """One change. `what` names it (`rules large-loan expr`); values are JSON, `None` for none."""

    kind: Kind
    what: str
    old: object
    new: object
    is_breaking: bool


def diff_bundles(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what changed between two bundle documents, in the order of the document.

    `ast`, `previous` and `tests_sha256` follow from other things and are left out.
    """
    changes: list[Change] = []
    for name in (*_PLAIN, "valid", "window", "resource", "key"):
        changes += _compared(name, old[name], new[name], is_breaking=name in _BREAKING)
    for name, identity in _LISTED:
        changes += _items(name, old[name], new[name], identity)
    was, now = old["constraints"], new["constraints"]
    changes += _compared(
        "constraints valid_for_ms", was["valid_for_ms"], now["valid_for_ms"], is_breaking=False
    )
    changes += _items("constraints", was["values"], now["values"], "name")
    return tuple(changes)


def diff_lines(changes: tuple[Change, ...]) -> tuple[str, ...]:
    """Return one line a change: sign, what, both sides; outside text is escaped."""
    return tuple(_line(change) for change in changes) or ("no change",)


def diff_json(changes: tuple[Change, ...]) -> list[dict[str, object]]:
    """Return the changes as a list for JSON."""
    return [
        {
            "kind": change.kind,
            "what": change.what,
            "old": change.old,
            "new": change.new,
            "breaking": change.is_breaking,
        }
        for change in changes
    ]


def _compared(what: str, old: object, new: object, *, is_breaking: bool) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            if name not in _DERIVED:
                is_more = is_breaking or name in ("type", "issuers", "subject")
                yield from _compared(
                    f"{what} {name}", old.get(name), new.get(name), is_breaking=is_more
                )
        return
    kind: Kind = "added" if old is None else "removed" if new is None else "changed"
    yield Change(kind, what, old, new, is_breaking)


def _items(
    name: str, old: list[dict[str, Any]], new: list[dict[str, Any]], identity: str
) -> Iterator[Change]:
    was = {item[identity]: item for item in old}
    now = {item[identity]: item for item in new}
    for key, item in was.items():
        if key not in now:
            yield Change("removed", f"{name} {key}", _shown(item), None, name == "inputs")
    for key, item in now.items():
        if key not in was:
            is_breaking = name == "inputs" and "default" not in item
            yield Change("added", f"{name} {key}", None, _shown(item), is_breaking)
        else:
            yield from _compared(f"{name} {key}", was[key], item, is_breaking=False)
    kept = [key for key in was if key in now], [key for key in now if key in was]
    if kept[0] != kept[1]:
        yield Change("moved", name, kept[0], kept[1], is_breaking=False)


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _DERIVED}


def _line(change: Change) -> str:
    mark = " (breaking)" if change.is_breaking else ""
    if change.kind == "moved":
        text = f"{change.what} in another order: {_text(change.new)}"
    elif change.kind == "added":
        text = f"{change.what}: {_text(change.new)}"
    elif change.kind == "removed":
        text = f"{change.what}: was {_text(change.old)}"
    else:
        text = f"{change.what}: {_text(change.old)} -> {_text(change.new)}"
    return f"{_SIGNS[change.kind]} {escaped(text)}{mark}"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_text(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return f"`{value}`" if isinstance(value, str) else str(value)
