"""The inbound event types: one row for each."""

from enum import StrEnum
from typing import Final

from pydantic import ValidationError

from schemas.inbound import InboundBody, InboundEvent, OrderAddressUpdated, OrderApproved, OrderCancelled, OrderCreated


class EventType(StrEnum):
    """What upstream says happened; also the default topic names."""

    ORDER_CREATED = "order.created"
    ORDER_APPROVED = "order.approved"
    ORDER_CANCELLED = "order.cancelled"
    ORDER_ADDRESS_UPDATED = "order.address_updated"


BODY_MODELS: dict[EventType, type[InboundBody]] = {
    EventType.ORDER_CREATED: OrderCreated,
    EventType.ORDER_APPROVED: OrderApproved,
    EventType.ORDER_CANCELLED: OrderCancelled,
    EventType.ORDER_ADDRESS_UPDATED: OrderAddressUpdated,
}
"""The body's model for each event type."""


def read_body(event: InboundEvent, order_id: str) -> InboundBody | None:
    """The event's body, or None where it is not a valid one of this order.

    A body without an order id means this order: a person who signals by hand has named it already.
    """
    if event.malformed:
        return None
    try:
        body = BODY_MODELS[EventType(event.type)].model_validate({"order_id": order_id, **event.body})
    except (ValidationError, ValueError):
        return None
    return body if body.order_id == order_id else None


SIGNALS: Final[dict[EventType, str]] = {
    EventType.ORDER_CREATED: "order_created",
    EventType.ORDER_APPROVED: "approve_order",
    EventType.ORDER_CANCELLED: "cancel_order",
    EventType.ORDER_ADDRESS_UPDATED: "update_address",
}
"""The signal of `OrderWorkflow` for each inbound event type."""
