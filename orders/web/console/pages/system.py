"""The installation: who runs, and how far everything is."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.responses import Response

from activities.adapters.postgres.order_pages import COUNT_MAX
from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.operations.overview import bridges_overview, workers_overview
from orders.web.console.pages.answers import ConsoleRoute, Viewer, page
from orders.web.console.state import State
from orders.web.console.views.system import SystemPage, system_page
from orders.web.context import Web
from schemas.states import OrderState

router = APIRouter(route_class=ConsoleRoute)

Side = TypeVar("Side")


@router.get("/console/system")
async def system(web: Web, state: State, who: Viewer) -> Response:
    """The page."""
    seen = await state.system.get(lambda: _look(web.clients))
    return page("system.html", who, here="System", system=seen)


async def _look(clients: Clients) -> SystemPage:
    (bridges, no_kafka), (workers, no_temporal), (counts, no_postgres) = await asyncio.gather(
        _reached(bridges_overview(clients)), _reached(workers_overview(clients)), _reached(_counts(clients))
    )
    problems = [problem for problem in (no_kafka, no_temporal, no_postgres) if problem]
    return system_page(datetime.now(UTC), bridges, workers, counts, problems, count_max=COUNT_MAX)


async def _counts(clients: Clients) -> dict[OrderState, int]:
    async with clients.order_reader() as reader:
        return await reader.count_by_state()


async def _reached(looking: Coroutine[Any, Any, Side]) -> tuple[Side | None, str | None]:
    try:
        return await looking, None
    except OrdersError as error:
        return None, str(error)
