"""Strict YAML: one document of mappings, sequences and strings, with the place of each.

Promises: every scalar is a string (`NO`, `1e3` and `2026-01-01` stay what was written; a schema
gives the type); nothing outside the allowed part of YAML is read; hostile bytes end in faults with
line, column and hint, never in another exception. Refused: tags, anchors, aliases, merge keys,
duplicate keys, keys that are not text, directives, several documents, more than `BYTES_MAX` bytes,
nesting over `DEPTH_MAX`, what is not UTF-8, control and bidi characters, values left empty.
Leaves the meaning of members to `source`, `cases` and `request_file`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import yaml

from gate.authoring.faults import FAULTS_MAX, Fault, Lines, SourceInvalid
from gate.core.wire.text import escaped, has_forbidden

BYTES_MAX = 256 * 1024
DEPTH_MAX = 16

_NOT_IN_TEXT = "\x7f\x85\u2028\u2029\ufeff\ufffe\uffff"  # read otherwise by other YAML readers
_TOO_DEEP = f"nested too deep: at most {DEPTH_MAX} levels"
_TAG_HINT = 'quote the text, for instance `deny: "!signal.kyc_passed"`'
_QUOTE_HINT = "quote the text"


class Place(NamedTuple):
    """Line and column, both from 1; columns in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A text. `raw` is what stands in the file between `place` and the end, quotes included."""

    text: str
    place: Place
    raw: str
    style: str

    def position(self, line: int, column: int) -> Place:
        """Return where a character of the text stands in the file.

        `line` and `column` count from 1 within the text. Folding and quoting change white space
        only, so the n-th visible character of the text is the n-th of the body. A place between
        visible characters gives the next one, a place past the end the end.
        """
        lines = self.text.split("\n")
        before = "".join(
            [*lines[: line - 1], *(part[: column - 1] for part in lines[line - 1 : line])]
        )
        wanted = sum(not character.isspace() for character in before)
        end = 0
        for offset, length in _visible(self.raw, self.style):
            if wanted == 0:
                return self._at(offset)
            wanted -= 1
            end = offset + length
        return self._at(end)

    def _at(self, offset: int) -> Place:
        before = self.raw[:offset]
        breaks = before.count("\n")
        column = len(before) - before.rfind("\n") if breaks else self.place.column + offset
        return Place(self.place.line + breaks, column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    items: "tuple[Node, ...]"
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Names and values in the order of the file; no name occurs twice."""

    entries: "tuple[tuple[Scalar, Node], ...]"
    place: Place


Node = Scalar | Sequence | Mapping


def read_yaml(data: bytes, file: str) -> tuple[Node, Lines]:
    """Read one document; `file` is only named in faults.

    Raises `SourceInvalid` with every forbidden token, or else the first syntax error, or else
    every duplicate and empty member.
    """
    text = _text(data, file)
    lines = Lines(file, text)
    still = _refuse_tokens(text, lines)
    return _Composer(text, lines, still).document(), lines


def _text(data: bytes, file: str) -> str:
    if len(data) > BYTES_MAX:
        message = f"file is too large: at most {BYTES_MAX} bytes, got {len(data)}"
        raise SourceInvalid([Fault(file, 1, 1, message)])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8")
        line, column = good.count("\n") + 1, len(good) - good.rfind("\n")
        fault = Lines(file, good).fault(line, column, "not UTF-8", "save the file as UTF-8")
        raise SourceInvalid([fault]) from error
    _refuse_characters(text, file)
    return text


def _refuse_characters(text: str, file: str) -> None:
    lines = Lines(file, text)
    faults = []
    for number, line in enumerate(text.split("\n"), 1):
        column = _first_unseen(line.removesuffix("\r"))
        if column == 0:
            continue
        message = f"character U+{ord(line[column - 1]):04X} is not allowed: it can not be seen"
        faults.append(lines.fault(number, column, message, "remove it"))
        if len(faults) == FAULTS_MAX:
            break
    if faults:
        raise SourceInvalid(faults)


def _first_unseen(text: str) -> int:
    """Return the place, from 1, of the first character that is not allowed; 0 if there is none."""
    kept = text.replace("\t", " ").replace("\n", " ")
    if not (has_forbidden(kept) or any(character in kept for character in _NOT_IN_TEXT)):
        return 0
    return next(
        at
        for at, character in enumerate(kept, 1)
        if has_forbidden(character) or character in _NOT_IN_TEXT
    )


