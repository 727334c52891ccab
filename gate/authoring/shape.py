"""Shapes of source files: a table of members says what may stand where, and of what kind.

One table serves two readers: `read_shape` turns nodes into plain values and collects every fault,
and an editor's schema can be derived from the same table. A shape knows forms only (a duration, a
whole number, a closed set of members); what members mean together is judged by the core.
"""

import difflib
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any

from gate.authoring.faults import Fault, Lines, SourceInvalid
from gate.authoring.quantities import INT64_MAX, INT64_MIN, duration_ms, is_date, moment_ms, whole
from gate.authoring.yaml_source import Mapping, Node, Place, Scalar, Sequence
from gate.core.wire.text import escaped

PARAMETER_PREFIX = "request."
_SHOWN_CHARACTERS_MAX = 60

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text; `is_date` asks for an ISO date, `allows_empty` for none."""

    doc: str = "a text"
    allows_empty: bool = False
    is_date: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number within bounds; read as `int`."""

    minimum: int = INT64_MIN
    maximum: int = INT64_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A duration; read as milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A time in UTC; read as milliseconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """`true` or `false`; read as `bool`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of a closed set of words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterName:
    """`request.` and the name of a parameter; read as the bare name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """A list of at most `items_max` items of one kind; read as `list`."""

    item: "Kind"
    items_min: int = 0
    items_max: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedOf:
    """Names chosen by the author, each with a value of one kind; read as `dict`."""

    value: "Kind"
    entries_max: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a record; `doc` says in a few words what it is, for hints and editors."""

    kind: "Kind"
    doc: str
    is_required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A closed set of members; read as `dict` of those that are given.

    Exactly one of `one_of` must be given, where there are any; a member of `only_beside` needs one
    of these beside it; `rest` is the kind of members whose names the author chooses.
    """

    members: MappingOf[str, Member]
    one_of: tuple[str, ...] = ()
    only_beside: MappingOf[str, tuple[str, ...]] = field(default_factory=dict)
    rest: "Kind | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """A record whose member `tag` names which of the records it is."""

    tag: str
    records: MappingOf[str, Record]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOr:
    """Either a text, or something else that is no text."""

    text: Text
    other: "Kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyValue:
    """Any text or list of texts; its type is known only to whoever reads it. Read as the node."""


Kind = (
    Text
    | Whole
    | Duration
    | Moment
    | Flag
    | Choice
    | ParameterName
    | ListOf
    | NamedOf
    | Record
    | Tagged
    | TextOr
    | AnyValue
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read: plain values, and where each stands in the file.

    `names` has the places of names that authors chose, under the path of the value they name.
    """

    value: dict[str, Any]
    nodes: MappingOf[Path, Node]
    names: MappingOf[Path, Scalar]
    lines: Lines


def read_shape(root: Node, kind: Record, lines: Lines) -> Read:
    """Read a document's root. Raises `SourceInvalid` with every fault of form."""
    reader = _Reader(lines=lines)
    value = reader.read(root, kind, ())
    if reader.faults:
        raise SourceInvalid(reader.faults)
    assert isinstance(value, dict)
    return Read(value=value, nodes=reader.nodes, names=reader.names, lines=lines)


