"""Live events of orders. One poll of the database serves every stream; none misses an event, or has one twice."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, Protocol

import structlog

from activities.adapters.postgres.event_log import EventLog, LoggedEvent
from orders.clients.coalescing import Coalesced
from orders.clients.opened import Clients
from orders.errors import OrdersError, UnreachableError
from orders.web.feed_place import FeedPlace
from orders.web.problems import Problem
from orders.web.subscriptions import PAGE_EVENTS, AllSubscription, News, OrderSubscription, ReadTurns, Subscription

POLL_SECONDS: Final = 0.2
"""How often the feed looks: an event is at its streams within this and a little."""
_POLL_SOON_SECONDS: Final = 0.03
"""While a transaction may yet fill a hole; it ends in milliseconds."""
_RETRY_SECONDS: Final = 1.0
HELD_UP_SECONDS: Final = 15.0
"""How long a hole may stay before the log tells of it. Our own writers have ended by then, also one that stopped
(activities/adapters/postgres/engine.py: 3.5 s, and 10 s idle). A transaction that is open for longer is somebody
else's, or waits for a standby. The feed waits for it all the same, as its events would be missed."""
_BEGIN_SECONDS_MAX: Final = 5.0

_log = structlog.get_logger("orders.api")


class _Listener(Protocol):
    def offer(self, event: LoggedEvent) -> None: ...

    def look_again(self) -> None: ...


