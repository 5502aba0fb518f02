"""Orders that wait for approval: the list, and how it stays up to date."""

import asyncio
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from activities.adapters.postgres.order_pages import OrderSort
from orders.operations.pages import read_cursor
from orders.web.console.live import LOST, RETRY_SECONDS, PageStream, Pieces, news, trouble, until_refused
from orders.web.console.pages.answers import Viewer, go_to, page
from orders.web.console.pages.refusals import ConsoleRoute
from orders.web.console.state import State
from orders.web.console.waiting_board import Boards, Look, load
from orders.web.context import Web, WebContext
from orders.web.identity import Role

router = APIRouter(route_class=ConsoleRoute, include_in_schema=False)


@router.get("/console")
async def without_slash(_who: Viewer) -> Response:
    """The console's first page, as people type it."""
    return go_to("/console/")


@router.get("/console/")
async def waiting(web: Web, who: Viewer, after: str = "") -> Response:
    """The list."""
    shown = await load(web.clients, after or None, may_decide=Role.APPROVER in who.roles)
    return page("waiting.html", who, here="Waiting", page=shown, digest=shown.digest, outcomes=None, now=shown.now)


@router.get("/console/waiting/live")
async def waiting_live(
    request: Request, web: Web, state: State, who: Viewer, *, after: str = "", have: str = ""
) -> Response:
    """What changes in the list, as it happens."""
    if after:
        read_cursor(after, OrderSort.APPROVAL_DEADLINE)  # A wrong one is refused here, and not in the stream.
    window = _Window(web, state.boards, after or None, Role.APPROVER in who.roles, have)
    return PageStream(window.pieces, web.stopping, until_refused(request, who))


@dataclass(slots=True)
class _Window:
    """One window that is kept up to date."""

    web: WebContext
    boards: Boards
    after: str | None
    may_decide: bool
    have: str
    """The digest of what it shows already."""
    _before: tuple[str, ...] = ()

    async def pieces(self) -> Pieces:
        """The list whenever it is another one than the window has."""
        with self.boards.opened(self.web.clients, self.after) as board:
            while True:
                try:
                    async with self.web.feed.of_any() as happened:
                        while True:
                            yield self._piece(await board.look())
                            await news(happened)
                except LOST as error:
                    self.have = ""
                    yield "trouble", trouble(error)
                await asyncio.sleep(RETRY_SECONDS)

    def _piece(self, look: Look) -> tuple[str, str]:
        shown = look.shown(self._before, may_decide=self.may_decide)
        self._before = tuple(one.order_id for one in shown.orders)
        is_new, self.have = shown.digest != self.have, shown.digest
        return shown.digest, look.drawn(shown) if is_new else ""
