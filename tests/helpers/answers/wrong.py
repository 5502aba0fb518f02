"""Requests in which one thing is wrong, made from the OpenAPI document: each field of a body, each parameter, and a
parameter that there is not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator

from orders.web.contract import document

DOCUMENT: Final[dict[str, Any]] = document()
COMPONENTS: Final = {"components": DOCUMENT["components"]}
_TRIED: Final = ("perhaps", "-bad-", '"half', "\x00", "x" * 2_000)
"""Values for parameters: whatever a parameter may be, one of these is wrong for it."""
_NOT_IN_THE_DOCUMENT: Final = {
    "cursor": "made-up",
    "Last-Event-ID": "yesterday",
    "If-Match": '"2',
    "Idempotency-Key": '"half',
}
"""Parameters that the document calls text and only the server can judge, each with a wrong value."""
_ANYTHING: Final = frozenset({"Prefer"})
"""Parameters that are never wrong: what is malformed counts as not given (RFC 7240, section 2)."""
_NO_PARAMETER: Final = "utm_source"
"""A parameter that no operation has; links in mails do."""
_OTHER_CODES: Final = {"If-Match": "precondition_invalid", "Idempotency-Key": "idempotency_key_invalid"}


@dataclass(frozen=True, slots=True)
class WrongParameter:
    """A parameter with a value that it cannot have."""

    name: str
    place: str
    """``path``, ``query`` or ``header``."""
    value: str

    @property
    def code(self) -> str:
        """The code of the problem that it is answered with."""
        return _OTHER_CODES.get(self.name, "request_invalid")


def operation_of(name: str) -> dict[str, Any]:
    """An operation of the document, by its method and path."""
    method, _, path = name.partition(" ")
    found: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return found


def wrong_parameters(name: str) -> Iterator[WrongParameter]:
    """Each parameter of an operation once, with a value that is wrong; and one that the operation does not have."""
    yield WrongParameter(_NO_PARAMETER, "query", "newsletter")
    for parameter in operation_of(name).get("parameters", []):
        if parameter["name"] not in _ANYTHING:
            yield WrongParameter(parameter["name"], parameter["in"], _wrong_value(parameter))


def _wrong_value(parameter: dict[str, Any]) -> str:
    known = _NOT_IN_THE_DOCUMENT.get(parameter["name"])
    if known is not None:
        return known
    # A header's value is text of one line.
    tried = [one for one in _TRIED if parameter["in"] != "header" or one.isprintable()]
    return next(one for one in tried if not _may_be(parameter["schema"], one))


def _may_be(schema: dict[str, Any], text: str) -> bool:
    """Whether a parameter's text may stand for a value of the schema."""
    beside = {name: value for name, value in schema.items() if name not in ("anyOf", "$ref")}
    for one in schema.get("anyOf", [schema]):
        resolved = {**_resolved(one), **beside}
        if resolved.get("type") == "array":
            resolved = _resolved(resolved["items"])
        is_text = resolved.get("type") == "string" and resolved.get("format") != "date-time"
        if is_text and Draft202012Validator({**resolved, **COMPONENTS}).is_valid(text):
            return True
    return False


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: dict[str, Any] = DOCUMENT["components"]["schemas"][reference.rpartition("/")[2]]
    return found


# Bodies --------------------------------------------------------------------------------------------------------------


def wrong_bodies(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field of an operation's body once, of a type that it cannot have: its JSON pointer, and the body."""
    body = operation_of(name).get("requestBody")
    if body is None:
        return
    content = body["content"]["application/json"]
    schema = _resolved(content["schema"])
    good = [one["value"] for one in content.get("examples", {}).values()] or [{}]
    for form in schema.get("anyOf", [schema]):
        example = next(one for one in good if Draft202012Validator({**form, **COMPONENTS}).is_valid(one))
        for pointer, wrong in _wrong_fields(_resolved(form), example):
            assert isinstance(wrong, dict)
            yield pointer, wrong


def _wrong_fields(schema: dict[str, Any], good: Any) -> Iterator[tuple[str, Any]]:
    """The good value with one part of it wrong, for each part that it may have."""
    for name, field in schema.get("properties", {}).items():
        forms = [_resolved(one) for one in field.get("anyOf", [field])]
        forms = [inner for one in forms for inner in map(_resolved, one.get("anyOf", [one]))]
        yield f"/{name}", {**good, name: _of_no_type({str(one["type"]) for one in forms if "type" in one})}
        for form in forms:
            if form.get("type") == "object":
                for pointer, wrong in _wrong_fields(form, good.get(name, {})):
                    yield f"/{name}{pointer}", {**good, name: wrong}
            elif form.get("type") == "array":
                yield from _wrong_items(name, _resolved(form["items"]), good)


def _wrong_items(name: str, items: dict[str, Any], good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if "properties" not in items:
        yield f"/{name}/0", {**good, name: [7]}
        return
    first = (good.get(name) or [{}])[0]
    for pointer, wrong in _wrong_fields(items, first):
        yield f"/{name}/0{pointer}", {**good, name: [wrong]}


def _of_no_type(types: set[str]) -> Any:
    """A value of none of these types of JSON; no field of ours takes both texts and numbers."""
    assert not {"string", "integer"} <= types
    return 7 if "string" in types else "seven"
