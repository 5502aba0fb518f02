"""``orders approve``."""

from orders.cli import options
from orders.cli.common import JsonOption, OrderIdArgument, command_app
from orders.cli.sending import send
from schemas.event_types import EventType

app = command_app()


@app.command()
def approve(
    order_id: OrderIdArgument,
    *,
    approved_by: options.ApprovedBy = None,
    note: options.Note = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    as_json: JsonOption = False,
) -> None:
    """Approve an order, straight in Temporal.

    An approval that comes before its order is kept for it.

    Example: [bold]orders approve o-1 --approved-by ada[/bold]
    """
    fields = {
        "order_id": order_id,
        "approved_by": approved_by,
        "note": note,
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    send(EventType.ORDER_APPROVED, fields, as_json=as_json)
