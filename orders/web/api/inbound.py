"""What became of one event, whoever sent it and by whichever way."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response

from orders.errors import NotFoundError
from orders.operations.decide import Outcome, OutcomeStatus, await_outcome, recorded_outcome
from orders.operations.view import view_order
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.fields import Answer, OrderId, Reason
from orders.web.api.parameters import ApiRoute
from orders.web.context import Web, WebContext
from orders.web.identity import Role, requires
from orders.web.problems import Problem
from schemas.base import EVENT_ID_MAX_CHARS
from schemas.event_types import EventType

router = APIRouter(tags=["decisions"], dependencies=[Depends(requires(Role.VIEWER))], route_class=ApiRoute)


class InboundOutcome(Answer):
    """What became of an event."""

    order_id: str
    event_id: str
    type: str | None
    """null where several are possible, as nothing is decided under this id."""
    status: Literal["applied", "rejected", "held", "undecided"]
    """held: it came before its order, and is decided in its turn."""
    reason: Reason | None
    """Why it was refused."""
    sequence: int | None
    """The order's event that says what became of it."""
    decided_at: datetime | None
    waits_for: str | None
    waits_until: datetime | None


@router.get(
    "/orders/{order_id}/inbound/{event_id:path}",
    summary="What became of a message",
    operation_id="getInboundOutcome",
    response_model=InboundOutcome,
    responses={
        200: {"description": "It is decided"},
        202: {"description": "It is not decided yet: ask again after Retry-After", "model": InboundOutcome},
        **problems(*ALWAYS, "order_not_found"),
    },
)
async def inbound(
    order_id: OrderId,
    event_id: Annotated[
        str,
        Path(
            min_length=1,
            max_length=EVENT_ID_MAX_CHARS,
            pattern=r"^[^\x00]+$",
            description="The event's id, percent-encoded: `Location` of the request has it.",
        ),
    ],
    web: Web,
    *,
    type: Annotated[EventType | None, Query(description="Of the event; unless given, of any type.")] = None,  # noqa: A002
) -> Response:
    """What became of the event. One that was never sent is answered as undecided: it might be on its way."""
    found, outcome = await _outcome(web, order_id, event_id, [type] if type else list(EventType))
    if outcome.status is OutcomeStatus.UNDECIDED:
        await _require_order(web, order_id)
    answer = InboundOutcome(
        order_id=order_id,
        event_id=event_id,
        type=found or type,
        status=outcome.status.value,
        reason=outcome.reason,
        sequence=outcome.sequence,
        decided_at=outcome.decided_at,
        waits_for=outcome.waits_for,
        waits_until=outcome.waits_until,
    )
    decided = outcome.status in (OutcomeStatus.APPLIED, OutcomeStatus.REJECTED)
    headers = {"Cache-Control": "no-store"} | ({} if decided else {"Retry-After": "1"})
    body = orjson.dumps(answer.model_dump(mode="json"))
    return Response(body, 200 if decided else 202, headers, "application/json")


async def _outcome(
    web: WebContext, order_id: str, event_id: str, types: list[EventType]
) -> tuple[EventType | None, Outcome]:
    """What is recorded under the id, of any of the types; else what the order's workflow says of it."""
    for one in types:
        recorded = await recorded_outcome(web.clients, order_id, event_id, one)
        if recorded is not None:
            return one, recorded
    pending = Outcome(OutcomeStatus.UNDECIDED)
    for one in types:
        pending = await await_outcome(web.clients, order_id, event_id, one, wait=timedelta(0))
        if pending.status is not OutcomeStatus.UNDECIDED:
            return one, pending
    return None, pending


async def _require_order(web: WebContext, order_id: str) -> None:
    try:
        await view_order(web.clients, order_id)
    except NotFoundError:
        raise Problem("order_not_found", f"nothing is known of an order {order_id!r}") from None