class _Open(NamedTuple):
    """What was open when the syntax broke: brackets, and the last text in quotes of many lines."""

    brackets: list[yaml.Token]
    quoted: list[yaml.ScalarToken]


def _refuse_tokens(text: str, lines: Lines) -> _Open:
    """Refuse what the token stream shows, even if a syntax error follows it."""
    faults = []
    loader = yaml.BaseLoader(text)
    still = _Open([], [])
    try:
        while loader.check_token():
            token: yaml.Token = loader.get_token()  # type: ignore[no-untyped-call]
            _follow(token, still)
            message, hint = _forbidden(token)
            if len(still.brackets) > DEPTH_MAX:
                # Here too: what the scanner does for a bracket grows with the open ones.
                faults.append(lines.fault(*_place(token), _TOO_DEEP))
                break
            if message:
                faults.append(lines.fault(*_place(token), message, hint))
    except (yaml.MarkedYAMLError, ValueError, OverflowError) as error:
        faults = faults or [_syntax_fault(error, loader, lines, still)]
    if faults:
        raise SourceInvalid(faults)
    return still


def _follow(token: yaml.Token, still: _Open) -> None:
    if isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken):
        still.brackets.append(token)
    elif isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken):
        del still.brackets[-1:]
    elif (
        isinstance(token, yaml.ScalarToken)
        and token.style in ("'", '"')
        and token.start_mark.line != token.end_mark.line
    ):
        still.quoted.append(token)


def _forbidden(token: yaml.Token) -> tuple[str, str]:
    match token:
        case yaml.TagToken():
            handle, suffix = token.value
            return f"`{escaped((handle or '') + suffix)}` is a YAML tag: not allowed", _TAG_HINT
        case yaml.AnchorToken():
            return f"`&{escaped(token.value)}` is a YAML anchor: not allowed", _QUOTE_HINT
        case yaml.AliasToken():
            return f"`*{escaped(token.value)}` is a YAML alias: not allowed", _QUOTE_HINT
        case yaml.DirectiveToken():
            return f"`%{escaped(token.name)}` is a YAML directive: not allowed", "remove the line"
    return "", ""


def _syntax_fault(
    error: yaml.MarkedYAMLError | ValueError | OverflowError,
    loader: yaml.BaseLoader,
    lines: Lines,
    still: _Open,
) -> Fault:
    """Return the fault at what was left open, where that explains the error, else at the error."""
    mark = loader.get_mark()
    if not isinstance(error, yaml.MarkedYAMLError):
        # PyYAML does not check the number of an escape or a directive before it uses it.
        return lines.fault(mark.line + 1, mark.column + 1, "not YAML: number out of range")
    mark = error.problem_mark or error.context_mark or mark
    problem = escaped(error.problem or "can not be read")
    context = f" {escaped(error.context)}" if error.context else ""
    for token in still.quoted:
        if token.end_mark.line == mark.line:
            message = f"text in quotes does not end in its line: line {mark.line + 1}: {problem}"
            return lines.fault(*_place(token), message, "close the quotes")
    began = still.brackets[-1].start_mark if still.brackets else error.context_mark
    is_open = still.brackets or "flow" in context or "end of stream" in problem
    if is_open and began is not None and began.line < mark.line:
        bracket = escaped(began.buffer[began.pointer]) if began.buffer else "["
        message = f"`{bracket}` is not closed: line {mark.line + 1}: {problem}"
        return lines.fault(began.line + 1, began.column + 1, message, "close it, or quote the text")
    message = f"not YAML{context}: {problem}"
    return lines.fault(mark.line + 1, mark.column + 1, message, _syntax_hint(problem, context))


def _syntax_hint(problem: str, context: str) -> str:
    if "mapping values are not allowed" in problem:
        return "a text that contains `: ` must be quoted, and members of one level align"
    if "expected <block end>" in problem:
        return 'members of one level start in the same column; quote a text that goes on after `"`'
    if "flow" in context:
        return "quote a text inside `{…}` or `[…]` that contains `,`, `[`, `]`, `{` or `}`"
    return "indent with spaces" if "\\t" in problem else _QUOTE_HINT


