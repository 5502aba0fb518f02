"""What of an order is about a person, and what is left without it. Pure."""

from typing import Any, assert_never

from schemas.order import Address, Adjustment
from schemas.outbound import OrderAddressChanged, OrderEventRejected, OrderStateChanged

Event = OrderStateChanged | OrderAddressChanged | OrderEventRejected


def without_person(event: Event) -> Event:
    """The event without who is named in it, where they live, what they wrote, and by what the carrier knows them.

    Its number, type, states, amounts and times stay, so that the journal stays whole and can be counted. The id of the
    message that caused it stays too: by it a repeat is known.
    """
    changes: dict[str, Any] = {}
    if event.cause is not None:
        changes["cause"] = event.cause.model_copy(update={"by": None, "note": None})
    match event:
        case OrderStateChanged():
            changes["tracking_id"] = None
            changes["adjustments"] = tuple(map(_without_words, event.adjustments))
        case OrderAddressChanged():
            changes["address"] = Address()
        case OrderEventRejected():
            pass
        case _:
            assert_never(event)
    return event.model_copy(update=changes)


def _without_words(adjustment: Adjustment) -> Adjustment:
    return adjustment.model_copy(update={"description": None})


def row_without_person(row: dict[str, Any]) -> dict[str, Any]:
    """A row of `orders` as a document, likewise. Its payment stays: its books are kept for longer."""
    adjustments = [{**one, "description": None} for one in row["adjustments_json"]]
    erased: dict[str, Any] = {"customer_id": None, "address_json": {}, "decided_by": None, "tracking_id": None}
    return {**row, **erased, "adjustments_json": adjustments}
