"""All that is known of an order, from Kafka, Temporal and Postgres."""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from orders.operations.explain.documents import as_json
from orders.operations.explain.gathering import explain
from orders.web.api.answers import ALWAYS, problems
from orders.web.api.fields import Answer, OrderId
from orders.web.api.parameters import ApiRoute
from orders.web.context import Web
from orders.web.identity import Role, requires
from schemas.base import Timestamp

router = APIRouter(
    prefix="/orders", tags=["orders"], dependencies=[Depends(requires(Role.VIEWER))], route_class=ApiRoute
)

RECORDS_MAX: Final = 500_000


class Explanation(Answer):
    """All that is known of an order; a server that could not be reached is null."""

    order_id: str
    unreachable: list[str]
    """A sentence for each server that did not answer."""
    waits_for: list[str]
    """What has to happen before the order goes on, the most telling first."""
    kafka: dict[str, Any] | None
    """Records that name the order and what became of each, and its dead letters."""
    temporal: dict[str, Any] | None
    """Its runs, and what holds up the open one."""
    database: dict[str, Any] | None
    """Its row, payment, journal and decided events."""


@router.get(
    "/{order_id}/explain",
    summary="All that is known of an order",
    operation_id="explainOrder",
    response_model=Explanation,
    responses=problems(*ALWAYS, "order_not_found"),
)
async def explanation(
    order_id: OrderId,
    request: Request,
    web: Web,
    *,
    since: Annotated[Timestamp | None, Query(description="How far back Kafka's topics are read.")] = None,
    limit: Annotated[int, Query(ge=1, le=RECORDS_MAX, description="Most records that are read, the newest.")] = 50_000,
) -> Response:
    """Reads Kafka's topics, as `orders explain` does: it may take seconds."""
    known = await web.scan(request, lambda: explain(web.clients, order_id, since=since, limit=limit))
    return Response(orjson.dumps(as_json(known), default=str), media_type="application/json")