class _Composer:
    """Builds nodes from events; holds the position in the stream, so one use only."""

    def __init__(self, text: str, lines: Lines, still: _Open) -> None:
        self._text = text
        self._still = still
        self._lines = lines
        self._faults: list[Fault] = []
        self._loader = yaml.BaseLoader(text)

    def document(self) -> Node:
        try:
            return self._document()
        except yaml.MarkedYAMLError as error:
            fault = _syntax_fault(error, self._loader, self._lines, self._still)
            raise SourceInvalid([*self._faults, fault]) from error

    def _next(self) -> yaml.Event:
        event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        return event

    def _document(self) -> Node:
        self._next()  # StreamStart
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise SourceInvalid([self._lines.fault(1, 1, "file is empty")])
        root = self._node(self._next(), 1)
        self._next()  # DocumentEnd
        following = self._next()
        if not isinstance(following, yaml.StreamEndEvent):
            self._fault(_place(following), "a second document starts", "keep one per file")
        if self._faults:
            raise SourceInvalid(self._faults)
        return root

    def _fault(self, place: Place, message: str, hint: str = "") -> None:
        self._faults.append(self._lines.fault(place.line, place.column, message, hint))

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if depth > DEPTH_MAX:
            self._fault(place, _TOO_DEEP)
            raise SourceInvalid(self._faults)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := self._next(), yaml.SequenceEndEvent):
                items.append(self._filled(self._node(event, depth + 1), "item"))
            return Sequence(items=tuple(items), place=place)
        return self._mapping(place, depth)

    def _mapping(self, place: Place, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            name = self._node(event, depth + 1)
            value = self._node(self._next(), depth + 1)
            if not isinstance(name, Scalar):
                self._fault(name.place, "a name must be a text, got a list or a mapping")
                continue
            if self._name_is_good(name, entries):
                self._filled(value, f"`{name.text}`")
                entries[name.text] = (name, value)
        return Mapping(entries=tuple(entries.values()), place=place)

    def _name_is_good(self, name: Scalar, entries: dict[str, tuple[Scalar, Node]]) -> bool:
        if name.text == "<<":
            self._fault(
                name.place, "`<<` is a YAML merge key: not allowed", "write the members out"
            )
        elif not name.text:
            self._fault(name.place, "a name is missing before `:`")
        elif name.text in entries:
            first = entries[name.text][0].place.line
            self._fault(name.place, f"`{name.text}` is given twice: first in line {first}")
        else:
            return True
        return False

    def _filled(self, node: Node, what: str) -> Node:
        if isinstance(node, Scalar) and not node.text and not node.raw:
            hint = 'write a value, or `""` for an empty text'
            self._fault(node.place, f"{what} has no value", hint)
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        assert event.start_mark is not None
        assert event.end_mark is not None
        raw = self._text[event.start_mark.index : event.end_mark.index]
        text = _joined(event.value) if event.style == '"' else event.value
        if column := _first_unseen(text):
            name = f"U+{ord(text[column - 1]):04X}"
            self._fault(_place(event), f"escape of character {name} is not allowed", "remove it")
        return Scalar(text=text, place=_place(event), raw=raw, style=event.style or "")


def _place(at: yaml.Event | yaml.Token) -> Place:
    assert at.start_mark is not None
    return Place(at.start_mark.line + 1, at.start_mark.column + 1)


def _joined(text: str) -> str:
    """Join the surrogate pairs as which JSON escapes characters; lone ones stay."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _visible(raw: str, style: str) -> Iterator[tuple[int, int]]:
    """Yield offset and length in `raw` of each visible character of a scalar."""
    at, end = 0, len(raw)
    if style in ("|", ">"):
        at = raw.find("\n") + 1 or end
    elif style:
        at, end = 1, end - 1
    while at < end:
        length = 1
        if style == "'" and raw.startswith("''", at):
            length = 2
        elif style == '"' and raw[at] == "\\":
            length = {"x": 4, "u": 6, "U": 10}.get(raw[at + 1], 2)
            if raw[at + 1] in "\n\r \tntrvfN_LP":
                at += length
                continue
        elif raw[at].isspace():
            at += 1
            continue
        yield at, length
        at += length
