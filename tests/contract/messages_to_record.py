"""What is recorded of a version: each type in each encoding and at its limits, each state and each reason.

A new field, state or reason gets a further name here; nothing that is recorded is changed. All of it is invented.
"""

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final

from schemas.event_types import EventType
from schemas.order import Address, Adjustment
from schemas.outbound import Cause, OrderAddressChanged, OrderEventRejected, OrderStateChanged, OutboundEvent
from schemas.states import OrderState, ReasonCode
from tests.helpers.messages.messages import SOURCE, Encoding, Message, message_of

NOON: Final = "2026-01-31T12:00:00Z"
ADDRESS: Final = {
    "street": "1 Example Street",
    "city": "Sample Town",
    "state": "ST",
    "zip_code": "00000",
    "country": "XX",
}

_LEAST: Final[dict[EventType, dict[str, Any]]] = {
    EventType.ORDER_CREATED: {"order_id": "o-1", "payment_id": "p-1"},
    EventType.ORDER_APPROVED: {"order_id": "o-1"},
    EventType.ORDER_CANCELLED: {"order_id": "o-1"},
    EventType.ORDER_ADDRESS_UPDATED: {"order_id": "o-1", "address": {"city": "Sample Town"}},
}
_MOST: Final[dict[EventType, dict[str, Any]]] = {
    EventType.ORDER_CREATED: {
        "order_id": "o-1",
        "event_id": "b-1",
        "occurred_at": NOON,
        "payment_id": "p-1",
        "customer_id": "c-1",
        "currency": "EUR",
        "items": [
            {"sku": "mug-blue", "quantity": 2, "unit_amount": 1250},
            {"sku": "cup-red", "quantity": 1, "unit_amount": 0},
        ],
        "adjustments": [
            {"kind": "discount", "amount": -250, "description": "ten per cent"},
            {"kind": "tax", "amount": 0},
        ],
        "amount": 2250,
        "shipping_address": ADDRESS,
    },
    EventType.ORDER_APPROVED: {
        "order_id": "o-1",
        "event_id": "b-1",
        "occurred_at": NOON,
        "approved_by": "ops-1",
        "note": "as agreed",
    },
    EventType.ORDER_CANCELLED: {
        "order_id": "o-1",
        "event_id": "b-1",
        "occurred_at": NOON,
        "cancelled_by": "c-1",
        "reason": "ordered twice",
    },
    EventType.ORDER_ADDRESS_UPDATED: {"order_id": "o-1", "event_id": "b-1", "occurred_at": NOON, "address": ADDRESS},
}


def inbound_messages() -> dict[str, tuple[str, Message]]:
    """Topic and message, by what is particular about it."""
    made: dict[str, tuple[str, Message]] = {}
    for event_type in EventType:
        for encoding in Encoding:
            for size, body in (("least", _LEAST[event_type]), ("most", _MOST[event_type])):
                event_id = None if encoding is Encoding.BARE else "e-1"
                message = message_of(event_type, body, encoding=encoding, event_id=event_id)
                made[f"{event_type}, {encoding.name.lower()}, {size}"] = (event_type.value, message)
    return made | {name: (EventType.ORDER_CREATED.value, message) for name, message in _particular_orders().items()}


def _order(**fields: Any) -> Message:
    return Message(json.dumps(_LEAST[EventType.ORDER_CREATED] | fields, ensure_ascii=False).encode(), b"o-1")


def _structured(**members: Any) -> Message:
    attributes = {"specversion": "1.0", "id": "e-1", "source": SOURCE, "type": "order.created", **members}
    return Message(json.dumps(attributes).encode(), b"o-1", (("content-type", b"application/cloudevents+json"),))


