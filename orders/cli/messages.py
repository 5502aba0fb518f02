"""Commands that send a message. A message type's options stand here once, for both ways that it can be sent.

The parameters of a function here are the options of a message type, and what the function returns are the fields of the
message's body. From it two commands are made: one of ``orders produce``, to Kafka, and one straight to Temporal.
"""

import inspect
from collections.abc import Callable
from typing import Any

import typer

from orders.cli import options
from orders.cli.common import command_app
from orders.cli.sending import Fields, produce_message, send_to_temporal
from schemas.event_types import EventType

STATUSES = """
    Waits for what becomes of it, and says so: applied, held, or refused and why.

    Exit status: 0 applied or held; 7 refused; 4 not decided in time; 3 a server does not answer.
"""

produce = command_app(
    no_args_is_help=True,
    help=(
        "Send a message to Kafka, as upstream would.\n\n"
        "The message is checked by the contract before it is sent; with --file it is sent as it is, also a bad one.\n\n"
        "Examples: [bold]orders produce created o-1 --payment-id p-1[/bold], "
        "[bold]orders produce approved o-1 --encoding binary[/bold], "
        '[bold]echo \'{"order_id": "o-1"}\' | orders produce cancelled --file -[/bold]'
    ),
)


def _created(
    *,
    payment_id: options.PaymentId = None,
    customer_id: options.CustomerId = None,
    currency: options.Currency = None,
    amount: options.Amount = None,
    item: options.Items = None,
    adjustment: options.Adjustments = None,
    street: options.Street = None,
    city: options.City = None,
    state: options.State = None,
    zip_code: options.ZipCode = None,
    country: options.Country = None,
) -> Fields:
    return {
        "payment_id": payment_id,
        "customer_id": customer_id,
        "currency": currency,
        "amount": amount,
        "items": options.item_fields(item),
        "adjustments": options.adjustment_fields(adjustment),
        "shipping_address": options.address_fields(street, city, state, zip_code, country),
    }


def _approved(*, approved_by: options.ApprovedBy = None, note: options.Note = None) -> Fields:
    return {"approved_by": approved_by, "note": note}


def _cancelled(*, cancelled_by: options.CancelledBy = None, reason: options.Reason = None) -> Fields:
    return {"cancelled_by": cancelled_by, "reason": reason}


def _address_updated(
    *,
    street: options.Street = None,
    city: options.City = None,
    state: options.State = None,
    zip_code: options.ZipCode = None,
    country: options.Country = None,
    updated_by: options.UpdatedBy = None,
) -> Fields:
    address = options.address_fields(street, city, state, zip_code, country) or {}
    return {"address": address, "updated_by": updated_by}


def _commands(
    event_type: EventType, fields: Callable[..., Fields], *, produced_as: str, produce_help: str, send_help: str
) -> typer.Typer:
    """Makes both commands of a message type, and returns the application of the one straight to Temporal.

    Args:
        event_type: what the message says.
        fields: makes the body's fields of the message type's options, which are its parameters.
        produced_as: the command's name in ``orders produce``.
        produce_help: what that command's help says.
        send_help: what the help of the command straight to Temporal says.
    """
    produce.command(produced_as, help=produce_help)(_command(event_type, fields, produce_message))
    straight = command_app()
    straight.command(help=send_help)(_command(event_type, fields, send_to_temporal))
    return straight


def _command(event_type: EventType, fields: Callable[..., Fields], send: Callable[..., None]) -> Callable[..., None]:
    """A function for typer whose parameters are those of `fields` amid those of `send`, behind the order's id."""
    of_fields = inspect.signature(fields).parameters
    order_id, *of_sending = [
        one for name, one in inspect.signature(send).parameters.items() if name not in ("event_type", "fields")
    ]

    def command(**given: Any) -> None:
        body = fields(**{name: given.pop(name) for name in of_fields})
        send(event_type, body, **given)

    parameters = [order_id, *of_fields.values(), *of_sending]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    return command


start = _commands(
    EventType.ORDER_CREATED,
    _created,
    produced_as="created",
    produce_help="""
    An order was placed.

    Example: [bold]orders produce created o-1 --payment-id p-1 --item mug:2:1250[/bold]
    """,
    send_help=f"""
    Start an order, straight in Temporal.

    It waits for approval then: [bold]orders approve ORDER_ID[/bold].

{STATUSES}
    Example: [bold]orders start o-1 --payment-id p-1 --item mug:2:1250 --city Lisbon[/bold]
    """,
)

approve = _commands(
    EventType.ORDER_APPROVED,
    _approved,
    produced_as="approved",
    produce_help="""
    A person or a system approved the order.

    Example: [bold]orders produce approved o-1 --approved-by ada[/bold]
    """,
    send_help=f"""
    Approve an order, straight in Temporal.

    An approval that comes before its order is kept for it: it is held.

{STATUSES}
    Example: [bold]orders approve o-1 --approved-by ada[/bold]
    """,
)

cancel = _commands(
    EventType.ORDER_CANCELLED,
    _cancelled,
    produced_as="cancelled",
    produce_help="""
    The order is no longer wanted.

    Example: [bold]orders produce cancelled o-1 --reason "ordered twice"[/bold]
    """,
    send_help=f"""
    Cancel an order, straight in Temporal.

    Accepted until the charge is scheduled; afterwards it is refused as already_charged.

{STATUSES}
    Example: [bold]orders cancel o-1 --reason "ordered twice"[/bold]
    """,
)

update_address = _commands(
    EventType.ORDER_ADDRESS_UPDATED,
    _address_updated,
    produced_as="address-updated",
    produce_help="""
    The order goes elsewhere.

    Example: [bold]orders produce address-updated o-1 --city Porto[/bold]
    """,
    send_help=f"""
    Send an order elsewhere, straight in Temporal.

    Give what changes; the rest of the address stays. Accepted until shipping begins.

{STATUSES}
    Example: [bold]orders update-address o-1 --street "Rua Augusta 2" --zip-code 1100-048[/bold]
    """,
)
