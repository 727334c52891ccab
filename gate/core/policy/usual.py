"""The parameters of the usual request: read, checked and made inputs in one generated pass.

The usual request has every declared parameter, no other, and all are good: its bytes are then known
but for the values. Anything else is left to the plain way (`wire.request`, then `ask`), which names
what is wrong. INVARIANT (two ways, one answer): what is read here, the plain way reads and passes
as the same values; a property test compares them.

Generated text holds only numbers and names that were checked; everything an author wrote enters as
an object.
"""

from collections.abc import Callable
from typing import Any, Final

from gate.core.policy import template
from gate.core.policy.boundary import bounds_test, text_of
from gate.core.policy.declaration import (
    TEXT,
    BoolType,
    DateType,
    DeclaredType,
    EnumType,
    IntType,
    StringType,
    TimestampType,
)
from gate.core.policy.model import Bundle
from gate.core.values import Parameters, Value
from gate.core.wire.encoder import long, string
from gate.core.wire.inputs import UNSIGNED, EncodedInputs, input_head
from gate.core.wire.reader import HOSTILE, RECORD_BYTES_MAX, Reader
from gate.core.wire.schemas import ACTION_REQUEST
from gate.core.wire.text import has_forbidden, is_nfc

UsualParameters = tuple[Parameters, dict[str, Value], EncodedInputs, int]
"""Parameters; inputs as `AskCheck` has them; the same encoded; where the parameters end."""

UsualReader = Callable[[bytes, str, int, str], UsualParameters | None]
"""Takes a request's bytes, the same as Latin-1 text, where its parameters begin, its resource.

Raises `IndexError` or `WireError` for some bytes that are no usual request.
"""

_BRANCHES: Final[dict[type, bytes]] = {
    IntType: b"\x02",
    TimestampType: b"\x02",
    BoolType: b"\x00",
    StringType: b"\x04",
    EnumType: b"\x04",
    DateType: b"\x04",
}
_BOOL: Final = """\
byte = value[at]
if byte > 1: return None
{v} = byte == 1
{e} = at = at + 1
"""
_INT: Final = """\
number = value[at]
if number < 0x80:
 {e} = at = at + 1
else:
 number += (value[at + 1] << 7) - 0x80
 if number < 0x80: return None
 if number < 0x4000:
  {e} = at = at + 2
 else:
  number += (value[at + 2] << 14) - 0x4000
  if number < 0x4000: return None
  if number < 0x200000:
   {e} = at = at + 3
  else:
   number, at = wide(value, at)
   {e} = at
{v} = (number >> 1) ^ -(number & 1)
"""
_TEXT: Final = """\
size = value[at]
at += 1
if size > 0x7f:
 size += (value[at] << 7) - 0x80
 if not 0x80 <= size < 0x4000: return None
 at += 1
if size & 1: return None
{e} = at + (size >> 1)
{v} = text[at:{e}]
"""
_ANY_TEXT: Final = """\
if not ({v}.isascii() and {v}.isprintable()):
 {v} = clean(value[at:{e}])
 if {v} is None: return None
"""
# How a value is read: one shape an integer, as `wire.reader` demands, the commonest lengths here


def usual_reader(bundle: Bundle) -> UsualReader | None:
    """Generate the reader of a policy's usual request; None where a declared type has no way."""
    if any(type(item.type) not in _BRANCHES for item in bundle.parameters):
        return None
    objects: dict[str, Any] = {
        "new": tuple.__new__,
        "EncodedInputs": EncodedInputs,
        "wide": _wide,
        "clean": _clean,
        "join": b"".join,
        "unsigned": UNSIGNED,
    }
    lines, pairs, inputs, pieces = [], [], [], []
    count, above = long(len(bundle.parameters)), b""
    for index, item in enumerate(bundle.parameters):
        name, branch = f"request.{item.name}", _BRANCHES[type(item.type)]
        head = count + string(item.name) + branch
        objects[f"head{index}"] = head
        objects[f"piece{index}"] = above + input_head(name, "ask", branch)
        count, above = b"", UNSIGNED
        lines.append(f"if not value.startswith(head{index}, at): return None")
        lines.append(f"s{index} = at = at + {len(head)}")
        lines += _value_lines(item.type, index, objects)
        pairs.append(f"({item.name!r}, v{index})")
        inputs.append(f"{name!r}: v{index}")
        pieces.append(f"piece{index}, value[s{index}:e{index}]")
    lines.append(f"if value[at] or not ({_resource_test(bundle, objects)}): return None")
    encoded = f"new(EncodedInputs, ({len(pieces)}, join(({', '.join(pieces)}, unsigned))))"
    lines.append(f"return ({', '.join(pairs)},), {{{', '.join(inputs)}}}, {encoded}, at + 1")
    code = "\n ".join(["def usual(value, text, at, resource):", *lines])
    exec(code, objects)  # noqa: S102 - made of numbers and checked names
    usual: UsualReader = objects["usual"]
    return usual


def _value_lines(kind: DeclaredType, index: int, objects: dict[str, Any]) -> list[str]:
    """Return generated code that reads the value at `at` and tests it."""
    value, end = f"v{index}", f"e{index}"
    if isinstance(kind, BoolType):
        code, test = _BOOL, "True"
    elif isinstance(kind, IntType | TimestampType):
        code, test = _INT, bounds_test(kind, value, objects)
    elif isinstance(kind, StringType) and kind.chars == TEXT:
        code, test = _TEXT + _ANY_TEXT, f"{kind.min_len} <= size >> 1 <= {kind.max_len}"
    else:
        code, test = _TEXT, f"{value}.isascii() and {bounds_test(kind, value, objects)}"
    lines = code.format(v=value, e=end).splitlines()
    if code is not _BOOL and code is not _INT:
        lines.append(f"at = {end}")
    return [*lines, f"if not ({test}): return None"]


def _wide(value: bytes, at: int) -> tuple[int, int]:
    """Read any integer; return it in zigzag form, and where it ends. Raises `WireError`."""
    reader = Reader(value, ACTION_REQUEST, HOSTILE, RECORD_BYTES_MAX)
    reader.position = at
    number = reader.long("value")
    return (number << 1) ^ (number >> 63), reader.position


def _clean(raw: bytes) -> str | None:
    """Return a text that has no forbidden character and is in form NFC, else None."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    return None if has_forbidden(text) or not is_nfc(text) else text


def _resource_test(bundle: Bundle, objects: dict[str, Any]) -> str:
    """Return generated code that compares the resource; values are named `v0`, `v1` and so on."""
    kind = bundle.resource_input
    if kind is not None:
        return bounds_test(kind, "resource", objects)
    parsed = template.parse(bundle.resource_template)
    objects["texts"] = parsed.texts
    objects["text_of"] = text_of
    code = "texts[0]"
    for position, name in enumerate(parsed.names):
        index = next(i for i, p in enumerate(bundle.parameters) if f"request.{p.name}" == name)
        text = f"v{index}"
        if not isinstance(bundle.parameters[index].type, StringType | EnumType | DateType):
            objects[f"k{index}"] = bundle.parameters[index].type
            text = f"text_of(k{index}, v{index})"
        code += f" + {text} + texts[{position + 1}]"
    return f"resource == {code}"
