"""CloudEvents 1.0 on Kafka (protocol binding 1.0.2): the attributes of an event, from headers or from the value."""

import json
from base64 import b64decode
from dataclasses import dataclass, replace
from typing import Any

from bridge.reading.json_text import ReadLimits, parse_object
from bridge.record import Header
from bridge.refusal import Refusal, RefusalCode, RefusedError, Stage

SPEC_VERSION = "1.0"
STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
EVENT_ID_MAX_CHARS = 512
"""Longest source and id together: at four bytes a character still within what most databases index."""

_CONTENT_TYPE_HEADER = "content-type"
_ATTRIBUTES = ("specversion", "id", "source", "type", "time")
_HEADERS = {_CONTENT_TYPE_HEADER: _CONTENT_TYPE_HEADER} | {
    f"ce{separator}{name}": name for name in _ATTRIBUTES for separator in "_-"
}
"""The binding writes an underscore. Frameworks that write the dash of CloudEvents' HTTP binding are read alike."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a record says of its event beside the body; None where it says nothing."""

    event_id: str | None = None
    """``source|id``, as only the two together are unique; a ``|`` cannot stand in a URI reference."""
    type: str | None = None
    time: str | None = None
    structured: bool = False
    """Whether the headers say that the attributes are in the value."""
    given: bool = False
    """Whether there is any attribute at all."""
    traceparent: str | None = None
    """The extension for distributed tracing, of an event in structured mode."""


_NONE = Attributes()
_STRUCTURED = Attributes(structured=True)


def read_binary_attributes(headers: tuple[Header, ...]) -> Attributes:
    """The CloudEvents attributes in a record's headers. All other headers are left alone.

    Raises:
        RefusedError: A header of these is there twice with different values, is no UTF-8, or breaks the CloudEvents
            specification.
    """
    if not headers:
        return _NONE
    found: dict[str, str] = {}
    for header, value in headers:
        # The names are in lower case; senders that capitalise them are understood by CloudEvents' own libraries too.
        name = _HEADERS.get(header.lower())
        if name is None:
            continue
        text = _header_text(header, value)
        if found.setdefault(name, text) != text:
            raise _error(
                RefusalCode.HEADER_REPEATED,
                f"the header {header} is there more than once, or spelled in two ways, with different values; send one",
            )
    content_type = found.pop(_CONTENT_TYPE_HEADER, "").partition(";")[0].strip().lower()
    if content_type.startswith("application/cloudevents"):
        if content_type != STRUCTURED_CONTENT_TYPE:
            raise _error(
                RefusalCode.CONTENT_TYPE_UNSUPPORTED,
                f"of CloudEvents content types only {STRUCTURED_CONTENT_TYPE} is read; send single events",
            )
        return _STRUCTURED
    if not found:
        return _NONE
    _check_data_content_type(content_type)
    return _attributes(found, prefix="ce_")


_REQUIRED = frozenset({"specversion", "id", "source", "type"})
"""What every CloudEvent has (CloudEvents 1.0, required attributes)."""


def reads_as_structured(attributes: Attributes, fields: dict[str, Any], bare_member: str | None) -> bool:
    """Whether a value without attributes in its headers is a structured event: tools without headers send these.

    Args:
        attributes: What the headers say.
        fields: The members of the value.
        bare_member: A member that a bare body always has, and an event has only within its data. Then `specversion`
            without that member tells an event. None where there is none: all required attributes tell it.
    """
    if attributes.given or "specversion" not in fields:
        return False
    return bare_member not in fields if bare_member is not None else fields.keys() >= _REQUIRED


def read_structured_attributes(fields: dict[str, Any], limits: ReadLimits) -> tuple[Attributes, dict[str, Any]]:
    """The attributes of an event in structured mode, and its data.

    Args:
        fields: The event's members.
        limits: How much data is read.

    Raises:
        RefusedError: An attribute breaks the specification, or the data is no JSON object.
    """
    found: dict[str, str] = {}
    for name in _ATTRIBUTES:
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise _error(
                RefusalCode.ATTRIBUTE_INVALID, f"the CloudEvents attribute {name} is no text; send it in quotes"
            )
        found[name] = value
    content_type = fields.get("datacontenttype")
    if isinstance(content_type, str):
        _check_data_content_type(content_type.partition(";")[0].strip().lower())
    if "specversion" not in found:
        raise _error(RefusalCode.ATTRIBUTE_MISSING, "the CloudEvents attribute specversion is missing; send 1.0")
    attributes, traceparent = _attributes(found, prefix=""), fields.get("traceparent")
    if isinstance(traceparent, str):
        attributes = replace(attributes, traceparent=traceparent)
    return attributes, _structured_data(fields, limits)


