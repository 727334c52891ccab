"""Templates: texts with names in braces, of messages and of the resource.

`Loans to {request.country} are not permitted.` A template cannot fail: it may only name what is
declared and has a text, and that is judged when the policy is read. There is no escape for braces.
"""

from collections.abc import Mapping
from typing import NamedTuple


class TemplateInvalid(ValueError):
    """A text with braces that do not pair; `str()` says what."""


class Template(NamedTuple):
    """`texts` stand around `names`: always one more of them."""

    texts: tuple[str, ...]
    names: tuple[str, ...]


def parse(text: str) -> Template:
    """Split a text at its names. Raises `TemplateInvalid`."""
    texts, found = [], []
    rest = text
    while "{" in rest:
        before, _, after = rest.partition("{")
        name, closed, rest = after.partition("}")
        if "}" in before or not closed or "{" in name:
            raise TemplateInvalid("braces do not pair: names stand in braces, such as {actor}")
        texts.append(before)
        found.append(name)
    if "}" in rest:
        raise TemplateInvalid("braces do not pair: names stand in braces, such as {actor}")
    return Template((*texts, rest), tuple(found))


def render(template: Template, texts: Mapping[str, str]) -> str:
    """Fill in the names; `texts` has each of them."""
    parts = [template.texts[0]]
    for name, following in zip(template.names, template.texts[1:], strict=True):
        parts += (texts[name], following)
    return "".join(parts)


def bytes_max(template: Template, sizes: Mapping[str, int]) -> int:
    """Return the most bytes that the filled template can have."""
    fixed = sum(len(text.encode()) for text in template.texts)
    return fixed + sum(sizes[name] for name in template.names)
