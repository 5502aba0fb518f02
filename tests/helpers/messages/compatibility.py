"""Whether a contract may follow another within one version: every difference that breaks a sender or a reader.

Two JSON Schemas are compared by what they accept. What we read must still be accepted as it was before; what readers
read must still be what the former schema accepts. A keyword that is not known here is itself reported: the comparison
never passes over what it does not understand.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

Schema = dict[str, Any]

_SAYS_NOTHING: Final = {"title", "description", "examples", "default", "$ref", "anyOf", "propertyNames"}
"""What is passed over. `propertyNames` refuses names that only look like a field's: senders use none of their own."""
_SAYS_NOTHING_ITSELF: Final = {"properties", "required", "items"}
_LEAST: Final = {"minimum", "minLength", "minItems"}
_MOST: Final = {"maximum", "maxLength", "maxItems"}
_SAME: Final = {"type", "pattern", "format", "const", "not"}
_KNOWN: Final = _SAYS_NOTHING | _SAYS_NOTHING_ITSELF | _LEAST | _MOST | _SAME | {"enum"}


def breaking_changes(former: Schema, present: Schema) -> list[str]:
    """What the present AsyncAPI document breaks of the former one: nothing, or each place and what is wrong there."""
    return [
        *_missing_channels(former, present),
        *(
            change
            for name, message in former["components"]["messages"].items()
            for change in _message_changes(name, message, former, present)
        ),
    ]


def _missing_channels(former: Schema, present: Schema) -> Iterator[str]:
    """Topics, and which messages they carry, by address: a channel's key is nobody's business."""
    addresses = {channel["address"]: set(channel["messages"]) for channel in present["channels"].values()}
    for channel in former["channels"].values():
        for gone in sorted(set(channel["messages"]) - addresses.get(channel["address"], set())):
            yield f"{channel['address']}: no longer carries {gone}"


def _message_changes(name: str, message: Schema, former: Schema, present: Schema) -> Iterator[str]:
    now = present["components"]["messages"].get(name)
    if now is None:
        yield f"{name}: is gone"
        return
    if now["contentType"] != message["contentType"]:
        yield f"{name}: has another content type"
    read_by_us = _is_read_by_us(name, former)
    for part in ("headers", "payload"):
        before, after = Side(message[part], former), Side(now[part], present)
        accepted = _Comparison(wide=after.document, narrow=before.document)
        if read_by_us:
            yield from accepted.refused(after.schema, before.schema, f"{name}.{part}")
        else:
            turned = _Comparison(wide=before.document, narrow=after.document)
            yield from turned.refused(before.schema, after.schema, f"{name}.{part}")
        yield from _taken_away(before, after, f"{name}.{part}", defaults_count=read_by_us)


def _is_read_by_us(name: str, document: Schema) -> bool:
    for operation in document["operations"].values():
        _, _, key = operation["channel"]["$ref"].rpartition("/")
        if name in document["channels"][key]["messages"]:
            return bool(operation["action"] == "receive")
    raise AssertionError(f"no operation has the message {name}")


@dataclass(frozen=True, slots=True)
class Side:
    """A schema with the document that its references are into."""

    schema: Schema
    document: Schema

    def resolved(self) -> "Side":
        schema = self.schema
        while "$ref" in schema:
            schema = _resolve(schema, self.document)
        return Side(schema, self.document)

    def alternatives(self) -> "list[Side]":
        here = self.resolved()
        if "anyOf" not in here.schema:
            return [here]
        return [one for each in here.schema["anyOf"] for one in Side(each, self.document).alternatives()]


def _resolve(schema: Schema, document: Schema) -> Schema:
    target: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    resolved: Schema = target
    return resolved


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two documents, of which one is to accept whatever the other accepts."""

    wide: Schema
    narrow: Schema

    def refused(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        """Why the wide schema would refuse something that the narrow one accepts."""
        takers = Side(wide, self.wide).alternatives()
        for given in Side(narrow, self.narrow).alternatives():
            reasons = [list(self._refused_alternative(taker.schema, given.schema, path)) for taker in takers]
            if all(reasons):
                # The alternative that comes nearest says best what is wrong.
                yield from min(reasons, key=len)

    def _refused_alternative(self, wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
        for unknown in sorted((set(wide) | set(narrow)) - _KNOWN):
            yield f"{path}: the keyword {unknown} is not understood by this comparison"
        yield from _refused_values(wide, narrow, path)
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ()))):
            yield f"{path}.{name}: is required on the reading side, and may be missing on the sending side"
        # A field that only the reading side knows is an addition: senders are told not to use names of their own.
        offered = narrow.get("properties", {})
        for name, schema in wide.get("properties", {}).items():
            if name in offered:
                yield from self.refused(schema, offered[name], f"{path}.{name}")
        if "items" in wide:
            yield from self.refused(wide["items"], narrow.get("items", {}), f"{path}[]")


def _refused_values(wide: Schema, narrow: Schema, path: str) -> Iterator[str]:
    for keyword in sorted(_SAME & set(wide)):
        # An integer is a number; all else has to be the same.
        if narrow.get(keyword) != wide[keyword] and (narrow.get(keyword), wide[keyword]) != ("integer", "number"):
            yield f"{path}: {keyword} {narrow.get(keyword)!r} is sent, {wide[keyword]!r} is read"
    for keyword in sorted(_LEAST & set(wide)):
        if narrow.get(keyword, float("-inf")) < wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)} is sent, {wide[keyword]} is read"
    for keyword in sorted(_MOST & set(wide)):
        if narrow.get(keyword, float("inf")) > wide[keyword]:
            yield f"{path}: {keyword} {narrow.get(keyword)} is sent, {wide[keyword]} is read"
    if "enum" in wide:
        sent = narrow.get("enum", [narrow.get("const", "any value")])
        for value in sent:
            if value not in wide["enum"]:
                yield f"{path}: {value!r} is sent, and none of the values that are read"


def _taken_away(before: Side, after: Side, path: str, *, defaults_count: bool) -> Iterator[str]:
    """Fields and known values that are gone, and defaults that are others: accepted or not, they meant something."""
    old, new = before.alternatives(), after.alternatives()
    known = {value for side in new for value in side.schema.get("enum", ())}
    for side in old:
        for value in side.schema.get("enum", ()):
            if value not in known:
                yield f"{path}: the value {value!r} is gone"
        for place, field, owners in _fields(side, new):
            where = f"{path}{place}"
            if not owners:
                yield f"{where}: is gone"
                continue
            if defaults_count and field.schema.get("default") != owners[0].schema.get("default"):
                yield f"{where}: has another default"
            yield from _taken_away(field, owners[0], where, defaults_count=defaults_count)


def _fields(before: Side, after: list[Side]) -> Iterator[tuple[str, Side, list[Side]]]:
    """Each field of an object, and the elements of an array: where it is, and what it is before and after."""
    for name, schema in before.schema.get("properties", {}).items():
        owners = [one for one in after if name in one.schema.get("properties", {})]
        now = [Side(one.schema["properties"][name], one.document) for one in owners]
        yield f".{name}", Side(schema, before.document), now
    if "items" in before.schema:
        now = [Side(one.schema["items"], one.document) for one in after if "items" in one.schema]
        yield "[]", Side(before.schema["items"], before.document), now
