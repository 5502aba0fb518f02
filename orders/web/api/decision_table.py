"""The endpoints that decide something, one row for each inbound event type."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from schemas.event_types import EventType


@dataclass(frozen=True, slots=True)
class Decision:
    """An endpoint that decides something."""

    path: str
    event_type: EventType
    operation_id: str
    summary: str
    description: str
    component: str
    """Name of the body's schema."""
    body_required: bool = False
    examples: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Bodies, beside the contract's own example."""
    applied: Literal[200, 201] = 200
    """The status where the order has gone on by it."""


DECISIONS: Final = (
    Decision(
        path="/orders/{order_id}/start",
        event_type=EventType.ORDER_CREATED,
        operation_id="startOrder",
        summary="Start an order",
        description='The body is that of `order.created` without the id; `{"payment_id": "payment-001"}` is a whole '
        "one, where amounts are not required. The order then waits for approval.",
        component="OrderStart",
        body_required=True,
        examples={"least": {"payment_id": "payment-001"}},
        applied=201,
    ),
    Decision(
        path="/orders/{order_id}/signals/approve",
        event_type=EventType.ORDER_APPROVED,
        operation_id="approveOrder",
        summary="Approve an order",
        description="A note may stand in the body; who approves is who is signed in. An approval before its order is "
        "kept for it.",
        component="OrderApproval",
    ),
    Decision(
        path="/orders/{order_id}/signals/cancel",
        event_type=EventType.ORDER_CANCELLED,
        operation_id="cancelOrder",
        summary="Cancel an order",
        description="A reason may stand in the body; who cancels is who is signed in. Possible until the charge is "
        "scheduled.",
        component="OrderCancellation",
    ),
    Decision(
        path="/orders/{order_id}/signals/update-address",
        event_type=EventType.ORDER_ADDRESS_UPDATED,
        operation_id="updateAddress",
        summary="Send an order elsewhere",
        description="Give what changes, as fields, or in `address` as the topic has it; the rest stays. Possible until "
        "shipping begins.",
        component="OrderAddress",
        body_required=True,
        examples={
            "fields": {
                "street": "2 Example Street",
                "city": "Utrecht",
                "state": "UT",
                "zip_code": "3511 AA",
                "country": "NL",
            }
        },
    ),
)
