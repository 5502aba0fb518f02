"""The published contract's examples: invented orders, with nothing of a real person in them."""

from typing import Any, Final

from schemas.event_types import EventType
from schemas.outbound import OutboundType

EXAMPLE_SOURCE: Final = "urn:temporal-order-orchestrator"

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
"""The body of one message of each type; what is published looks to the byte like its example."""

INBOUND_ATTRIBUTES: Final = {
    "specversion": "1.0",
    "id": "7c1f4f0e-0001",
    "source": "https://shop.example/orders",
    "time": "2026-01-31T11:59:58+01:00",
}
"""The CloudEvents attributes of an inbound example, beside its type."""
