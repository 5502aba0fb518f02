"""The names under which Temporal knows our workflows: part of the interface, for whoever starts or signals them."""

import hashlib
import re
from typing import Final

ORDER_TASK_QUEUE: Final = "order-tq"
SHIPPING_TASK_QUEUE: Final = "shipping-tq"

ORDER_WORKFLOW: Final = "OrderWorkflow"
SHIPPING_WORKFLOW: Final = "ShippingWorkflow"
LATE_EVENT_WORKFLOW: Final = "LateEventWorkflow"

SHIPPING_MILESTONE_SIGNAL: Final = "shipping_milestone"
STATUS_QUERY: Final = "status"
EVENT_QUERY: Final = "event"


_LATE_HASH_CHARS: Final = 32
"""128 bits: two events of one order never share a late workflow."""

_OURS: Final = re.compile(
    rf"order:(?P<order>.+)|shipping:(?P<shipped>.+):[0-9]+|late:(?P<late>.+):[0-9a-f]{{{_LATE_HASH_CHARS}}}", re.ASCII
)


# Each kind of workflow has a prefix of its own, and what follows the order's id holds no colon. So two ids are equal
# only where kind and order are, whatever an order is called: `shipping:s4:1` and `order:x` are good ids of orders.


def order_workflow_id(order_id: str) -> str:
    """The id of an order's own workflow."""
    return f"order:{order_id}"


def shipping_workflow_id(order_id: str, attempt: int) -> str:
    """The id of a shipping attempt's workflow."""
    return f"shipping:{order_id}:{attempt}"


def late_workflow_id(order_id: str, event_type: str, event_id: str) -> str:
    """The id of the workflow that answers a late event; hashed, as an event id may hold any character.

    The type counts as well: an event id that comes again on a message of another type is answered by itself.
    """
    digest = hashlib.sha256(f"{event_type}\0{event_id}".encode()).hexdigest()
    return f"late:{order_id}:{digest[:_LATE_HASH_CHARS]}"


def order_id_of(workflow_id: str) -> str | None:
    """The order that a workflow of ours belongs to; None where the id is none of ours."""
    match = _OURS.fullmatch(workflow_id)
    return match and (match["order"] or match["shipped"] or match["late"])
