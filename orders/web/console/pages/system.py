"""The installation: who runs, and how far everything is."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from activities.adapters.postgres.order_pages import COUNT_MAX
from orders.clients.opened import Clients
from orders.errors import OrdersError
from orders.operations.overview import bridges_overview, workers_overview
from orders.web.console.live import PageStream, Pieces, until_refused
from orders.web.console.pages.answers import Viewer, page
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.rendering.templates import render
from orders.web.console.state import ConsoleState, State
from orders.web.console.views.system import SystemPage, system_page
from orders.web.context import Web
from schemas.states import OrderState

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

RENEWED_SECONDS: Final = 5.0
"""The page says so."""

Side = TypeVar("Side")


@router.get("/console/system")
async def system(web: Web, state: State, who: Viewer) -> Response:
    """The page."""
    return page("system.html", who, here="System", system=await _seen(web.clients, state))


@router.get("/console/system/live")
async def system_live(request: Request, web: Web, state: State, who: Viewer) -> Response:
    """The page's content, renewed for as long as it is looked at."""
    return PageStream(lambda: _pieces(web.clients, state), web.stopping, until_refused(request, who))


async def _pieces(clients: Clients, state: ConsoleState) -> Pieces:
    while True:
        await asyncio.sleep(RENEWED_SECONDS)
        seen = await _seen(clients, state)
        yield f"{seen.at.timestamp():.0f}", render("_system_update.html", system=seen, now=datetime.now(UTC))


async def _seen(clients: Clients, state: ConsoleState) -> SystemPage:
    """The installation now, or as another page saw it a moment ago."""
    return await state.system.get(lambda: _look(clients, state))


async def _look(clients: Clients, state: ConsoleState) -> SystemPage:
    (bridges, no_kafka), (workers, no_temporal), (counts, no_postgres) = await asyncio.gather(
        _reached(bridges_overview(clients)), _reached(workers_overview(clients)), _reached(_counts(clients))
    )
    now = datetime.now(UTC)
    if bridges is not None:
        state.paces.note(now, bridges.partitions)
    problems = [problem for problem in (no_kafka, no_temporal, no_postgres) if problem]
    return system_page(now, bridges, workers, counts, problems, count_max=COUNT_MAX, pace=state.paces.pace)


async def _counts(clients: Clients) -> dict[OrderState, int]:
    async with clients.order_reader() as reader:
        return await reader.count_by_state()


async def _reached(looking: Coroutine[Any, Any, Side]) -> tuple[Side | None, str | None]:
    try:
        return await looking, None
    except OrdersError as error:
        return None, str(error)
