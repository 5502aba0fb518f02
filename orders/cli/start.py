"""``orders start``."""

from orders.cli import options
from orders.cli.common import JsonOption, OrderIdArgument, command_app
from orders.cli.sending import send
from schemas.event_types import EventType

app = command_app()


@app.command()
def start(
    order_id: OrderIdArgument,
    *,
    payment_id: options.PaymentId = None,
    customer_id: options.CustomerId = None,
    currency: options.Currency = None,
    amount: options.Amount = None,
    item: options.Items = None,
    street: options.Street = None,
    city: options.City = None,
    state: options.State = None,
    zip_code: options.ZipCode = None,
    country: options.Country = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    as_json: JsonOption = False,
) -> None:
    """Start an order, straight in Temporal.

    It waits for approval then: [bold]orders approve ORDER_ID[/bold].

    Example: [bold]orders start o-1 --payment-id p-1 --item mug:2:1250 --city Lisbon[/bold]
    """
    fields = {
        "order_id": order_id,
        "payment_id": payment_id,
        "customer_id": customer_id,
        "currency": currency,
        "amount": amount,
        "items": options.item_fields(item),
        "shipping_address": options.address_fields(street, city, state, zip_code, country),
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    send(EventType.ORDER_CREATED, fields, as_json=as_json)
