"""Lists of orders, page by page."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from activities.adapters.postgres.order_pages import OrderFilter, OrderSort
from orders.errors import UsageError
from orders.operations.pages import page_of_orders
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.fields import MOST, Answer
from orders.web.api.orders import Order
from orders.web.api.parameters import ApiRoute
from orders.web.context import Web
from orders.web.identity import Role, requires
from orders.web.problems import FieldError, Problem
from schemas.base import IDENTIFIER_PATTERN, TEXT_MAX_CHARS, Timestamp
from schemas.states import OrderState

router = APIRouter(
    prefix="/orders", tags=["orders"], dependencies=[Depends(requires(Role.VIEWER))], route_class=ApiRoute
)

LIMIT_MAX: Final = 500
LIMIT_DEFAULT: Final = 50


class OrderList(Answer):
    """A page of orders."""

    orders: list[Order]
    next_cursor: str | None
    """Ask on with this as `cursor`; null on the last page."""


@router.get(
    "",
    summary="Orders by state, age and customer",
    operation_id="listOrders",
    responses=problems(*ALWAYS),
)
async def orders(
    web: Web,
    *,
    state: Annotated[list[OrderState] | None, Query(description="In any of these; may be repeated.")] = None,
    customer_id: Annotated[
        str | None,
        Query(min_length=1, max_length=TEXT_MAX_CHARS, pattern=r"^[^\x00]+$", description="Of this customer."),
    ] = None,
    payment_id: Annotated[str | None, Query(pattern=IDENTIFIER_PATTERN, description="That name this payment.")] = None,
    unchanged_since: Annotated[Timestamp | None, Query(description="Last changed before this time.")] = None,
    created_since: Annotated[Timestamp | None, Query(description="Created at this time or later.")] = None,
    sort: Annotated[
        OrderSort,
        Query(
            description="newest: last created first. longest_waiting: unchanged for longest first. approval_deadline: "
            "those that wait for approval, the ones whose time is over first at the front."
        ),
    ] = OrderSort.NEWEST,
    cursor: Annotated[str | None, Query(max_length=1_000, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description=MOST)] = LIMIT_DEFAULT,
) -> OrderList:
    """A page; an order that changes meanwhile moves no other to another page."""
    which = OrderFilter(
        states=frozenset(state or ()),
        customer_id=customer_id,
        payment_id=payment_id,
        until=unchanged_since,
        since=created_since,
    )
    try:
        page = await page_of_orders(web.clients, which, sort, cursor=cursor, limit=limit)
    except UsageError as error:
        wrong = FieldError(str(error).removeprefix("cursor "), parameter="cursor")
        raise Problem("request_invalid", str(error), errors=[wrong]) from None
    return OrderList(orders=[Order.of(record) for record in page.orders], next_cursor=page.next_cursor)
