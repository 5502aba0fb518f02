"""Pages of orders: which orders, in which order, and where a page goes on, as one statement that an index serves."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    cast,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
)

from activities.adapters.postgres.records import OrderRecord
from activities.adapters.postgres.schema import AWAITED_UNTIL, CUSTOMER_KEY, CUSTOMER_KEY_CHARS, orders
from schemas.states import OrderState

COUNT_MAX: Final = 10_000
"""Up to here the orders of a state are counted: beyond it a count would read the whole index."""


class OrderSort(StrEnum):
    """In which order orders are listed."""

    NEWEST = "newest"
    """The last created first."""
    LONGEST_WAITING = "longest_waiting"
    """Those that have not changed for longest first."""
    APPROVAL_DEADLINE = "approval_deadline"
    """Only those that await approval, the ones whose time is over first at the front: as long as all orders are given
    the same time, these are the ones that have waited for longest, however often an address was changed meanwhile."""


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
    """Of what the list is sorted by."""
    order_id: str


def place_of(order: OrderRecord, sort: OrderSort) -> PagePlace:
    """Where an order stands in a list that is sorted so."""
    times = {
        OrderSort.NEWEST: order.created_at,
        OrderSort.LONGEST_WAITING: order.updated_at,
        OrderSort.APPROVAL_DEADLINE: order.awaited_until,
    }
    return PagePlace(times[sort], order.order_id)


def page_statement(which: OrderFilter, sort: OrderSort, after: PagePlace | None, limit: int) -> Select[Any]:
    """The statement of a page; its rows are those of `orders`.

    Args:
        which: which orders.
        sort: in which order; the id decides among equal times.
        after: where the page before ended; None for the first.
        limit: how many at most.
    """
    conditions = _conditions(which)
    if after is not None:
        here = tuple_(literal(after.at), literal(after.order_id))
        key = tuple_(_sorted_by(orders, sort), orders.c.id)
        conditions.append(key < here if sort is OrderSort.NEWEST else key > here)
    states: Collection[OrderState] = which.states or tuple(OrderState)
    if sort is OrderSort.APPROVAL_DEADLINE:
        # Written out, so that the planner sees that the index has all of them.
        conditions += [orders.c.state == literal_column("'VALIDATED'"), orders.c.state.in_(sorted(states))]
    elif which.customer_id is None and which.payment_id is None:
        return _of_each_state(sorted(states), conditions, sort, limit)
    elif which.states:
        conditions.append(orders.c.state.in_(sorted(states)))
    return select(orders).where(*conditions).order_by(*_order(orders, sort)).limit(limit)


def _conditions(which: OrderFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if which.customer_id is not None:
        # The index has the beginning of the id; orders whose customers share it are few.
        key = func.left(which.customer_id, literal_column(str(CUSTOMER_KEY_CHARS)))
        conditions += [key == CUSTOMER_KEY, orders.c.customer_id == which.customer_id]
    if which.payment_id is not None:
        conditions.append(orders.c.payment_id == which.payment_id)
    if which.until is not None:
        conditions.append(orders.c.updated_at < which.until)
    if which.since is not None:
        conditions.append(orders.c.created_at >= which.since)
    return conditions


def _sorted_by(table: Any, sort: OrderSort) -> ColumnElement[Any]:
    columns: dict[OrderSort, ColumnElement[Any]] = {
        OrderSort.NEWEST: table.c.created_at,
        OrderSort.LONGEST_WAITING: table.c.updated_at,
        OrderSort.APPROVAL_DEADLINE: AWAITED_UNTIL,
    }
    return columns[sort]


def _order(table: Any, sort: OrderSort) -> tuple[ColumnElement[Any], ...]:
    key = (_sorted_by(table, sort), table.c.id)
    return tuple(column.desc() for column in key) if sort is OrderSort.NEWEST else key


def _of_each_state(
    states: Sequence[OrderState], conditions: Sequence[ColumnElement[bool]], sort: OrderSort, limit: int
) -> Select[Any]:
    """The first orders of each state, which hold the first of all of them.

    Asked for at once, Postgres would read every order of these states and sort them, or walk over all that are in
    others; so it reads one page from the index for each state.
    """
    words = cast([state.value for state in states], ARRAY(Text))
    wanted = func.unnest(words).table_valued("state").render_derived(name="wanted")
    of_state = select(orders).where(orders.c.state == wanted.c.state, *conditions)
    first = of_state.order_by(*_order(orders, sort)).limit(limit).lateral("found")
    return select(first).select_from(wanted.join(first, true())).order_by(*_order(first, sort)).limit(limit)


COUNTS: Final = text(
    # In the index's order: else the planner reads the table for one state because many orders have another.
    "SELECT wanted.state, (SELECT count(*) FROM (SELECT 1 FROM orders WHERE state = wanted.state ORDER BY updated_at "
    "LIMIT :most) found) AS counted FROM unnest(CAST(:states AS text[])) AS wanted(state)"
)
"""How many orders are in each of these states, up to a bound."""
