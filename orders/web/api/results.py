"""How an order ended, for who waits for it."""

import asyncio
from datetime import timedelta
from typing import Final, Literal, TypeGuard

from fastapi import APIRouter, Depends, Request, Response

from activities.adapters.postgres.records import OrderRecord
from orders.errors import NotFoundError
from orders.operations.view import view_order
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.fields import Answer, OrderId, Reason, State, etag
from orders.web.api.parameters import ApiRoute
from orders.web.api.preferences import WAIT_MAX, PreferHeader, described, wait_of
from orders.web.context import Web, WebContext
from orders.web.header_fields import header_of
from orders.web.identity import Role, requires
from orders.web.problems import Problem
from orders.web.waiting import while_wanted
from schemas.order import Address

router = APIRouter(
    prefix="/orders", tags=["orders"], dependencies=[Depends(requires(Role.VIEWER))], route_class=ApiRoute
)

_LOOK_AGAIN_SECONDS: Final = 1


class OrderResult(Answer):
    """How an order ended, or how far it is."""

    order_id: str
    status: Literal["over", "open"]
    state: State | None
    """The last one that is recorded; null where nothing is yet."""
    reason: Reason | None
    """Why it took the branch that it took."""
    tracking_id: str | None
    address: Address | None
    last_sequence: int


@router.get(
    "/{order_id}/result",
    summary="How an order ended",
    operation_id="getOrderResult",
    responses={
        200: {"description": "It is over"},
        202: {"description": "It is not over yet: ask again after Retry-After", "model": OrderResult},
        **problems(*ALWAYS, "order_not_found"),
    },
    response_model=OrderResult,
    openapi_extra={"parameters": described(PreferHeader)},
)
async def result(order_id: OrderId, request: Request, web: Web) -> Response:
    """Waits until the order is over: for 30 s, or as long as `Prefer: wait=N` says, which may be 0."""
    wait = wait_of(header_of(request.headers, "Prefer"), WAIT_MAX)
    record = await _record(web, order_id)
    if wait and not _is_over(record):
        record = await while_wanted(request, web.stopping, _when_over(web, order_id, wait)) or record
    over = _is_over(record)
    answer = OrderResult(
        order_id=order_id,
        status="over" if over else "open",
        state=record.state if record else None,
        reason=record.reason if record else None,
        tracking_id=record.tracking_id if record else None,
        address=record.details.address if record else None,
        last_sequence=record.last_sequence if record else 0,
    )
    headers = {"Preference-Applied": f"wait={wait.total_seconds():g}", "ETag": etag(answer.last_sequence)}
    if not over:
        headers["Retry-After"] = str(_LOOK_AGAIN_SECONDS)
    return Response(answer.model_dump_json(), 200 if over else 202, headers, "application/json")


async def _record(web: WebContext, order_id: str) -> OrderRecord | None:
    """The order's row; None where its run in Temporal is all that there is of it."""
    async with web.clients.order_reader() as reader:
        record = await reader.order(order_id)
    if record is None:
        try:
            await view_order(web.clients, order_id)
        except NotFoundError:
            raise Problem("order_not_found", f"nothing is known of an order {order_id!r}") from None
    return record


async def _when_over(web: WebContext, order_id: str, wait: timedelta) -> OrderRecord | None:
    """The row once the order is over; None where it is not by then."""
    try:
        async with asyncio.timeout(wait.total_seconds()), web.feed.of_order(order_id) as events:
            while True:
                # The row is written with the events, so it is at least as far as they are.
                await events.next()
                async with web.clients.order_reader() as reader:
                    record = await reader.order(order_id)
                if _is_over(record):
                    return record
    except TimeoutError:
        return None


def _is_over(record: OrderRecord | None) -> TypeGuard[OrderRecord]:
    return record is not None and record.state.is_final