class LiveFeed:
    """Follows the audit table while anybody wants to know, and offers each event to every stream that it concerns.

    Args:
        clients: lead to the database.
        streams_max: most subscriptions at once.
    """

    def __init__(self, clients: Clients, *, streams_max: int) -> None:
        self._clients = clients
        self._streams_max = streams_max
        self.turns = ReadTurns()
        self._answers = Coalesced(self._ask, timedelta(0))
        self._of_all: set[_Listener] = set()
        self._of_any: set[_Listener] = set()
        self._of_order: dict[str, set[_Listener]] = defaultdict(set)
        self._count = 0
        self._wanted = asyncio.Event()
        self._began = asyncio.Event()
        """Set while the feed follows: all that is recorded from then on is offered to who follows single orders."""
        self._is_whole = asyncio.Event()
        """Set once no transaction from before that is open: `complete_until` is then what it says."""
        self._place = FeedPlace(0, frozenset(), 0.0)
        self.held_up_by: str | None = None
        """The transactions that have held up the stream of all orders for long; None where none have."""

    @property
    def complete_until(self) -> int:
        """The position up to which no event can appear any more: each was offered, or is in the table."""
        return self._place.complete_until

    # For streams -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def of_order(self, order_id: str, after: int = 0) -> AsyncIterator[Subscription]:
        """One order's events, for as long as the block lasts.

        Args:
            order_id: which order; nothing need be known of it yet.
            after: the sequence that the client has had; 0 for none.

        Raises:
            Problem: there are too many subscriptions.
            UnreachableError: Postgres does not answer.
        """
        subscription = OrderSubscription(self._clients, self.turns, order_id, after)
        listeners = self._of_order[order_id]
        try:
            async with self._listening(subscription, listeners, self._began):
                yield subscription
        finally:
            if not listeners:
                self._of_order.pop(order_id, None)

    @asynccontextmanager
    async def of_all(self, after: int | None = None) -> AsyncIterator[Subscription]:
        """All orders' events, for as long as the block lasts.

        Args:
            after: the position that the client has had; None for what happens from now on.

        Raises:
            Problem: there are too many subscriptions, or the position is none of this database.
            UnreachableError: Postgres does not answer.
        """
        subscription = AllSubscription(self._clients, self.turns, self, after)
        async with self._listening(subscription, self._of_all, self._is_whole):
            subscription.begin()
            if after is not None and after > self.complete_until:
                await self._check(after)
            yield subscription

    @asynccontextmanager
    async def of_any(self) -> AsyncIterator[News]:
        """Tells that something has happened to some order, for as long as the block lasts.

        It goes on while the stream of all orders is held up.

        Raises:
            Problem: there are too many subscriptions.
            UnreachableError: Postgres does not answer.
        """
        news = News()
        async with self._listening(news, self._of_any, self._began):
            yield news

    async def _check(self, after: int) -> None:
        """Another process of ours may be ahead of this one by a moment; another database's positions say nothing."""
        async with self._clients.order_reader() as reader:
            if after > await reader.log.last_position():
                raise Problem("position_unknown", "this database has no such position: was it restored from a backup?")

    @asynccontextmanager
    async def _listening(
        self, listener: _Listener, listeners: set[_Listener], begun: asyncio.Event
    ) -> AsyncIterator[None]:
        if self._count >= self._streams_max:
            raise Problem("overloaded", f"{self._streams_max} streams are open")
        self._count += 1
        listeners.add(listener)
        self._wanted.set()
        try:
            await self._wait_until(begun)
            yield
        finally:
            self._count -= 1
            listeners.discard(listener)

    async def _wait_until(self, begun: asyncio.Event) -> None:
        """Before a subscription reads the table for the first time: what comes after its reading is then offered."""
        # The feed waits for a Postgres that is away; a client wants to hear of it.
        await self._answers.answer()
        try:
            async with asyncio.timeout(HELD_UP_SECONDS + _BEGIN_SECONDS_MAX):
                await begun.wait()
        except TimeoutError:
            why = self.held_up_by or "Postgres does not say where the log of events ends"
            raise UnreachableError(why) from None

    async def _ask(self) -> int:
        async with self._clients.order_reader() as reader:
            return await reader.log.last_position()

    # Following -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the table until cancelled; waits while nobody listens, and while Postgres is away."""
        is_away = False
        while True:
            await self._wanted.wait()
            try:
                async with self._clients.order_reader() as reader:
                    if not self._began.is_set():
                        await self._begin(reader.log)
                    pause = await self._look(reader.log)
                is_away = False
            except OrdersError as error:
                if not is_away:
                    _log.warning("api.feed.lost", detail=str(error), action="none: the streams wait with it")
                is_away, pause = True, _RETRY_SECONDS
            await asyncio.sleep(pause)
            if not self._count:
                self._wanted.clear()
                self._began.clear()
                self._is_whole.clear()
                self.held_up_by = None

    async def _begin(self, log: EventLog) -> None:
        last = await log.last_position()
        self._place = FeedPlace(last, await log.drawers(), asyncio.get_running_loop().time())
        self._began.set()
        if self._place.is_whole:
            self._is_whole.set()

    async def _look(self, log: EventLog) -> float:
        """Offers what is new, and returns how long to wait before the next look."""
        found = await log.after(self._place.seen, limit=PAGE_EVENTS)
        complete_with_it = self._place.see(found)
        self._offer_of_orders(found)
        self._offer_of_all(complete_with_it)
        is_page_full = len(found) >= PAGE_EVENTS
        if self._place.is_behind:
            is_page_full = await self._go_on_behind_hole(log) or is_page_full
        if is_page_full:
            return 0
        if self.held_up_by is not None:
            return POLL_SECONDS
        return _POLL_SOON_SECONDS if self._place.is_behind else POLL_SECONDS

    async def _go_on_behind_hole(self, log: EventLog) -> bool:
        """Goes on behind a hole once nobody can fill it; returns whether there is more to do at once."""
        until = self._place.filled_until(await log.drawers(), asyncio.get_running_loop().time())
        if until is None:
            await self._tell_of_what_holds_it_up(log)
            return False
        due = await log.after(self._place.complete_until, until=until, limit=PAGE_EVENTS)
        is_all = len(due) < PAGE_EVENTS
        was_whole = self._place.is_whole
        self._place.pass_hole(due, is_all=is_all)
        # What has filled the hole is new to them as well; the rest they know to have had.
        self._offer_of_orders(due)
        self._offer_of_all(due)
        if self._place.is_whole and not was_whole:
            self._begin_whole()
        if is_all and self.held_up_by is not None:
            _log.info("api.feed.goes_on", held_up_by=self.held_up_by)
            self.held_up_by = None
        return not is_all

    def _begin_whole(self) -> None:
        """Those transactions are over that were open at the beginning: where in the log they wrote nobody knows."""
        for listeners in (self._of_any, *self._of_order.values()):
            for listener in listeners:
                listener.look_again()
        self._is_whole.set()

    async def _tell_of_what_holds_it_up(self, log: EventLog) -> None:
        hole = self._place.hole
        if hole is None or asyncio.get_running_loop().time() - hole.seen_at < HELD_UP_SECONDS:
            return
        who = await log.who_draws()
        is_news = self.held_up_by is None
        self.held_up_by = f"a transaction has written events and does not end: {who}"
        if is_news:
            _log.warning(
                "api.feed.held_up",
                detail=self.held_up_by,
                action="the stream of all orders waits for it, as its events would be missed; those of single orders "
                "go on. If it is nobody's any more, end it: SELECT pg_terminate_backend(pid), or ROLLBACK PREPARED",
            )

    def _offer_of_orders(self, events: Sequence[LoggedEvent]) -> None:
        for event in events:
            for listener in (*self._of_order.get(event.order_id, ()), *self._of_any):
                listener.offer(event)

    def _offer_of_all(self, events: Sequence[LoggedEvent]) -> None:
        for event in events:
            for listener in self._of_all:
                listener.offer(event)
