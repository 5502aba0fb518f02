"""The options that a message is made of: the same towards Kafka and towards Temporal."""

from typing import Annotated, Any

import typer

from orders.errors import UsageError

_ADDRESS = "Address"
_EVENT = "Event"

PaymentId = Annotated[
    str | None, typer.Option("--payment-id", help="The payment to charge. In the sandbox, decline-… is declined.")
]
CustomerId = Annotated[str | None, typer.Option("--customer-id", help="Who ordered.")]
Currency = Annotated[str | None, typer.Option("--currency", help="ISO 4217 code; USD unless given.")]


def _minor_units(text: str) -> int:
    """A total as it was typed.

    Raises:
        typer.BadParameter: it is no whole number.
    """
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no whole number: give minor units, such as cents; 12.50 is 1250"
        ) from None


Amount = Annotated[
    int | None,
    typer.Option(
        "--amount",
        metavar="INTEGER",
        parser=_minor_units,
        help="Total in minor units, such as cents; the sum of items and adjustments unless given.",
    ),
]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", metavar="SKU:QUANTITY:UNIT_AMOUNT", help="A line of the order; may be repeated."),
]
Adjustments = Annotated[
    list[str] | None,
    typer.Option(
        "--adjustment",
        metavar="KIND:AMOUNT",
        help="A discount, shipping, tax: added to the items' sum, below 0 taken off it; may be repeated.",
    ),
]
Street = Annotated[str | None, typer.Option("--street", rich_help_panel=_ADDRESS)]
City = Annotated[str | None, typer.Option("--city", rich_help_panel=_ADDRESS)]
State = Annotated[str | None, typer.Option("--state", rich_help_panel=_ADDRESS)]
ZipCode = Annotated[
    str | None,
    typer.Option(
        "--zip-code", rich_help_panel=_ADDRESS, help="In the sandbox, FAIL0 never ships, FLAKY at the third attempt."
    ),
]
Country = Annotated[str | None, typer.Option("--country", rich_help_panel=_ADDRESS)]
ApprovedBy = Annotated[str | None, typer.Option("--approved-by", help="Who approved.")]
Note = Annotated[str | None, typer.Option("--note", help="Any remark.")]
CancelledBy = Annotated[str | None, typer.Option("--cancelled-by", help="Who cancelled.")]
UpdatedBy = Annotated[str | None, typer.Option("--updated-by", help="Who sends it elsewhere.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why.")]
EventId = Annotated[
    str | None,
    typer.Option(
        "--event-id",
        rich_help_panel=_EVENT,
        help="The event's identity: the same again is a duplicate, and ignored. A new one unless given.",
    ),
]
OccurredAt = Annotated[
    str | None,
    typer.Option(
        "--occurred-at", rich_help_panel=_EVENT, help="When it happened, as 2026-01-31T12:00:00Z; now unless given."
    ),
]
_OUTCOME = "Outcome"
WAIT_SECONDS = 5.0
"""How long a command waits for what becomes of its message; an outcome takes about 0.1 s, and 0.3 s for a new order."""
ExpectedSequence = Annotated[
    int | None,
    typer.Option(
        "--expected-sequence",
        min=0,
        rich_help_panel=_EVENT,
        help="The order's last sequence as you saw it: refused as order_changed where the order has another by then.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", min=0, rich_help_panel=_OUTCOME, help="Longest wait for what becomes of it."
    ),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", rich_help_panel=_OUTCOME, help="End once Temporal has it, whatever becomes of it.")
]


def address_fields(
    street: str | None, city: str | None, state: str | None, zip_code: str | None, country: str | None
) -> dict[str, str] | None:
    """The address's fields that were given; None where none was."""
    fields = {"street": street, "city": city, "state": state, "zip_code": zip_code, "country": country}
    return {name: value for name, value in fields.items() if value is not None} or None


def item_fields(items: list[str] | None) -> list[dict[str, Any]] | None:
    """The order's lines from ``SKU:QUANTITY:UNIT_AMOUNT``; a sku may hold colons.

    Raises:
        UsageError: one is not of that form.
    """
    return [_item(text) for text in items] if items else None


def adjustment_fields(adjustments: list[str] | None) -> list[dict[str, Any]] | None:
    """What is added to the items' sum or taken off it, from ``KIND:AMOUNT``; a kind may hold colons.

    Raises:
        UsageError: one is not of that form.
    """
    return [_adjustment(text) for text in adjustments] if adjustments else None


def _adjustment(text: str) -> dict[str, Any]:
    kind, _, amount = text.rpartition(":")
    try:
        return {"kind": kind, "amount": int(amount)}
    except ValueError:
        raise UsageError(f"--adjustment {text!r} is not KIND:AMOUNT, such as discount:-250") from None


def _item(text: str) -> dict[str, Any]:
    parts = text.rsplit(":", 2)
    try:
        sku, quantity, unit_amount = parts
        return {"sku": sku, "quantity": int(quantity), "unit_amount": int(unit_amount)}
    except ValueError:
        raise UsageError(f"--item {text!r} is not SKU:QUANTITY:UNIT_AMOUNT, such as mug:2:1250") from None