def _structured_data(fields: dict[str, Any], limits: ReadLimits) -> dict[str, Any]:
    """The event's data: a JSON object as it is, or its bytes in Base64 (JSON event format 1.0.2, section 3.1)."""
    data, in_base64 = fields.get("data"), fields.get("data_base64")
    if in_base64 is None:
        if not isinstance(data, dict):
            raise _error(
                RefusalCode.DATA_MISSING,
                "the CloudEvents member data is missing, or is no JSON object; send the body there",
            )
        return data
    if data is not None:
        raise _error(RefusalCode.ATTRIBUTE_INVALID, "of the CloudEvents members data and data_base64 send only one")
    try:
        decoded = b64decode(in_base64, validate=True)
    except (TypeError, ValueError):  # No text, other characters, or a length that no bytes have.
        raise _error(
            RefusalCode.ATTRIBUTE_INVALID, "the CloudEvents member data_base64 is not Base64; correct it, or send data"
        ) from None
    return parse_object(decoded, limits)


def _header_text(header: str, value: bytes | None) -> str:
    try:
        return without_json_quotes((value or b"").decode())
    except UnicodeDecodeError:
        raise _error(RefusalCode.HEADER_NOT_UTF_8, f"the header {header} is not UTF-8; encode it as UTF-8") from None


def without_json_quotes(text: str) -> str:
    """The text, without one pair of JSON quotes: several widely used tools write keys and headers as JSON."""
    if len(text) < len('""') or text[0] != '"' or text[-1] != '"':
        return text
    try:
        read = json.loads(text)
    except ValueError:
        return text[1:-1]
    return read if isinstance(read, str) else text


def _check_data_content_type(content_type: str) -> None:
    # JSON event format 1.0.2, section 3.1: any type whose subtype is json, or ends with +json.
    if content_type and not content_type.endswith(("/json", "+json")):
        raise _error(
            RefusalCode.CONTENT_TYPE_UNSUPPORTED, "the content type of the data is not JSON; send application/json data"
        )


def _attributes(found: dict[str, str], *, prefix: str) -> Attributes:
    for name, value in found.items():
        # CloudEvents 1.0, type system: no control characters. And an empty attribute says nothing.
        if not value or any(character < " " or "\x7f" <= character <= "\x9f" for character in value):
            raise _error(
                RefusalCode.ATTRIBUTE_INVALID,
                f"the CloudEvents attribute {prefix}{name} is empty or holds a control character; "
                "correct it, or leave it out",
            )
    if found.get("specversion", SPEC_VERSION) != SPEC_VERSION:
        raise _error(
            RefusalCode.SPECVERSION_UNSUPPORTED, f"of CloudEvents only specversion {SPEC_VERSION} is read; send that"
        )
    return Attributes(_event_id(found, prefix), found.get("type"), found.get("time"), given=True)


def _event_id(found: dict[str, str], prefix: str) -> str | None:
    """Source and id together. One without the other would make two senders' events look like one."""
    source, event_id = found.get("source"), found.get("id")
    if source is None and event_id is None:
        return None
    if source is None or event_id is None:
        missing = "source" if source is None else "id"
        raise _error(
            RefusalCode.ATTRIBUTE_MISSING,
            f"the CloudEvents attribute {prefix}{missing} is missing: send it, as id and source name an event together",
        )
    if "|" in source:
        raise _error(
            RefusalCode.ATTRIBUTE_INVALID,
            f"the CloudEvents attribute {prefix}source holds a |, which no URI reference has; send one that has none",
        )
    joined = f"{source}|{event_id}"
    if len(joined) > EVENT_ID_MAX_CHARS:
        raise _error(
            RefusalCode.ATTRIBUTE_INVALID,
            f"{prefix}source and {prefix}id together have more than {EVENT_ID_MAX_CHARS - 1} characters; shorten them",
        )
    return joined


def _error(code: RefusalCode, message: str) -> RefusedError:
    return RefusedError(Refusal(Stage.ENVELOPE, code, message))
