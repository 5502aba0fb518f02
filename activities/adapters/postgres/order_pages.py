"""Pages of orders: which orders, in which order, and where a page goes on, as one statement."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Select, literal, select, tuple_

from activities.adapters.postgres.schema import orders
from schemas.states import OrderState


class OrderSort(StrEnum):
    """In which order orders are listed."""

    NEWEST = "newest"
    """The last created first."""
    LONGEST_WAITING = "longest_waiting"
    """Those that have not changed for longest first."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Takes the orders that every given filter takes; without one, all of them."""

    states: frozenset[OrderState] = frozenset()
    customer_id: str | None = None
    payment_id: str | None = None
    until: datetime | None = None
    """Last changed before."""
    since: datetime | None = None
    """Created at this moment or later."""


@dataclass(frozen=True, slots=True)
class PagePlace:
    """The last order of a page: the next page goes on behind it.

    By position and not by number of rows: an order that changes meanwhile moves no other to another page.
    """

    at: datetime
    """Of the column that the list is sorted by."""
    order_id: str


_COLUMN: Final = {OrderSort.NEWEST: orders.c.created_at, OrderSort.LONGEST_WAITING: orders.c.updated_at}


def page_statement(which: OrderFilter, sort: OrderSort, after: PagePlace | None, limit: int) -> Select[Any]:
    """The statement of a page; its rows are those of `orders`.

    Args:
        which: which orders.
        sort: in which order; the id decides among equal times.
        after: where the page before ended; None for the first.
        limit: how many at most.
    """
    statement = select(orders)
    if which.states:
        statement = statement.where(orders.c.state.in_(sorted(which.states)))
    for column, value in ((orders.c.customer_id, which.customer_id), (orders.c.payment_id, which.payment_id)):
        if value is not None:
            statement = statement.where(column == value)
    if which.until is not None:
        statement = statement.where(orders.c.updated_at < which.until)
    if which.since is not None:
        statement = statement.where(orders.c.created_at >= which.since)
    key = (_COLUMN[sort], orders.c.id)
    if after is not None:
        here = tuple_(literal(after.at), literal(after.order_id))
        statement = statement.where(tuple_(*key) < here if sort is OrderSort.NEWEST else tuple_(*key) > here)
    ordered = [column.desc() for column in key] if sort is OrderSort.NEWEST else list(key)
    return statement.order_by(*ordered).limit(limit)
