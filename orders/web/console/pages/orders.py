"""Orders, found by an id, a state, or their age."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.responses import Response

from activities.adapters.postgres.order_pages import COUNT_MAX, OrderFilter, OrderSort
from activities.adapters.postgres.reader import OrderRecord
from orders.clients.opened import Clients
from orders.errors import UsageError
from orders.operations.pages import page_of_orders
from orders.web.console.pages.answers import Viewer, go_to, page
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.views.orders import AGES, SORTS, Group, OrderRow, OrdersPage
from orders.web.console.views.orders import Query as Search
from orders.web.context import Web
from schemas.base import IDENTIFIER_PATTERN
from schemas.states import OrderState

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

PAGE_ORDERS: Final = 50
_SPANS: Final = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7)}
_IDENTIFIER: Final = re.compile(IDENTIFIER_PATTERN)
_BY_ID, _BY_PAYMENT, _BY_CUSTOMER = "Order with this id", "Orders with this payment id", "Orders of this customer"


@router.get("/console/orders")
async def orders(
    web: Web,
    who: Viewer,
    *,
    q: Annotated[str, Query(max_length=1_000)] = "",
    state: str = "",
    age: str = "",
    order: str = "newest",
    after: str = "",
) -> Response:
    """The table; the order's own page where its id was searched for and nothing else is called so."""
    search = _search(q.strip(), state, age, order, after)
    groups, following = await _found(web.clients, search)
    async with web.clients.order_reader() as reader:
        counts = await reader.count_by_state()
    shown = OrdersPage(
        query=search,
        groups=groups,
        counts=tuple((one, counts.get(one, 0)) for one in OrderState),
        count_max=COUNT_MAX,
        following=following,
    )
    is_the_order = bool(groups) and groups[0].heading == _BY_ID and shown.found == 1
    if is_the_order and not (search.state or search.age):
        return go_to(f"/console/orders/{quote(search.text, safe='')}")
    may_be_id = _IDENTIFIER.fullmatch(search.text) is not None
    return page("orders.html", who, here="Orders", page=shown, ages=AGES, sorts=SORTS, may_be_id=may_be_id)


def _search(text: str, state: str, age: str, order: str, after: str) -> Search:
    if state and state not in set(OrderState):
        raise UsageError(f"There is no state of this name: choose one of {', '.join(OrderState)}.")
    if age not in AGES or order not in SORTS:
        raise UsageError("The address names a filter that does not exist: choose one of the page's.")
    if "\0" in text:
        raise UsageError("No id has a NUL character.")
    return Search(text, OrderState(state) if state else None, age, order, after or None)


async def _found(clients: Clients, search: Search) -> tuple[tuple[Group, ...], str | None]:
    """What is found, in each of the ways that there are, and where the next page begins."""
    if not search.text:
        found, following = await _page(clients, search)
        return (_group(None, found),), following
    groups = []
    if search.after is None:
        async with clients.order_reader() as reader:
            by_id = await reader.order(search.text)
        groups.append(_group(_BY_ID, () if by_id is None or not _takes(search, by_id) else (by_id,)))
        groups.append(_group(_BY_PAYMENT, (await _page(clients, search, payment_id=search.text))[0]))
    of_customer, following = await _page(clients, search, customer_id=search.text)
    groups.append(_group(_BY_CUSTOMER, of_customer))
    return tuple(group for group in groups if group.rows), following


async def _page(
    clients: Clients, search: Search, *, customer_id: str | None = None, payment_id: str | None = None
) -> tuple[tuple[OrderRecord, ...], str | None]:
    """A page of the list; of a payment's orders, which are few, there is but one."""
    which = OrderFilter(
        states=frozenset({search.state} if search.state else ()),
        customer_id=customer_id,
        payment_id=payment_id,
        since=_since(search),
        until=_until(search),
    )
    cursor = None if payment_id is not None else search.after
    found = await page_of_orders(clients, which, OrderSort(search.order), cursor=cursor, limit=PAGE_ORDERS)
    return found.orders, found.next_cursor


def _since(search: Search) -> datetime | None:
    return datetime.now(UTC) - _SPANS[search.age] if search.age in _SPANS else None


def _until(search: Search) -> datetime | None:
    span = _SPANS.get(search.age.removeprefix("still-")) if search.age.startswith("still-") else None
    return None if span is None else datetime.now(UTC) - span


def _takes(search: Search, record: OrderRecord) -> bool:
    """Whether the filters take an order that was found by its id."""
    since, until = _since(search), _until(search)
    return (
        (search.state is None or record.state is search.state)
        and (since is None or record.created_at >= since)
        and (until is None or record.updated_at < until)
    )


def _group(heading: str | None, records: tuple[OrderRecord, ...]) -> Group:
    return Group(heading, tuple(OrderRow.of(record) for record in records))
