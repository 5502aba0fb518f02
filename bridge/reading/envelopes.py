"""Recognises the envelopes that tools put around a body, so that their senders are told what to switch off. Pure."""

from typing import Any, Final

_CHANGE_CAPTURE: Final = (
    "a change-data-capture event; let its connector unwrap the row (the transform ExtractNewRecordState), or read an "
    "outbox table"
)
_WRAPPERS: Final = ("data", "payload", "body", "value", "message", "Message", "event", "record", "detail", "after")
"""Members that tools wrap a body in. Only these are named in a message: any other name is the sender's own."""


def envelope_of(fields: dict[str, Any], missing: str) -> str | None:
    """What a value is wrapped in whose body lacks a field, and what to do; None where it is no envelope.

    Args:
        fields: The value.
        missing: A field that the body must have.
    """
    if "schema" in fields and "payload" in fields:
        inner = fields["payload"]
        further = f"; within it is {_CHANGE_CAPTURE}" if isinstance(inner, dict) and _is_change(inner) else ""
        return f"Kafka Connect's envelope of schema and payload; set value.converter.schemas.enable=false{further}"
    if _is_change(fields):
        return _CHANGE_CAPTURE
    for name in _WRAPPERS:
        inner = fields.get(name)
        if isinstance(inner, dict):
            return (
                f"the member {name}; send what is in it as the value, or a whole CloudEvent (specversion, id, source)"
            )
        if isinstance(inner, str) and inner.lstrip()[:1] == "{":
            return f"the member {name}, as JSON within a text; send that JSON as the value"
    if any(isinstance(inner, dict) and missing in inner for inner in fields.values()):
        return "one of its members; send what is in it as the value"
    return None


def _is_change(fields: dict[str, Any]) -> bool:
    return "op" in fields and ("before" in fields or "after" in fields)
