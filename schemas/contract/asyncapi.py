"""The AsyncAPI 3 document: every topic, and each message in every encoding in which it may be sent."""

import json
from typing import Any, Final

from schemas.contract.examples import EXAMPLE_SOURCE, EXAMPLES, INBOUND_ATTRIBUTES
from schemas.contract.messages import CONTRACT_VERSION, ContractMessage, shared_definitions
from schemas.outbound import CLOUDEVENTS_SPEC_VERSION, CONTENT_TYPE, OUTBOUND_EVENT, cloudevents_headers

_STRUCTURED_CONTENT_TYPE: Final = "application/cloudevents+json"
_DEAD_LETTERS: Final = "order_dead_letters"

_DESCRIPTION: Final = (
    "Order messages in, order events out. The record key is the order id: optional on the way in, always there on the "
    "way out. Inbound messages may be bare JSON, or CloudEvents 1.0 in binary or structured mode; outbound events are "
    "CloudEvents 1.0 in binary mode. Per order, `sequence` on order.events is 1, 2, 3 … without gaps; an event may be "
    "delivered again, to the byte the same. Within version 1, fields, event types, states and reasons may be added: "
    "ignore what you do not know. An inbound record that cannot be read goes to order.dead_letters."
)


def asyncapi_document(messages: list[ContractMessage]) -> dict[str, Any]:
    """The document of these messages and of the dead letters."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    described: dict[str, Any] = {}
    for message in messages:
        key = message.topic.replace(".", "_")
        variants = _inbound_messages(message) if message.inbound else {message.name: _outbound_message(message)}
        described |= variants
        channel = channels.setdefault(key, {"address": message.topic, "messages": {}})
        channel["messages"] |= {name: {"$ref": f"#/components/messages/{name}"} for name in variants}
        action = "receive" if message.inbound else "send"
        operations[f"{action}_{key}"] = {"action": action, "channel": {"$ref": f"#/channels/{key}"}}
    channels[_DEAD_LETTERS] = {
        "address": "order.dead_letters",
        "messages": {"DeadLetter": {"$ref": "#/components/messages/DeadLetter"}},
    }
    operations[f"send_{_DEAD_LETTERS}"] = {"action": "send", "channel": {"$ref": f"#/channels/{_DEAD_LETTERS}"}}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:temporal-order-orchestrator",
        "info": {"title": "Temporal Order Orchestrator", "version": CONTRACT_VERSION, "description": _DESCRIPTION},
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": described | {"DeadLetter": _dead_letter()},
            "schemas": shared_definitions(messages, "#/components/schemas/{model}"),
        },
    }


_SIGNATURE: Final[dict[str, Any]] = {
    "order_signature": {
        "type": "string",
        "description": "A signed JWT that says which event the record is, and of which value: docs/security.md. An "
        "installation may require it.",
    }
}


def _inbound_messages(message: ContractMessage) -> dict[str, Any]:
    """A message without and with the CloudEvents envelope in its value."""
    payload = EXAMPLES[message.event_type]
    attributes = INBOUND_ATTRIBUTES | {"type": message.event_type}
    headers = {f"ce_{name}": value for name, value in attributes.items()} | {"content-type": CONTENT_TYPE}
    plain = _common(message, message.name, CONTENT_TYPE) | {
        "description": "Bare JSON, or CloudEvents in binary mode: then with the headers.",
        "headers": _binary_headers(message.event_type),
        "payload": {"$ref": f"#/components/schemas/{message.name}"},
        "examples": [
            {"name": "bare", "payload": payload},
            {"name": "binary", "headers": headers, "payload": payload},
        ],
    }
    name = f"{message.name}CloudEvent"
    structured = _common(message, name, _STRUCTURED_CONTENT_TYPE) | {
        "description": "CloudEvents in structured mode: the body in `data`; `data_base64` is read too.",
        "headers": {
            "type": "object",
            "properties": {
                "content-type": {"type": "string", "pattern": "^application/cloudevents\\+json(;.*)?$"},
                **_SIGNATURE,
            },
        },
        "payload": _envelope(message),
        "examples": [
            {
                "name": "structured",
                "headers": {"content-type": _STRUCTURED_CONTENT_TYPE},
                "payload": attributes | {"data": payload},
            }
        ],
    }
    return {message.name: plain, name: structured}


def _outbound_message(message: ContractMessage) -> dict[str, Any]:
    payload = EXAMPLES[message.event_type]
    body = OUTBOUND_EVENT.validate_json(json.dumps(payload))
    headers = cloudevents_headers(body, event_type=message.event_type, source=EXAMPLE_SOURCE)
    return _common(message, message.name, CONTENT_TYPE) | {
        "headers": _outbound_headers(message.event_type),
        "payload": {"$ref": f"#/components/schemas/{message.name}"},
        "examples": [{"headers": headers, "payload": payload}],
    }


def _common(message: ContractMessage, name: str, content_type: str) -> dict[str, Any]:
    return {
        "name": message.event_type,
        "title": name,
        "summary": (message.model.__doc__ or "").splitlines()[0],
        "contentType": content_type,
        "bindings": {"kafka": {"key": {"type": "string", "description": "The order id."}, "bindingVersion": "0.5.0"}},
    }


def _attributes(event_type: str) -> dict[str, Any]:
    """The schema of each CloudEvents attribute that we read."""
    return {
        "specversion": {"type": "string", "const": CLOUDEVENTS_SPEC_VERSION},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "pattern": "^[^|]*$"},
        "type": {"type": "string", "const": event_type},
        "time": {"type": "string", "format": "date-time"},
    }


def _binary_headers(event_type: str) -> dict[str, Any]:
    properties = {f"ce_{name}": schema for name, schema in _attributes(event_type).items()}
    return {"type": "object", "properties": properties | {"content-type": {"type": "string"}, **_SIGNATURE}}


def _envelope(message: ContractMessage) -> dict[str, Any]:
    properties = _attributes(message.event_type) | {"data": {"$ref": f"#/components/schemas/{message.name}"}}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name != "time"],
    }


def _outbound_headers(event_type: str) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "ce_specversion": {"type": "string", "const": CLOUDEVENTS_SPEC_VERSION},
        "ce_id": {"type": "string", "format": "uuid"},
        "ce_source": {"type": "string", "minLength": 1},
        "ce_type": {"type": "string", "const": event_type},
        "ce_subject": {"type": "string", "description": "The order id."},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_sequence": {
            "type": "string",
            "pattern": "^[0-9]{10}$",
            "description": "The event's number within its order, padded with zeros so that texts compare as numbers.",
        },
        "content-type": {"type": "string", "const": CONTENT_TYPE},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _dead_letter() -> dict[str, Any]:
    text = {"type": "string"}
    number = {"type": "string", "pattern": "^-?[0-9]+$"}
    properties: dict[str, Any] = {
        "dlq_version": {"type": "string", "const": "1"},
        "dlq_source_topic": text,
        "dlq_source_partition": number,
        "dlq_source_offset": number,
        "dlq_source_timestamp_ms": number,
        "dlq_source_fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        "dlq_stage": text | {"description": "How far the record came."},
        "dlq_error_code": text | {"description": "One of the codes that docs/dead-letters.md explains."},
        "dlq_message": text | {"description": "What is wrong and what to do; never a value of the record."},
        "dlq_attempts": number,
        "dlq_bridge_version": text,
    }
    return {
        "name": "order.dead_letter",
        "title": "DeadLetter",
        "summary": "A record that cannot be read: its own key, value and headers, and why it was set aside.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": properties
            | {"dlq_pointer": text | {"description": "true: the value was too large to copy."}},
            "required": list(properties),
        },
        "payload": {"description": "The bytes as they came, whatever they are."},
    }
