"""The registry of inbound event types: what upstream may say happened, one row for each type."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError

from schemas.base import TAKEN
from schemas.inbound import InboundBody, InboundEvent, OrderAddressUpdated, OrderApproved, OrderCancelled, OrderCreated


class EventType(StrEnum):
    """The name of each inbound event type, as ``ce_type`` carries it."""

    ORDER_CREATED = "order.created"
    ORDER_APPROVED = "order.approved"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_ADDRESS_UPDATED = "order.address_updated"


@dataclass(frozen=True, slots=True)
class InboundType:
    """One row of the registry."""

    body: type[InboundBody]
    """Model of the message's body."""
    signal: str
    """Signal by which `OrderWorkflow` takes the event."""
    topic: str
    """Topic that carries the event unless a setting names another."""
    example: Mapping[str, Any]
    """A body of the published contract: an invented order, with nothing of a real person in it."""


INBOUND: Final[Mapping[EventType, InboundType]] = {
    EventType.ORDER_CREATED: InboundType(
        body=OrderCreated,
        signal="order_created",
        topic="order.created",
        example={
            "order_id": "o-1001",
            "payment_id": "p-1001",
            "customer_id": "c-42",
            "currency": "EUR",
            "items": [{"sku": "mug-blue", "quantity": 2, "unit_amount": 1250}],
            "adjustments": [
                {"kind": "discount", "amount": -250, "description": "ten per cent"},
                {"kind": "shipping", "amount": 490},
            ],
            "amount": 2740,
            "shipping_address": {
                "street": "1 Example Street",
                "city": "Utrecht",
                "zip_code": "3511 AA",
                "country": "NL",
            },
        },
    ),
    EventType.ORDER_APPROVED: InboundType(
        body=OrderApproved,
        signal="approve_order",
        topic="order.approved",
        example={"order_id": "o-1001", "approved_by": "ops-7"},
    ),
    EventType.ORDER_CANCELLED: InboundType(
        body=OrderCancelled,
        signal="cancel_order",
        topic="order.cancelled",
        example={"order_id": "o-1001", "cancelled_by": "c-42", "reason": "ordered twice"},
    ),
    EventType.ORDER_ADDRESS_UPDATED: InboundType(
        body=OrderAddressUpdated,
        signal="update_address",
        topic="order.address_updated",
        example={"order_id": "o-1001", "address": {"street": "2 Example Street"}, "updated_by": "c-42"},
    ),
}
"""Every inbound event type: models, signals, topics and the contract's examples are read from here alone."""

TYPE_OF_SIGNAL: Final[Mapping[str, EventType]] = {row.signal: event_type for event_type, row in INBOUND.items()}
"""The event type that each signal of `OrderWorkflow` stands for."""


def read_body(event: InboundEvent, order_id: str) -> InboundBody | None:
    """The event's body, or None where the body is not a valid one of this order.

    A body without an order id means this order: a person who signals by hand has named the order already.
    """
    if event.malformed:
        return None
    try:
        body = INBOUND[EventType(event.type)].body.model_validate({"order_id": order_id, **event.body}, context=TAKEN)
    except (ValidationError, ValueError):
        return None
    return body if body.order_id == order_id else None


def fingerprint_of(event: InboundEvent, order_id: str) -> str:
    """What an event says, in 64 hexadecimal digits: its type and its body, however they were written.

    Two events of one id that have the same fingerprint say the same. Fields that are left out and fields with their
    default are alike, and `event_id` does not count, which may also stand beside the body. A body that cannot be read
    counts as it is.

    Args:
        event: the event.
        order_id: the order that it is for, which a body need not name.
    """
    body = read_body(event, order_id)
    said = event.body if body is None else body.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_SAID)
    text = json.dumps([event.type, said], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


_NOT_SAID: Final = {"event_id"}
