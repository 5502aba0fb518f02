"""Messages as upstream systems write them: the three encodings of the message contract. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from schemas.event_types import EventType
from schemas.outbound import CLOUDEVENTS_SPEC_VERSION

CLI_SOURCE: Final = "/orders/cli"
"""``ce_source`` of what the command line sends."""


class Encoding(StrEnum):
    """How a message is written into a record."""

    BARE = "bare"
    """A JSON object and nothing else: what a person types into the console producer."""
    BINARY = "binary"
    """CloudEvents 1.0 binary mode: attributes in ``ce_*`` headers."""
    STRUCTURED = "structured"
    """CloudEvents 1.0 structured mode: one JSON document with the attributes around the body."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: a record without its coordinates."""

    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def encode_message(
    event_type: EventType, fields: dict[str, Any], *, encoding: Encoding, event_id: str, time: datetime
) -> Message:
    """Writes a message.

    Args:
        event_type: what happened.
        fields: the body's fields as JSON values.
        encoding: in which of the three ways.
        event_id: the event's identity, for the CloudEvents encodings; a bare body has its own field for it.
        time: when it happened, likewise.
    """
    if encoding is Encoding.BARE:
        return Message(_json(fields))
    attributes = {
        "specversion": CLOUDEVENTS_SPEC_VERSION,
        "id": event_id,
        "source": CLI_SOURCE,
        "type": event_type.value,
        "time": time.isoformat(),
    }
    if encoding is Encoding.BINARY:
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        return Message(_json(fields), (*headers, ("content-type", b"application/json")))
    document = {**attributes, "datacontenttype": "application/json", "data": fields}
    return Message(_json(document), (("content-type", b"application/cloudevents+json; charset=UTF-8"),))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def order_id_in(value: bytes) -> str | None:
    """The order_id of a message that somebody else wrote; None where it cannot be told."""
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if isinstance(fields, dict) and isinstance(fields.get("data"), dict):
        fields = fields["data"]
    order_id = fields.get("order_id") if isinstance(fields, dict) else None
    return order_id if isinstance(order_id, str) else None