def _particular_orders() -> dict[str, Message]:
    body = json.dumps(_LEAST[EventType.ORDER_CREATED]).encode()
    return {
        "no key": Message(body),
        "typed by hand": Message(b' { "order_id" : "o-1" , "payment_id" : "p-1" } '),
        "unknown fields": _order(colour="red", nested={"a": [1, None, True]}),
        "optional fields as null": _order(
            customer_id=None,
            amount=None,
            shipping_address=None,
            event_id=None,
            items=None,
            adjustments=None,
            currency=None,
        ),
        "no items": _order(items=[]),
        "adjustments alone": _order(adjustments=[{"kind": "shipping", "amount": 490}]),
        "blank texts": _order(customer_id="", event_id=" ", occurred_at="", currency=""),
        "whole numbers with a point and an exponent": Message(
            b'{"order_id":"o-1","payment_id":"p-1","items":[{"sku":"s","quantity":2.0,"unit_amount":1.25e3}]}'
        ),
        "amount without items": _order(amount=1),
        "items without amount": _order(items=[{"sku": "s", "quantity": 3, "unit_amount": 7}]),
        "largest amount": _order(amount=10**15),
        "largest quantity": _order(items=[{"sku": "s", "quantity": 1_000_000, "unit_amount": 1}]),
        "shortest ids": Message(b'{"order_id":"o","payment_id":"p"}', b"o"),
        "longest ids": Message(json.dumps({"order_id": "o" * 128, "payment_id": "P._:-" + "0" * 123}).encode()),
        "longest text": _order(customer_id="c" * 1_000),
        "longest event id": _order(event_id="e" * 512),
        "characters of all kinds": _order(customer_id="Zoë \N{SNOWMAN} \N{PACKAGE} \"'\\ \u2028"),
        "escaped characters": Message(
            b'{"order_id":"o-1","payment_id":"p-1","customer_id":"Zo\\u00eb \\ud83d\\udce6"}'
        ),
        "an address of one field": _order(shipping_address={"country": "XX"}),
        "time with an offset": _order(occurred_at="2026-01-31T12:00:00.5+05:45"),
        "time in lower case": _order(occurred_at="2026-01-31t12:00:00z"),
        "a leap second": _order(occurred_at="2016-12-31T23:59:60Z"),
        "time in picoseconds": _order(occurred_at="2026-01-31T12:00:00.123456789012Z"),
        "time in nanoseconds": _order(occurred_at="2026-01-31T12:00:00.123456789-09:30"),
        "only ce_type": Message(body, b"o-1", (("ce_type", b"order.created"),)),
        "only ce_id and ce_source": Message(body, b"o-1", (("ce_id", b"e-1"), ("ce_source", b"/s"))),
        "headers with a dash": Message(
            body, b"o-1", (("ce-id", b"e-1"), ("ce-source", b"/s"), ("CE-Type", b"order.created"))
        ),
        "headers and a key in JSON quotes": Message(body, b'"o-1"', (("ce_id", b'"e-1"'), ("ce_source", b'"/s"'))),
        "an empty key": Message(body, b""),
        "content type with parameters": Message(
            body,
            b"o-1",
            (("ce_id", b"e-1"), ("ce_source", b"/s"), ("content-type", b"application/json; charset=utf-8")),
        ),
        "extensions and headers of others": Message(
            body,
            b"o-1",
            (("ce_id", b"e-1"), ("ce_source", b"/s"), ("ce_traceparent", b"00-0af7"), ("b3", b"0"), ("b3", None)),
        ),
        "structured, all attributes": _structured(
            time="2026-01-31T12:00:00+01:00",
            subject="o-1",
            datacontenttype="application/json",
            dataschema="https://shop.example/order",
            sampledrate=30,
            data=_LEAST[EventType.ORDER_CREATED],
        ),
        "structured, data in Base64": _structured(data_base64=base64.b64encode(body).decode()),
        "structured, without a content type": Message(_structured(data=_LEAST[EventType.ORDER_CREATED]).value, b"o-1"),
        "sent again from the dead letters": Message(
            body, b"o-1", (("dlq_replay_of", b"order.created:2:77:0123456789abcdef"), ("dlq_replay_count", b"1"))
        ),
    }


def _vouched_for(at: datetime) -> OrderStateChanged:
    cause = Cause(event_id="e-1", type=EventType.ORDER_APPROVED.value, by="Zoë", verified_by="signature:desk-1")
    return OrderStateChanged(order_id="o-1", sequence=3, state=OrderState.APPROVED, occurred_at=at, cause=cause)


def outbound_events() -> dict[str, OutboundEvent]:
    """Events by what is particular about them."""
    at = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    cause = Cause(event_id=f"{SOURCE}|e-1", type=EventType.ORDER_CREATED.value)
    made: dict[str, OutboundEvent] = {"who vouches for who decided": _vouched_for(at)}
    for number, state in enumerate(OrderState, 1):
        made[f"{state}, least"] = OrderStateChanged(order_id="o-1", sequence=number, state=state, occurred_at=at)
    for number, reason in enumerate(ReasonCode, 1):
        made[f"{reason}, refused"] = OrderEventRejected(
            order_id="o-1", sequence=number, occurred_at=at, cause=cause, reason=reason
        )
        made[f"{reason}, of a state"] = OrderStateChanged(
            order_id="o-1", sequence=number, state=OrderState.CANCELLED, occurred_at=at, reason=reason
        )
    return made | {
        "state changed, most": OrderStateChanged(
            order_id="o-1",
            sequence=2**31,
            previous_state=OrderState.PACKAGE_PREPARED,
            state=OrderState.CARRIER_DISPATCHED,
            occurred_at=at.replace(microsecond=0),
            cause=cause,
            reason=ReasonCode.CANCELLED_BY_REQUEST,
            payment_id="p-1",
            amount=10**15,
            adjustments=(Adjustment(kind="discount", amount=-(10**15), description="all of it"),),
            currency="EUR",
            tracking_id="t-1",
        ),
        "until when approval is awaited": OrderStateChanged(
            order_id="o-1", sequence=2, state=OrderState.VALIDATED, occurred_at=at, approval_deadline=at
        ),
        "who decided, and why": OrderStateChanged(
            order_id="o-1",
            sequence=3,
            state=OrderState.APPROVED,
            occurred_at=at,
            cause=Cause(event_id="e-1", type=EventType.ORDER_APPROVED.value, by="Zoë", note="as agreed"),
        ),
        "whose decision was refused": OrderEventRejected(
            order_id="o-1",
            sequence=4,
            occurred_at=at,
            cause=Cause(event_id="e-2", type=EventType.ORDER_CANCELLED.value, by="c" * 1_000, note="n" * 1_000),
            reason=ReasonCode.ORDER_CHANGED,
        ),
        "address changed, least": OrderAddressChanged(order_id="o-1", sequence=1, occurred_at=at, address=Address()),
        "address changed, most": OrderAddressChanged(
            order_id="o" * 128,
            sequence=7,
            previous_state=OrderState.APPROVED,
            state=OrderState.APPROVED,
            occurred_at=at,
            cause=cause,
            address=Address(**ADDRESS),
        ),
        "refused, most": OrderEventRejected(
            order_id="o-1",
            sequence=10,
            previous_state=OrderState.COMPLETED,
            state=OrderState.COMPLETED,
            occurred_at=at,
            cause=Cause(event_id="order.cancelled:0:3:9f86d081884c7d65", type=EventType.ORDER_CANCELLED.value),
            reason=ReasonCode.ORDER_CLOSED,
        ),
    }
