"""Orders that wait for approval: the list, and how it stays up to date."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from activities.adapters.postgres.order_pages import COUNT_MAX, OrderFilter, OrderSort
from orders.clients.opened import Clients
from orders.operations.pages import page_of_orders, read_cursor
from orders.web.console.live import LOST, RETRY_SECONDS, PageStream, Pieces, news, trouble, until_refused
from orders.web.console.pages.answers import Viewer, go_to, page
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.rendering.templates import render
from orders.web.console.views.waiting import GoneOrder, WaitingPage, waiting_order, with_gone
from orders.web.context import Web, WebContext
from orders.web.identity import Identity, Role
from schemas.states import OrderState

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)

PAGE_ORDERS: Final = 50
"""Orders on a page: what one person can look through, and what one click may decide."""
GONE_SECONDS: Final = 15.0
"""How long a decided order keeps its place, as long as the page's own script waits (`static/console.js`)."""


@router.get("/console")
async def without_slash(_who: Viewer) -> Response:
    """The console's first page, as people type it."""
    return go_to("/console/")


@router.get("/console/")
async def waiting(web: Web, who: Viewer, after: str = "") -> Response:
    """The list."""
    shown = await load(web.clients, who, after or None)
    return page("waiting.html", who, here="Waiting", page=shown, digest=shown.digest, outcomes=None, now=shown.now)


@router.get("/console/waiting/live")
async def waiting_live(request: Request, web: Web, who: Viewer, after: str = "", have: str = "") -> Response:
    """What changes in the list, as it happens."""
    if after:
        read_cursor(after, OrderSort.APPROVAL_DEADLINE)  # A wrong one is refused here, and not in the stream.
    live = _Live(web, who, after or None, have)
    return PageStream(live.pieces, web.stopping, until_refused(request, who))


async def load(clients: Clients, who: Identity, after: str | None) -> WaitingPage:
    """The list as it is now.

    Args:
        clients: lead to the database.
        who: looks at it.
        after: the cursor of the page; None for the first.

    Raises:
        UsageError: the cursor is none of ours.
        UnreachableError: Postgres does not answer.
    """
    found = await page_of_orders(clients, OrderFilter(), OrderSort.APPROVAL_DEADLINE, cursor=after, limit=PAGE_ORDERS)
    async with clients.order_reader() as reader:
        counts = await reader.count_by_state([OrderState.VALIDATED])
    now = datetime.now(UTC)
    orders = tuple(waiting_order(record, now) for record in found.orders)
    total = counts.get(OrderState.VALIDATED, 0)
    return WaitingPage(
        now=now,
        orders=orders,
        total=max(total, len(orders)),
        is_more=total >= COUNT_MAX,
        longest=now - orders[0].since if orders and after is None else None,
        after=after,
        following=found.next_cursor,
        may_decide=Role.APPROVER in who.roles,
        batch=uuid4().hex,
    )


@dataclass(slots=True)
class _Live:
    """One page that is kept up to date."""

    web: WebContext
    who: Identity
    after: str | None
    have: str
    """The digest of what the page shows already."""
    _before: tuple[str, ...] = ()
    _gone: dict[str, tuple[GoneOrder, float]] = field(default_factory=dict)

    async def pieces(self) -> Pieces:
        """The list whenever it is another one than the page has."""
        while True:
            try:
                async with self.web.feed.of_any() as happened:
                    while True:
                        shown = await self._look()
                        is_new, self.have = shown.digest != self.have, shown.digest
                        yield shown.digest, render("_waiting_update.html", page=shown, now=shown.now) if is_new else ""
                        await news(happened)
            except LOST as error:
                self.have = ""
                yield "trouble", trouble(error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _look(self) -> WaitingPage:
        shown = await load(self.web.clients, self.who, self.after)
        waiting = {one.order_id for one in shown.orders}
        for order_id in self._before:
            if order_id not in waiting and order_id not in self._gone:
                gone = await self._what_became_of(order_id)
                if gone is not None:
                    self._gone[order_id] = gone, time.monotonic() + GONE_SECONDS
        now = time.monotonic()
        self._gone = {key: one for key, one in self._gone.items() if one[1] > now and key not in waiting}
        orders = with_gone(shown.waiting, [gone for gone, _ in self._gone.values()], self._before)
        self._before = tuple(one.order_id for one in orders)
        return replace(shown, orders=orders)

    async def _what_became_of(self, order_id: str) -> GoneOrder | None:
        """An order that is not in the list any more; None where it is on another page now."""
        async with self.web.clients.order_reader() as reader:
            record = await reader.order(order_id)
        if record is None or record.state is OrderState.VALIDATED:
            return None
        return GoneOrder(order_id, record.state, record.decided_by)