def suggestion(word: str, known: "MappingOf[str, object] | tuple[str, ...]") -> str:
    """Return a hint for a word that is not known: the nearest known one, or all of them."""
    near = difflib.get_close_matches(word[:64], known, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return "known: " + ", ".join(f"`{name}`" for name in sorted(known))


def shown(text: str) -> str:
    """Return outside text for a message: in backticks, escaped, cut."""
    cut = text if len(text) <= _SHOWN_CHARACTERS_MAX else text[:_SHOWN_CHARACTERS_MAX] + "…"
    return f"`{escaped(cut)}`"


_KIND_NAMES = {Mapping: "members", Sequence: "a list", Scalar: "a text"}


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Collects faults and places while it walks; a faulty part reads as `None`."""

    lines: Lines
    faults: list[Fault] = field(default_factory=list)
    nodes: dict[Path, Node] = field(default_factory=dict)
    names: dict[Path, Scalar] = field(default_factory=dict)

    def fault(self, place: Place, message: str, hint: str = "") -> None:
        self.faults.append(self.lines.fault(place.line, place.column, message, hint))

    def read(self, node: Node, kind: Kind, path: Path) -> object:
        self.nodes[path] = node
        match kind:
            case AnyValue():
                return node
            case TextOr():
                return self.read(node, kind.text if isinstance(node, Scalar) else kind.other, path)
            case Record():
                return self._record(node, kind, path)
            case Tagged():
                return self._tagged(node, kind, path)
            case NamedOf():
                return self._named(node, kind, path)
            case ListOf():
                return self._list(node, kind, path)
        if not isinstance(node, Scalar):
            self.fault(node.place, f"expected {expected(kind)}, got {_KIND_NAMES[type(node)]}")
            return None
        value = scalar_value(node.text, kind)
        if value is None:
            self.fault(node.place, f"expected {expected(kind)}, got {shown(node.text)}")
        return value

    def _is(self, node: Node, wanted: type, path: Path) -> bool:
        if isinstance(node, wanted):
            return True
        where = f" of `{path[-1]}`" if path and isinstance(path[-1], str) else ""
        self.fault(
            node.place, f"expected {_KIND_NAMES[wanted]}{where}, got {_KIND_NAMES[type(node)]}"
        )
        return False

    def _record(self, node: Node, kind: Record, path: Path) -> dict[str, object] | None:
        if not self._is(node, Mapping, path):
            return None
        assert isinstance(node, Mapping)
        values: dict[str, object] = {}
        for name, value in node.entries:
            member = kind.members.get(name.text)
            here = (*path, name.text)
            if member is not None:
                values[name.text] = self.read(value, member.kind, here)
            elif kind.rest is not None:
                self.names[here] = name
                values[name.text] = self.read(value, kind.rest, here)
            else:
                message = f"unknown member {shown(name.text)}"
                self.fault(name.place, message, suggestion(name.text, kind.members))
        self._complete(node, kind, values)
        return values

    def _complete(self, node: Mapping, kind: Record, values: dict[str, object]) -> None:
        for name, member in kind.members.items():
            if member.is_required and name not in values:
                self.fault(node.place, f"member `{name}` is missing", f"`{name}` is {member.doc}")
        given = [name for name in kind.one_of if name in values]
        if kind.one_of and len(given) != 1:
            words = ", ".join(f"`{name}`" for name in kind.one_of)
            got = " and ".join(f"`{name}`" for name in given) or "none"
            self.fault(node.place, f"expected exactly one of {words}, got {got}")
            return
        for entry, _ in node.entries:
            beside = kind.only_beside.get(entry.text, given)
            if not any(name in given for name in beside) and kind.one_of:
                words = " or ".join(f"`{name}`" for name in beside)
                message = f"`{entry.text}` can only stand beside {words}"
                self.fault(entry.place, message, "remove it")

    def _tagged(self, node: Node, kind: Tagged, path: Path) -> object:
        if not self._is(node, Mapping, path):
            return None
        assert isinstance(node, Mapping)
        tag = next((value for name, value in node.entries if name.text == kind.tag), None)
        words = tuple(kind.records)
        if tag is None:
            listed = ", ".join(f"`{word}`" for word in words)
            self.fault(node.place, f"member `{kind.tag}` is missing", f"one of {listed}")
            return None
        word = self.read(tag, Choice(words=words), (*path, kind.tag))
        if not isinstance(word, str):
            return None
        return self._record(node, kind.records[word], path)

    def _named(self, node: Node, kind: NamedOf, path: Path) -> dict[str, object] | None:
        if not self._is(node, Mapping, path):
            return None
        assert isinstance(node, Mapping)
        if len(node.entries) > kind.entries_max:
            got = len(node.entries)
            self.fault(node.place, f"expected at most {kind.entries_max} entries, got {got}")
            return None
        values = {}
        for name, value in node.entries:
            self.names[*path, name.text] = name
            values[name.text] = self.read(value, kind.value, (*path, name.text))
        return values

    def _list(self, node: Node, kind: ListOf, path: Path) -> list[object] | None:
        if not self._is(node, Sequence, path):
            return None
        assert isinstance(node, Sequence)
        if not kind.items_min <= len(node.items) <= kind.items_max:
            bounds = f"{kind.items_min} to {kind.items_max} items"
            self.fault(node.place, f"expected {bounds}, got {len(node.items)}")
            return None
        return [self.read(item, kind.item, (*path, at)) for at, item in enumerate(node.items)]


def scalar_value(text: str, kind: Kind) -> object | None:
    """Return the value of a text under a kind of scalar, or `None` if it has not that form."""
    match kind:
        case Text():
            wrong = (not text and not kind.allows_empty) or (kind.is_date and not is_date(text))
            return None if wrong else text
        case Whole():
            number = whole(text)
            in_bounds = number is not None and kind.minimum <= number <= kind.maximum
            return number if in_bounds else None
        case Duration():
            return duration_ms(text)
        case Moment():
            return moment_ms(text)
        case Flag():
            return {"true": True, "false": False}.get(text)
        case Choice():
            return text if text in kind.words else None
        case ParameterName():
            name = text.removeprefix(PARAMETER_PREFIX)
            return name if name and name != text else None
    return None


def expected(kind: Kind) -> str:
    """Return what a kind asks for, for messages."""
    match kind:
        case Text():
            return "a date such as `2026-01-31`" if kind.is_date else kind.doc
        case Whole() if (kind.minimum, kind.maximum) == (INT64_MIN, INT64_MAX):
            return "a whole number of 64 bits"
        case Whole():
            return f"a whole number from {kind.minimum} to {kind.maximum}"
        case Duration():
            return "a duration such as `60s`, `15m`, `24h` or `30d`"
        case Moment():
            return "a time in UTC such as `2026-01-01T00:00:00Z`"
        case Flag():
            return "`true` or `false`"
        case Choice():
            return "one of " + ", ".join(f"`{word}`" for word in kind.words)
        case ParameterName():
            return "a parameter such as `request.applicant`"
        case ListOf():
            return "a list"
        case _:
            return "members"
