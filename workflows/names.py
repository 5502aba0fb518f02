"""The names under which Temporal knows our workflows: part of the interface, for whoever starts or signals them."""

from typing import Final

ORDER_TASK_QUEUE: Final = "order-tq"
SHIPPING_TASK_QUEUE: Final = "shipping-tq"

ORDER_WORKFLOW: Final = "OrderWorkflow"
SHIPPING_WORKFLOW: Final = "ShippingWorkflow"
LATE_EVENT_WORKFLOW: Final = "LateEventWorkflow"

SHIPPING_MILESTONE_SIGNAL: Final = "shipping_milestone"
STATUS_QUERY: Final = "status"


def shipping_workflow_id(order_id: str, attempt: int) -> str:
    """The id of a shipping attempt's workflow."""
    return f"shipping:{order_id}:{attempt}"
