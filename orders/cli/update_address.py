"""``orders update-address``."""

from orders.cli import options
from orders.cli.common import JsonOption, OrderIdArgument, command_app
from orders.cli.sending import send
from schemas.event_types import EventType

app = command_app()


@app.command()
def update_address(
    order_id: OrderIdArgument,
    *,
    street: options.Street = None,
    city: options.City = None,
    state: options.State = None,
    zip_code: options.ZipCode = None,
    country: options.Country = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    as_json: JsonOption = False,
) -> None:
    """Send an order elsewhere, straight in Temporal.

    Give what changes; the rest of the address stays. Accepted until shipping begins.

    Example: [bold]orders update-address o-1 --street "Rua Augusta 2" --zip-code 1100-048[/bold]
    """
    fields = {
        "order_id": order_id,
        "address": options.address_fields(street, city, state, zip_code, country) or {},
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    send(EventType.ORDER_ADDRESS_UPDATED, fields, as_json=as_json)
