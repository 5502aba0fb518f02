"""Header fields by their grammar (RFC 9110, section 5.6): lists, quoted strings, parameters, entity tags. Pure.

A field is taken as a whole or not at all: one that is half quoted, or has something behind what was read, says nothing
that could be relied on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED: Final = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_PARAMETERS: Final = rf"(?:[\t ]*;(?:[\t ]*{_WORD}=(?:{_WORD}|{_QUOTED}))?)*[\t ]*"
"""Matches a text in one way only: blanks that could belong to either of two parts would be tried in all ways."""
_PARAMETER: Final = re.compile(rf"({_WORD})=({_WORD}|{_QUOTED})")
_MEDIA_TYPE: Final = re.compile(rf"({_WORD})/({_WORD})({_PARAMETERS})")
_PREFERENCE: Final = re.compile(rf"({_WORD})(?:[\t ]*=[\t ]*({_WORD}|{_QUOTED}))?{_PARAMETERS}")
_ELEMENT: Final = re.compile(rf"((?:[^\",]|{_QUOTED})*)(,|$)")
_ESCAPED: Final = re.compile(r"\\(.)")
_ENTITY_TAG: Final = re.compile(r'(W/)?"([!#-~\x80-\xff]*)"[\t ]*(,|$)')
_BETWEEN_TAGS: Final = re.compile(r"[\t ,]*")
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def header_of(headers: Headers, name: str) -> str | None:
    """A request's header; None where it has none.

    The lines of a header that is sent several times are joined to a list (RFC 9110, section 5.3). A header that may be
    given once is refused then, as a list is no value of it: a proxy before us may have acted on another of the lines.
    """
    lines = headers.getlist(name)
    return ", ".join(lines) if lines else None


def elements(field: str) -> list[str] | None:
    """The elements of a list, without the empty ones; None where a quoted string in it does not end."""
    found, at = [], 0
    while at < len(field):
        match = _ELEMENT.match(field, at)
        if match is None:
            return None
        found.append(match[1].strip("\t "))
        at = match.end()
    return [element for element in found if element]


def unquoted(word: str) -> str:
    """A word's value, be it a token or a quoted string."""
    return _ESCAPED.sub(r"\1", word[1:-1]) if word.startswith('"') else word


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type, or a range of them; all in small letters but the parameters' values."""

    type: str
    subtype: str
    parameters: dict[str, str]


def media_type_of(text: str) -> MediaType | None:
    """A media type; None where the text is none, or gives a parameter twice."""
    match = _MEDIA_TYPE.fullmatch(text.strip("\t "))
    if match is None:
        return None
    given = [(name.lower(), unquoted(word)) for name, word in _PARAMETER.findall(match[3])]
    parameters = dict(given)
    if len(parameters) < len(given):
        return None
    return MediaType(match[1].lower(), match[2].lower(), parameters)


def preferences(field: str | None) -> Iterator[tuple[str, str]]:
    """What the header Prefer asks for, by name and value; what is malformed in it counts as not given (RFC 7240)."""
    for element in elements(field or "") or ():
        match = _PREFERENCE.fullmatch(element)
        if match is not None:
            yield match[1].lower(), unquoted(match[2] or "")


def weight_of(accept: str | None, type_: str, subtype: str) -> tuple[float, int]:
    """How much the client wants a form, by its header Accept (RFC 9110, section 12.5.1).

    Args:
        accept: the header; without one, every form will do. What is malformed in it counts as not given.
        type_: the first part of the form's media type.
        subtype: the second part.

    Returns:
        Its weight, 0 for a form that is not wanted, and how exactly that was said: 2 by name, 1 by its first part, 0 by
        `*/*`.
    """
    ranges = [one for one in map(media_type_of, elements(accept or "") or ()) if one is not None]
    if not ranges:
        return 1.0, 0
    best: tuple[int, float] | None = None
    for one in ranges:
        weight = one.parameters.get("q", "1")
        exactness = {(type_, subtype): 2, (type_, "*"): 1, ("*", "*"): 0}.get((one.type, one.subtype))
        if exactness is None or _WEIGHT.fullmatch(weight) is None:
            continue
        # The most exact range counts, whatever another one says; of two alike the greater weight.
        best = max(best or (exactness, 0.0), (exactness, float(weight)))
    return (0.0, 0) if best is None else (best[1], best[0])


@dataclass(frozen=True, slots=True)
class EntityTag:
    """An ETag as a client gives it back."""

    opaque: str
    is_weak: bool = False


def entity_tags(field: str) -> list[EntityTag] | None:
    """The entity tags of a list; None where it is none, or empty."""
    found = []
    at = _end(_BETWEEN_TAGS, field, 0)
    while at < len(field):
        match = _ENTITY_TAG.match(field, at)
        if match is None:
            return None
        found.append(EntityTag(match[2], is_weak=match[1] is not None))
        at = _end(_BETWEEN_TAGS, field, match.end())
    return found or None


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return at if match is None else match.end()
