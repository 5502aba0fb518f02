"""The published contract: JSON Schema and AsyncAPI 3 documents, made from the models.

``python -m schemas.contract DIRECTORY`` writes them; a test holds docs/contract to what this makes.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas.inbound import BODY_MODELS
from schemas.outbound import (
    CLOUDEVENTS_SPEC_VERSION,
    CONTENT_TYPE,
    OUTBOUND_EVENT,
    OrderAddressChanged,
    OrderEventRejected,
    OrderStateChanged,
    OutboundBody,
    cloudevents_headers,
)
from schemas.states import EventType, OutboundType

CONTRACT_VERSION: Final = "1.0.0"
ORDER_EVENTS_TOPIC: Final = "order.events"
EXAMPLE_SOURCE: Final = "urn:temporal-order-orchestrator"

OUTBOUND_MODELS: Final[dict[OutboundType, type[OutboundBody]]] = {
    OutboundType.STATE_CHANGED: OrderStateChanged,
    OutboundType.ADDRESS_CHANGED: OrderAddressChanged,
    OutboundType.EVENT_REJECTED: OrderEventRejected,
}
"""The model of each published event type."""

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    EventType.ORDER_CREATED: {
        "order_id": "o-1001",
        "payment_id": "p-1001",
        "customer_id": "c-42",
        "currency": "EUR",
        "items": [{"sku": "mug-blue", "quantity": 2, "unit_amount": 1250}],
        "amount": 2500,
        "shipping_address": {
            "street": "1 Example Street",
            "city": "Utrecht",
            "zip_code": "3511 AA",
            "country": "NL",
        },
    },
    EventType.ORDER_APPROVED: {"order_id": "o-1001", "approved_by": "ops-7"},
    EventType.ORDER_CANCELLED: {"order_id": "o-1001", "cancelled_by": "c-42", "reason": "ordered twice"},
    EventType.ORDER_ADDRESS_UPDATED: {"order_id": "o-1001", "address": {"street": "2 Example Street"}},
    OutboundType.STATE_CHANGED: {
        "order_id": "o-1001",
        "sequence": 3,
        "previous_state": "VALIDATED",
        "state": "APPROVED",
        "occurred_at": "2026-01-31T12:00:00Z",
        "cause": {"event_id": "order.approved:0:17", "type": "order.approved"},
        "reason": None,
        "type": "order.state_changed",
        "payment_id": "p-1001",
        "amount": 2500,
        "currency": "EUR",
        "tracking_id": None,
    },
    OutboundType.ADDRESS_CHANGED: {
        "order_id": "o-1001",
        "sequence": 4,
        "previous_state": "APPROVED",
        "state": "APPROVED",
        "occurred_at": "2026-01-31T12:00:01Z",
        "cause": {"event_id": "order.address_updated:0:9", "type": "order.address_updated"},
        "reason": None,
        "type": "order.address_changed",
        "address": {
            "street": "2 Example Street",
            "city": "Utrecht",
            "state": None,
            "zip_code": "3511 AA",
            "country": "NL",
        },
    },
    OutboundType.EVENT_REJECTED: {
        "order_id": "o-1001",
        "sequence": 10,
        "previous_state": "COMPLETED",
        "state": "COMPLETED",
        "occurred_at": "2026-01-31T12:05:00Z",
        "cause": {"event_id": "order.cancelled:0:3", "type": "order.cancelled"},
        "reason": "order_closed",
        "type": "order.event_rejected",
    },
}
"""One example of each type; what is published looks to the byte like its example."""


@dataclass(frozen=True, slots=True)
class _Message:
    """One message of the contract."""

    event_type: str
    model: type[BaseModel]
    topic: str
    mode: Literal["validation", "serialization"]

    @property
    def name(self) -> str:
        return self.model.__name__


def _messages() -> list[_Message]:
    inbound = [_Message(event_type, model, event_type.value, "validation") for event_type, model in BODY_MODELS.items()]
    outbound = [
        _Message(event_type, model, ORDER_EVENTS_TOPIC, "serialization")
        for event_type, model in OUTBOUND_MODELS.items()
    ]
    return inbound + outbound


def documents() -> dict[str, Any]:
    """Every document of the contract, by its path below docs/contract."""
    made: dict[str, Any] = {"asyncapi.json": _asyncapi()}
    for message in _messages():
        schema = message.model.model_json_schema(mode=message.mode)
        made[f"schemas/{message.event_type}.json"] = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:temporal-order-orchestrator:v1:{message.event_type}",
            **schema,
        }
        made[f"examples/{message.event_type}.json"] = EXAMPLES[message.event_type]
    return made


def _asyncapi() -> dict[str, Any]:
    messages = _messages()
    _, definitions = models_json_schema(
        [(message.model, message.mode) for message in messages], ref_template="#/components/schemas/{model}"
    )
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for message in messages:
        key = message.topic.replace(".", "_")
        channel = channels.setdefault(key, {"address": message.topic, "messages": {}})
        channel["messages"][message.name] = {"$ref": f"#/components/messages/{message.name}"}
        action = "receive" if message.mode == "validation" else "send"
        operations[f"{action}_{key}"] = {"action": action, "channel": {"$ref": f"#/channels/{key}"}}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:temporal-order-orchestrator",
        "info": {
            "title": "Temporal Order Orchestrator",
            "version": CONTRACT_VERSION,
            "description": (
                "Order messages in, order events out. The record key is the order id: optional on the way in, always "
                "there on the way out. Inbound messages may be bare JSON, or CloudEvents 1.0 in binary or structured "
                "mode; outbound events are CloudEvents 1.0 in binary mode. Per order, `sequence` on order.events is "
                "1, 2, 3 … without gaps; an event may be delivered again, to the byte the same."
            ),
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {message.name: _message(message) for message in messages},
            "schemas": definitions["$defs"],
        },
    }


def _message(message: _Message) -> dict[str, Any]:
    example: dict[str, Any] = {"payload": EXAMPLES[message.event_type]}
    described: dict[str, Any] = {
        "name": message.event_type,
        "title": message.name,
        "summary": (message.model.__doc__ or "").splitlines()[0],
        "contentType": CONTENT_TYPE,
        "payload": {"$ref": f"#/components/schemas/{message.name}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The order id."}, "bindingVersion": "0.5.0"}},
    }
    if message.mode == "serialization":
        described["headers"] = _headers_schema(message.event_type)
        body = OUTBOUND_EVENT.validate_json(json.dumps(EXAMPLES[message.event_type]))
        example["headers"] = cloudevents_headers(body, event_type=message.event_type, source=EXAMPLE_SOURCE)
    described["examples"] = [example]
    return described


def _headers_schema(event_type: str) -> dict[str, Any]:
    text: Mapping[str, Any] = {"type": "string"}
    properties: dict[str, Any] = {
        "ce_specversion": {"const": CLOUDEVENTS_SPEC_VERSION},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_source": dict(text),
        "ce_type": {"const": event_type},
        "ce_subject": {"type": "string", "description": "The order id."},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_sequence": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "content-type": {"const": CONTENT_TYPE},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def write(directory: Path) -> None:
    """Writes every document below the directory."""
    for name, document in documents().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(document))


def render(document: object) -> str:
    """A document as it is checked in: indented, readable, with a last newline."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
