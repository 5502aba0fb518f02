"""The list of waiting orders for all windows that show it: looked at once, and drawn once for all that see the same.

Something happens to some order many times a second. Were each window to ask Postgres and draw fifty orders for itself,
fifty windows would take a core, and all connections of the process (seen on 2026-11-26).
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from activities.adapters.postgres.order_pages import COUNT_MAX, OrderFilter, OrderSort
from orders.clients.coalescing import Coalesced
from orders.clients.opened import Clients
from orders.operations.pages import page_of_orders
from orders.web.console.rendering.templates import render
from orders.web.console.views.waiting import GoneOrder, WaitingPage, waiting_order, with_gone
from schemas.states import OrderState

PAGE_ORDERS: Final = 50
"""Orders on a page: what one person can look through, and what one click may decide."""
GONE_SECONDS: Final = 15.0
"""How long a decided order keeps its place, as long as the page's own script waits (`static/console.js`)."""
LOOK_EVERY: Final = timedelta(milliseconds=200)
"""How often the list is looked at, at most; one look serves all windows."""


async def load(clients: Clients, after: str | None, *, may_decide: bool) -> WaitingPage:
    """The list as it is now.

    Args:
        clients: lead to the database.
        after: the cursor of the page; None for the first.
        may_decide: whether who looks at it may.

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
        may_decide=may_decide,
        batch=uuid4().hex,
    )


@dataclass(frozen=True, slots=True)
class Look:
    """The list at one moment, for every window."""

    page: WaitingPage
    gone: Mapping[str, GoneOrder]
    """Those that have gone from the list a moment ago, by their ids."""
    _drawn: dict[str, str] = field(default_factory=dict)
    """The markup by the digest of what it shows: windows that showed the same before share one."""

    def shown(self, before: tuple[str, ...], *, may_decide: bool) -> WaitingPage:
        """What a window shows of it.

        Args:
            before: the ids that it showed last, in their order: of these, those that have gone keep their places.
            may_decide: whether who looks at it may.
        """
        gone = [self.gone[order_id] for order_id in before if order_id in self.gone]
        return replace(self.page, orders=with_gone(self.page.waiting, gone, before), may_decide=may_decide)

    def drawn(self, shown: WaitingPage) -> str:
        """The markup that makes a window show it."""
        digest = shown.digest
        if digest not in self._drawn:
            self._drawn[digest] = render("_waiting_update.html", page=shown, now=shown.now)
        return self._drawn[digest]


class Board:
    """One page of the list, while any window shows it.

    Args:
        clients: lead to the database.
        after: the cursor of the page; None for the first.
    """

    def __init__(self, clients: Clients, after: str | None) -> None:
        self._clients = clients
        self._after = after
        self._before: frozenset[str] = frozenset()
        self._gone: dict[str, tuple[GoneOrder, float]] = {}
        self._looks = Coalesced(self._look, LOOK_EVERY)
        self.windows = 0

    async def look(self) -> Look:
        """The list as it is after this call began; one look for all who wait for one.

        Raises:
            UsageError: the cursor is none of ours.
            UnreachableError: Postgres does not answer.
        """
        return await self._looks.answer()

    async def _look(self) -> Look:
        page = await load(self._clients, self._after, may_decide=True)
        waiting = frozenset(one.order_id for one in page.waiting)
        for order_id in self._before - waiting - self._gone.keys():
            gone = await self._what_became_of(order_id)
            if gone is not None:
                self._gone[order_id] = gone, time.monotonic() + GONE_SECONDS
        now = time.monotonic()
        self._gone = {key: one for key, one in self._gone.items() if one[1] > now and key not in waiting}
        self._before = waiting
        return Look(page, {order_id: gone for order_id, (gone, _) in self._gone.items()})

    async def _what_became_of(self, order_id: str) -> GoneOrder | None:
        """An order that is not in the list any more; None where it is on another page now."""
        async with self._clients.order_reader() as reader:
            record = await reader.order(order_id)
        if record is None or record.state is OrderState.VALIDATED:
            return None
        return GoneOrder(order_id, record.state, record.decided_by)


class Boards:
    """The pages of the list that are open in windows."""

    def __init__(self) -> None:
        self._open: dict[str | None, Board] = {}

    @contextmanager
    def opened(self, clients: Clients, after: str | None) -> Iterator[Board]:
        """The board of a page, the same for every window that shows it, for as long as the block lasts."""
        board = self._open.setdefault(after, Board(clients, after))
        board.windows += 1
        try:
            yield board
        finally:
            board.windows -= 1
            if not board.windows:
                self._open.pop(after, None)
