"""Runs of identifiers, and arrays of names and values: the hot part of reading a request.

Same rules and same errors as `reader`: lengths of one byte are read in place, everything else,
and everything wrong, goes through the cursor's own methods from the same position.
"""

from gate.core.values import Parameters, Value
from gate.core.wire.reader import Reader, WireError


def read_identifiers(reader: Reader, fields: tuple[str, ...]) -> list[str]:
    """Read consecutive identifiers. Raises `WireError`."""
    data, position, size = reader.data, reader.position, reader.size
    texts = []
    for field in fields:
        try:
            length = data[position]
            if length & 0x81 == 0:
                start = position + 1
                end = start + (length >> 1)
                if end <= size:
                    texts.append(data[start:end].decode())
                    position = end
                    continue
        except (IndexError, UnicodeDecodeError):
            pass
        reader.position = position
        texts.append(reader.identifier(field))
        position = reader.position
    reader.position = position
    return texts


def read_parameters(reader: Reader, field: str) -> Parameters:
    """Read an array of names and values. Raises `WireError` naming `field[i].name` or `.value`."""
    count = reader.count(field)
    pairs: list[tuple[str, Value]] = []
    try:
        _read_pairs(reader, count, pairs)
    except WireError as error:
        raise error.within(f"{field}[{len(pairs)}]") from None
    reader.end_array(field, count)
    return tuple(pairs)


def _read_pairs(reader: Reader, count: int, pairs: list[tuple[str, Value]]) -> None:
    data, position, size = reader.data, reader.position, reader.size
    for _ in range(count):
        item: Value
        name = None
        try:
            length = data[position]
            if length & 0x81 == 0:
                start = position + 1
                end = start + (length >> 1)
                if end <= size:
                    name = data[start:end].decode()
                    position = end
                    branch = data[end]
                    length = data[end + 1]
                    if branch == 4:
                        start = end + 2
                        end = start + (length >> 1)
                        if length & 0x81 == 0 and end <= size:
                            item = data[start:end].decode()
                            pairs.append((name, item))
                            position = end
                            continue
                    elif branch == 2:
                        reader.position = end + 1
                        pairs.append((name, reader.long("value")))
                        position = reader.position
                        continue
                    elif branch == 0 and length < 2:
                        pairs.append((name, length == 1))
                        position = end + 2
                        continue
        except (IndexError, UnicodeDecodeError):
            pass
        reader.position = position
        if name is None:
            name = reader.identifier("name")
        item = reader.value("value")
        pairs.append((name, item))
        position = reader.position
    reader.position = position
