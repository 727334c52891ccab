"""Strict JSON in, canonical JSON out: what signed JSON payloads are made of.

Promises: `canonical` follows RFC 8785 (JSON Canonicalization Scheme) for objects, arrays,
strings, booleans, null and integers below 2^53 in magnitude; floats do not exist here, so the
number formatting of that RFC is never needed. `parse` accepts nothing that two readers could
understand differently: no duplicate name, no float, no NaN, no lone surrogate, no byte order
mark. Base64 is the standard alphabet of RFC 4648 §4 with padding, and only its canonical form.

Leaves to others: which members a payload has (`members` only names what is unknown or missing).
"""

import base64
import binascii
import json
from json.encoder import encode_basestring
from typing import NoReturn

DEPTH_MAX = 32
INTEGER_MAX = (1 << 53) - 1
COMMAS_MAX = 65_536
"""Bounds the memory of parsing: millions of empty arrays cost a hundred times their text."""


class JsonInvalid(ValueError):
    """Text that is not strict JSON, or a value that has no canonical form; `str()` says why."""


def canonical(value: object) -> bytes:
    """Return the RFC 8785 form of a value built of dict, list, tuple, str, bool, None and int.

    Names are sorted by UTF-16 code units (RFC 8785 §3.2.3). Raises `JsonInvalid` for any other
    type, an integer of 2^53 or more, a lone surrogate, a name that is not a string, or nesting
    deeper than `DEPTH_MAX`.
    """
    parts: list[str] = []
    _write(value, parts, DEPTH_MAX)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError as error:
        raise JsonInvalid("string holds a lone surrogate, which UTF-8 can not carry") from error


def is_canonical(data: bytes) -> bool:
    """Tell whether `data` is strict JSON in exactly its canonical form."""
    try:
        return canonical(parse(data, bytes_max=len(data))) == data
    except JsonInvalid:
        return False


def parse(data: bytes, *, bytes_max: int) -> object:
    """Return the value of strict JSON (RFC 8259) of at most `bytes_max` bytes.

    Raises `JsonInvalid` for text that is too long, not UTF-8, nested deeper than `DEPTH_MAX`,
    with more than `COMMAS_MAX` commas, a duplicate name, a float, an integer of 2^53 or more, or
    a lone surrogate.
    """
    if len(data) > bytes_max:
        raise JsonInvalid(f"too long: expected at most {bytes_max} bytes, got {len(data)}")
    if data.count(b",") > COMMAS_MAX:
        raise JsonInvalid(f"too many elements: expected at most {COMMAS_MAX} commas")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_no_float,
            parse_int=_integer,
            parse_constant=_no_float,
        )
    except UnicodeDecodeError as error:
        raise JsonInvalid(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise JsonInvalid(f"nested deeper than {DEPTH_MAX}") from error
    except json.JSONDecodeError as error:
        raise JsonInvalid(
            f"not JSON at line {error.lineno}, column {error.colno}: {error.msg.lower()}"
        ) from error
    _check(value)
    return value


def members(
    value: object, path: str, required: frozenset[str], optional: frozenset[str] = frozenset()
) -> dict[str, object]:
    """Return `value` as an object that has all `required` members and no unknown one.

    Raises `JsonInvalid` naming `path` and the member.
    """
    if not isinstance(value, dict):
        raise JsonInvalid(f"`{path}`: expected an object, got {kind_of(value)}")
    unknown = sorted(value.keys() - required - optional)
    if unknown:
        known = ", ".join(sorted(required | optional))
        raise JsonInvalid(f"`{path}`: unknown member {quoted(unknown[0])}, expected only {known}")
    missing = sorted(required - value.keys())
    if missing:
        raise JsonInvalid(f"`{path}`: member `{missing[0]}` is missing, add it")
    return value


def encode_base64(data: bytes) -> str:
    """Return the padded standard base64 of `data` (RFC 4648 §4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes of canonical base64. Raises `JsonInvalid` for any other spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise JsonInvalid("not base64: expected the standard alphabet with padding") from error
    if encode_base64(data) != text:
        raise JsonInvalid("not canonical base64: encode the bytes again")
    return data


def quoted(text: str) -> str:
    """Return outside text between backticks, as ASCII escapes and cut to 60 characters."""
    return (
        "`" + text[:60].encode("ascii", "backslashreplace").decode("ascii").translate(_SHOWN) + "`"
    )


def kind_of(value: object) -> str:
    """Name a parsed value's JSON type for a message."""
    return _KINDS.get(type(value), "another type")


_SHOWN = {code: f"\\x{code:02x}" for code in (*range(32), 127)}
_KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    type(None): "null",
}


def _write(value: object, parts: list[str], depth: int) -> None:
    if value is None or value is True or value is False:
        parts.append("null" if value is None else "true" if value else "false")
    elif type(value) is str:
        parts.append(encode_basestring(value))
    elif type(value) is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise JsonInvalid("integer of 2^53 or more: write it as a decimal string")
        parts.append(str(value))
    elif depth == 0:
        raise JsonInvalid(f"nested deeper than {DEPTH_MAX}")
    elif type(value) is dict:
        _write_object(value, parts, depth - 1)
    elif type(value) is list or type(value) is tuple:
        parts.append("[")
        for index, item in enumerate(value):
            if index:
                parts.append(",")
            _write(item, parts, depth - 1)
        parts.append("]")
    else:
        raise JsonInvalid(f"type `{type(value).__name__}` has no canonical form")


def _write_object(value: dict[object, object], parts: list[str], depth: int) -> None:
    parts.append("{")
    separator = ""
    for name in sorted(value, key=_utf16):
        parts.append(separator)
        _write(name, parts, 1)
        parts.append(":")
        _write(value[name], parts, depth)
        separator = ","
    parts.append("}")


def _utf16(name: object) -> bytes:
    if type(name) is not str:
        raise JsonInvalid("name of a member is not a string")
    return name.encode("utf-16-be", "surrogatepass")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonInvalid(f"member {quoted(name)} stands twice, keep one")
            seen.add(name)
    return value


def _no_float(text: str) -> NoReturn:
    raise JsonInvalid(f"number {quoted(text)} is not an integer")


def _integer(text: str) -> int:
    if len(text) > 17 or not -INTEGER_MAX <= int(text) <= INTEGER_MAX:
        raise JsonInvalid(f"integer {quoted(text)} of 2^53 or more: write it as a decimal string")
    return int(text)


def _check(value: object) -> None:
    """Check depth and strings without recursion."""
    level: list[object] = [value]
    for _ in range(DEPTH_MAX):
        below: list[object] = []
        for item in level:
            if type(item) is str:
                _check_string(item)
            elif type(item) is list:
                below.extend(item)
            elif type(item) is dict:
                below.extend(item.keys())
                below.extend(item.values())
        if not below:
            return
        level = below
    if any(type(item) is list or type(item) is dict for item in level):
        raise JsonInvalid(f"nested deeper than {DEPTH_MAX}")
    for item in level:
        if type(item) is str:
            _check_string(item)


def _check_string(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise JsonInvalid("string holds a lone surrogate") from error
