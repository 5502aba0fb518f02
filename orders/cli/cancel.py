"""``orders cancel``."""

from orders.cli import options
from orders.cli.common import JsonOption, OrderIdArgument, command_app
from orders.cli.sending import send
from schemas.event_types import EventType

app = command_app()


@app.command()
def cancel(
    order_id: OrderIdArgument,
    *,
    cancelled_by: options.CancelledBy = None,
    reason: options.Reason = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel an order, straight in Temporal.

    Accepted until the charge is scheduled; afterwards an order.event_rejected says why not.

    Example: [bold]orders cancel o-1 --reason "ordered twice"[/bold]
    """
    fields = {
        "order_id": order_id,
        "cancelled_by": cancelled_by,
        "reason": reason,
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    send(EventType.ORDER_CANCELLED, fields, as_json=as_json)
