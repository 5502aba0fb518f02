"""Orders page by page, for faces that list them: which, in which order, and where to go on."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from activities.adapters.postgres.order_pages import OrderFilter, OrderSort, PagePlace, place_of
from activities.adapters.postgres.reader import OrderRecord
from orders.clients.opened import Clients
from orders.errors import UsageError
from schemas.base import parse_rfc_3339


@dataclass(frozen=True, slots=True)
class OrderPage:
    """A page of a list."""

    orders: tuple[OrderRecord, ...]
    next_cursor: str | None
    """Where the next page goes on; None where this is the last."""


async def page_of_orders(
    clients: Clients, which: OrderFilter, sort: OrderSort, *, cursor: str | None, limit: int
) -> OrderPage:
    """One page.

    Args:
        clients: lead to the database.
        which: which orders.
        sort: in which order.
        cursor: from the page before; None for the first.
        limit: how many at most.

    Raises:
        UsageError: the cursor is none, or one of a list that is sorted otherwise.
        UnreachableError: Postgres does not answer.
    """
    after = None if cursor is None else read_cursor(cursor, sort)
    async with clients.order_reader() as reader:
        # One more than asked for tells whether there is another page.
        found = await reader.page(which, sort, after=after, limit=limit + 1)
    shown = found[:limit]
    return OrderPage(shown, make_cursor(shown[-1], sort) if len(found) > limit else None)


def make_cursor(last: OrderRecord, sort: OrderSort) -> str:
    """Names the place behind an order in a list."""
    place = place_of(last, sort)
    return (
        base64.urlsafe_b64encode(json.dumps([sort, place.at.isoformat(), place.order_id]).encode()).decode().rstrip("=")
    )


def read_cursor(cursor: str, sort: OrderSort) -> PagePlace:
    """The place that a cursor names.

    Raises:
        UsageError: the cursor is none, or one of a list that is sorted otherwise.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        sorted_by, at, order_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        place = PagePlace(_moment(at), _text(order_id))
    except (ValueError, TypeError, RecursionError):
        raise UsageError("cursor is none of ours: take it from `next_cursor` of the page before") from None
    if sorted_by != sort:
        raise UsageError("cursor is of a list that is sorted otherwise: begin anew without it")
    return place


def _moment(value: object) -> datetime:
    moment = parse_rfc_3339(value)
    if not isinstance(moment, datetime):
        raise TypeError
    return moment


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value
