"""Commands that send a message."""

from orders.cli import options
from orders.cli.common import JsonOption
from orders.cli.produce import EncodingOption, File, Key, NoKey, OrderId, _Record, _send, app
from orders.operations.messages import Encoding
from schemas.event_types import EventType


@app.command()
def created(
    order_id: OrderId = None,
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
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """An order was placed.

    Example: [bold]orders produce created o-1 --payment-id p-1 --item mug:2:1250[/bold]
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
    _send(EventType.ORDER_CREATED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)


@app.command()
def approved(
    order_id: OrderId = None,
    *,
    approved_by: options.ApprovedBy = None,
    note: options.Note = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """A person or a system approved the order.

    Example: [bold]orders produce approved o-1 --approved-by ada[/bold]
    """
    fields = {
        "order_id": order_id,
        "approved_by": approved_by,
        "note": note,
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    _send(EventType.ORDER_APPROVED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)


@app.command()
def cancelled(
    order_id: OrderId = None,
    *,
    cancelled_by: options.CancelledBy = None,
    reason: options.Reason = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """The order is no longer wanted.

    Example: [bold]orders produce cancelled o-1 --reason "ordered twice"[/bold]
    """
    fields = {
        "order_id": order_id,
        "cancelled_by": cancelled_by,
        "reason": reason,
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    _send(EventType.ORDER_CANCELLED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)


@app.command("address-updated")
def address_updated(
    order_id: OrderId = None,
    *,
    street: options.Street = None,
    city: options.City = None,
    state: options.State = None,
    zip_code: options.ZipCode = None,
    country: options.Country = None,
    event_id: options.EventId = None,
    occurred_at: options.OccurredAt = None,
    encoding: EncodingOption = Encoding.BARE,
    file: File = None,
    key: Key = None,
    no_key: NoKey = False,
    as_json: JsonOption = False,
) -> None:
    """The order goes elsewhere.

    Example: [bold]orders produce address-updated o-1 --city Porto[/bold]
    """
    fields = {
        "order_id": order_id,
        "address": options.address_fields(street, city, state, zip_code, country) or {},
        "event_id": event_id,
        "occurred_at": occurred_at,
    }
    _send(EventType.ORDER_ADDRESS_UPDATED, fields, _Record(encoding, file, key, no_key=no_key), as_json=as_json)
