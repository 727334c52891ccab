"""Reading a parsed JSON object member by member, collecting faults instead of raising.

Each method returns a value of the promised type even when it has noted a fault, so that reading
goes on and finds the next one; whoever reads must not use the result once a fault was noted.
"""

import difflib
import re
from typing import Final

from gate.core.jcs import kind_of, quoted
from gate.core.policy import names
from gate.core.policy.issues import Issue, Path
from gate.core.wire.text import has_forbidden, is_nfc

_ABSENT: Final = object()


class Members:
    """One object of a bundle: its members, its place, and where faults go."""

    def __init__(self, value: object, path: Path, issues: list[Issue]) -> None:
        """Take a parsed value; anything but an object is a fault."""
        self.path = path
        self._issues = issues
        self._asked: set[str] = set()
        self._members: dict[str, object] = value if isinstance(value, dict) else {}
        self._is_object = isinstance(value, dict)
        if not self._is_object:
            self.fault((), f"expected an object, got {kind_of(value)}")

    def fault(self, below: Path, message: str, hint: str = "") -> None:
        """Note a fault at or below this object."""
        self._issues.append(Issue(self.path + below, message, hint))

    @property
    def faults(self) -> int:
        """How many faults the whole document has so far."""
        return len(self._issues)

    def abandon(self) -> None:
        """Note no further fault here: what the members mean is not known."""
        self._is_object = False

    def has(self, name: str) -> bool:
        """Say whether an optional member is there and not null; null is then a fault."""
        self._asked.add(name)
        if self._is_object and self._members.get(name, _ABSENT) is None:
            self.fault((name,), "expected a value, got null", "leave the member out")
            return False
        return self._is_object and name in self._members

    def child(self, name: str) -> "Members":
        """Return a mandatory member that is an object."""
        return Members(self._take(name, dict, {}), (*self.path, name), self._issues)

    def array(self, name: str, *, least: int, most: int) -> list[object]:
        """Return a mandatory array of `least` to `most` items."""
        value = self._take(name, list, [])
        assert isinstance(value, list)
        if not least <= len(value) <= most and self._holds(name, list):
            self.fault((name,), f"expected {least} to {most} items, got {len(value)}")
        return value[:most]

    def children(self, name: str, *, least: int, most: int) -> "list[Members]":
        """Return a mandatory array of objects."""
        items = self.array(name, least=least, most=most)
        return [
            Members(item, (*self.path, name, index), self._issues)
            for index, item in enumerate(items)
        ]

    def texts(self, name: str, pattern: re.Pattern[str] | None, *, most: int) -> tuple[str, ...]:
        """Return a mandatory array of 1 to `most` different texts."""
        found = []
        for index, item in enumerate(self.array(name, least=1, most=most)):
            if type(item) is not str:
                self.fault((name, index), f"expected a string, got {kind_of(item)}")
                continue
            self._judge(item, (name, index), pattern, 1, names.IDENTIFIER_BYTES_MAX)
            if item in found:
                self.fault((name, index), f"{quoted(item)} stands twice", "keep one")
            found.append(item)
        return tuple(found)

    def text(
        self,
        name: str,
        pattern: re.Pattern[str] | None = None,
        *,
        least: int = 1,
        most: int = names.IDENTIFIER_BYTES_MAX,
        lines: bool = False,
    ) -> str:
        """Return a mandatory string of `least` to `most` bytes, without control characters.

        `lines` permits line feeds and tabs.
        """
        value = self._take(name, str, "")
        assert isinstance(value, str)
        if self._holds(name, str):
            judged = value.replace("\n", " ").replace("\t", " ") if lines else value
            self._judge(judged, (name,), pattern, least, most)
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Return a mandatory string that is one of a few."""
        value = self._take(name, str, choices[0])
        assert isinstance(value, str)
        if value not in choices:
            expected = ", ".join(choices)
            close = difflib.get_close_matches(value, choices, 1)
            hint = f"did you mean `{close[0]}`?" if close else ""
            self.fault((name,), f"expected one of {expected}, got {quoted(value)}", hint)
            return choices[0]
        return value

    def decimal(self, name: str, least: int, most: int) -> int:
        """Return a mandatory integer written as a decimal string."""
        value = self._take(name, str, None)
        if value is None:
            return least
        assert isinstance(value, str)
        number = int(value) if names.DECIMAL.fullmatch(value) else None
        if number is None:
            self.fault((name,), f"expected a decimal integer, got {quoted(value)}")
            return least
        if not least <= number <= most:
            self.fault((name,), f"expected {least} to {most}, got {number}")
            return least
        return number

    def count(self, name: str, least: int, most: int) -> int:
        """Return a mandatory small integer."""
        value = self._take(name, int, None)
        if value is None:
            return least
        assert isinstance(value, int)
        if not least <= value <= most:
            self.fault((name,), f"expected {least} to {most}, got {value}")
            return least
        return value

    def flag(self, name: str) -> bool:
        """Return a mandatory boolean."""
        return self._take(name, bool, False) is True

    def digest_or_null(self, name: str) -> str | None:
        """Return a mandatory member that is 64 hexadecimal digits or null."""
        self._asked.add(name)
        if self._members.get(name, _ABSENT) is None:
            return None
        return self.text(name, names.DIGEST)

    def done(self) -> None:
        """Note every member that nobody asked for."""
        for name in sorted(self._members.keys() - self._asked) if self._is_object else ():
            close = difflib.get_close_matches(name, sorted(self._asked), 1)
            hint = f"did you mean `{close[0]}`?" if close else "remove it"
            self.fault((), f"unknown member {quoted(name)}", hint)

    def _holds(self, name: str, kind: type) -> bool:
        return self._is_object and type(self._members.get(name)) is kind

    def _take(self, name: str, kind: type, instead: object) -> object:
        self._asked.add(name)
        if not self._is_object:
            return instead
        value = self._members.get(name, _ABSENT)
        if type(value) is kind:
            return value
        if value is _ABSENT:
            self.fault((), f"`{name}` is missing", "add it")
        else:
            self.fault((name,), f"expected {_KINDS[kind]}, got {kind_of(value)}")
        return instead

    def _judge(
        self, text: str, below: Path, pattern: re.Pattern[str] | None, least: int, most: int
    ) -> None:
        size = len(text.encode(errors="surrogatepass"))
        if not least <= size <= most:
            self.fault(below, f"expected {least} to {most} bytes, got {size}")
        elif has_forbidden(text) or not is_nfc(text):
            self.fault(
                below,
                f"{quoted(text)} has control or direction characters, or is not in form NFC",
                "write it without them",
            )
        elif pattern is not None and not pattern.fullmatch(text):
            self.fault(below, f"{quoted(text)} has the wrong form", _FORMS.get(pattern, ""))


_KINDS: Final = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
}
_FORMS: Final = {
    names.NAME: "lower-case letters, digits and _, first a letter, at most 64",
    names.RULE_ID: "lower-case letters, digits and -, first a letter, at most 63",
    names.ACTION: "lower-case letters, digits and _, in parts joined by dots",
    names.VERSION: "three numbers joined by dots, such as 1.0.3",
    names.DOMAIN: "letters, digits, dots, _ and -, at most 100",
    names.DIGEST: "64 lower-case hexadecimal digits",
    names.UNIT: "a short word such as EUR or EUR-cent",
    names.HEX: "lower-case hexadecimal, two digits a byte",
}
